// What the Kafka suite for Node needs of a running hub: ISTHMUS_DATA_DIR and ISTHMUS_RESTART
// are set by the driver.

import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const DATA = process.env.ISTHMUS_DATA_DIR;
// No test waits this long unless a promise is broken.
const DEADLINE_MS = 20_000;

export const CONNECTION_STRING = readFileSync(join(DATA, 'operator', 'connection-string'), 'utf8').trim();
const fields = Object.fromEntries(CONNECTION_STRING.split(';').map((part) => part.split(/=(.*)/s).slice(0, 2)));
/** The same as Event Hubs clients write it. */
export const PASSWORD = `Endpoint=sb://${fields.HostName}/;SharedAccessKeyName=${fields.SharedAccessKeyName};SharedAccessKey=${fields.SharedAccessKey}`;

export const unique = (prefix) => `${prefix}-${randomBytes(5).toString('hex')}`;

/** Where the Kafka listener is; the same after a restart. */
export const broker = () => `localhost:${port('kafka')}`;

function port(listener) {
  const bound = JSON.parse(readFileSync(join(DATA, 'ports.json'), 'utf8'))[listener];
  return Number([bound].flat()[0].split(':').at(-1));
}

/** A shared-access token of the operator's policy. */
function token() {
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const key = Buffer.from(fields.SharedAccessKey, 'base64');
  const signature = createHmac('sha256', key).update(`${fields.HostName}\n${expiry}`).digest('base64');
  const query = new URLSearchParams({ sr: fields.HostName, sig: signature, se: expiry, skn: fields.SharedAccessKeyName });
  return `SharedAccessSignature ${query}`;
}

/** Creates something by the service API; gives what it answers. */
async function create(path, body) {
  const headers = { Authorization: token(), 'Content-Type': 'application/json' };
  const call = request({ method: 'PUT', headers, host: 'localhost', port: port('https'), path: `${path}?api-version=2021-04-12` });
  call.end(JSON.stringify(body));
  const [response] = await once(call, 'response');
  const answer = await text(response);
  assert.equal(response.statusCode, 201, answer);
  return JSON.parse(answer);
}

/** An event hub that no other test uses. */
export async function topic(partitions = 1) {
  const name = unique('kafkajs');
  await create(`/eventHubs/${name}`, { partitions });
  return name;
}

/** A policy of an event hub with one right; gives its password. */
export async function policy(topic, right) {
  const { primaryKey } = await create(`/eventHubs/${topic}/policies/${right}`, { rights: [right] });
  return `Endpoint=sb://localhost/;SharedAccessKeyName=${right};SharedAccessKey=${primaryKey};EntityPath=${topic}`;
}

/** Ends the hub, by SIGKILL if asked, and starts it again on the same ports. */
export async function restart({ kill = false } = {}) {
  const driver = createConnection(process.env.ISTHMUS_RESTART);
  driver.end(kill ? 'kill' : 'stop');
  assert.equal(await text(driver), 'started');
}

/** Polls until `fact()` is true. */
export async function eventually(fact, what) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await fact())) {
    assert.ok(Date.now() < end, `not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
