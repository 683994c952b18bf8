// What the Node suites need to talk to a running hub. Two variables say where it is:
// ISTHMUS_DATA_DIR, the directory given to `isthmus dev`, and ISTHMUS_BIN, the binaries' folder.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import common from 'azure-iot-common';

const run = promisify(execFile);
const DATA = process.env.ISTHMUS_DATA_DIR;
const BIN = process.env.ISTHMUS_BIN;
// No test waits this long unless a promise is broken.
const DEADLINE_MS = 20_000;
// Feedback is gathered for 15 s before it is told.
const FEEDBACK_DEADLINE_MS = 90_000;

export const HOST = 'localhost';
export const CA = readFileSync(join(DATA, 'trust', 'ca.pem'), 'utf8');
export const CONNECTION_STRING = readFileSync(join(DATA, 'operator', 'connection-string'), 'utf8').trim();

// The certificates that a suite makes; they go with the process.
const certificates = mkdtempSync(join(tmpdir(), 'isthmus-certificates-'));
process.on('exit', () => rmSync(certificates, { recursive: true, force: true }));

// ---- identities ----

export const unique = (prefix) => `${prefix}-${randomBytes(5).toString('hex')}`;

/** A device, or a module of one: its name in certificates and its path in URLs and topics. */
export function identity(device, module) {
  const name = module ? `${device}/${module}` : device;
  return { device, module, name, path: module ? `${device}/modules/${module}` : device };
}

/** Registers an identity; a module's device is registered with keys of its own. */
export async function create(id, authentication) {
  if (id.module) {
    const device = { deviceId: id.device, authentication: { type: 'sas' } };
    await service('PUT', `/devices/${id.device}`, device);
  }
  const body = { deviceId: id.device, moduleId: id.module, authentication };
  return service('PUT', `/devices/${id.path}`, body);
}

/** Registers `id` with keys that the hub makes; gives its connection string. */
export async function withKey(id) {
  const created = await create(id, { type: 'sas' });
  const module = id.module ? `;ModuleId=${id.module}` : '';
  const key = created.authentication.symmetricKey.primaryKey;
  return `HostName=${HOST};DeviceId=${id.device}${module};SharedAccessKey=${key}`;
}

/** Registers `id` under the development CA; gives certificate and key as PEM. */
export async function caSigned(id) {
  await create(id, { type: 'certificateAuthority' });
  await hubctl('cert', 'issue', id.name, '--out', certificates);
  const stem = join(certificates, id.name);
  return { cert: readFileSync(`${stem}.crt`, 'utf8'), key: readFileSync(`${stem}.key`, 'utf8') };
}

/** Registers `id` by the thumbprint of a self-signed certificate; gives certificate and key. */
export async function pinned(id) {
  const stem = join(certificates, unique('pinned'));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${stem}.key`];
  await run('openssl', ['req', '-x509', ...key, '-subj', `/CN=${id.device}`, '-days', '2', '-out', `${stem}.crt`]);
  const cert = readFileSync(`${stem}.crt`, 'utf8');
  const primaryThumbprint = new X509Certificate(cert).fingerprint256.replaceAll(':', '');
  await create(id, { type: 'selfSigned', x509Thumbprint: { primaryThumbprint } });
  return { cert, key: readFileSync(`${stem}.key`, 'utf8') };
}

// ---- the service API ----

/** One request as the operator: its status, headers and body. */
export async function ask(method, path, body) {
  const fields = Object.fromEntries(CONNECTION_STRING.split(';').map((part) => part.split(/=(.*)/s).slice(0, 2)));
  const expiry = Math.floor(Date.now() / 1000) + 3600;
  const token = common.SharedAccessSignature.create(HOST, fields.SharedAccessKeyName, fields.SharedAccessKey, expiry);
  const headers = { Authorization: token.toString(), 'Content-Type': 'application/json' };
  const query = `${path.includes('?') ? '&' : '?'}api-version=2021-04-12`;
  const options = { method, headers, host: HOST, port: httpsPort(), path: path + query, ca: CA };
  const call = request(options);
  call.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = await once(call, 'response');
  const bytes = Buffer.concat(await response.toArray());
  return { status: response.statusCode, headers: response.headers, bytes };
}

/** One request as the operator; gives the body as JSON, or throws on any error. */
export async function service(method, path, body) {
  const { status, bytes } = await ask(method, path, body);
  assert.ok(status < 300, `${method} ${path}: ${status}: ${bytes}`);
  return bytes.length > 0 ? JSON.parse(bytes) : undefined;
}

function httpsPort() {
  const { https } = JSON.parse(readFileSync(join(DATA, 'ports.json'), 'utf8'));
  return Number([https].flat()[0].split(':').at(-1));
}

export const twin = (id) => service('GET', `/twins/${id.path}`);
export const queuedCommands = (id) => service('GET', `/devices/${id.path}/commands`);
export const patchDesired = (id, desired) => service('PATCH', `/twins/${id.path}`, { properties: { desired } });

/** Queues a command. */
export const sendCommand = (id, body, fields = {}) =>
  service('POST', `/devices/${id.path}/commands`, { body, properties: {}, ...fields });

/** Calls a direct method and gives the device's answer. */
export const invoke = (id, methodName, payload) =>
  service('POST', `/twins/${id.path}/methods`, { methodName, payload, responseTimeoutInSeconds: 15 });

/**
 * Reads feedback until each of these message ids is told of; gives every record by its id. All
 * devices share one queue, so records of other tests come along.
 */
export async function feedback(...wanted) {
  await queueHolds('feedback', told.feedback, 'originalMessageId', wanted, FEEDBACK_DEADLINE_MS);
  return new Map(told.feedback);
}

/** What the service is told of the upload of `blob`; reads on until it is. */
export async function fileNotification(blob) {
  await queueHolds('filenotifications', told.files, 'blobName', [blob], DEADLINE_MS);
  return told.files.get(blob);
}

/** Whether a notification of `blob` is among those read so far. They come in order. */
export const wasToldOfFile = (blob) => told.files.has(blob);

// What was read of the queues to the service and is nobody else's to read.
const told = { feedback: new Map(), files: new Map() };

async function queueHolds(queue, into, key, wanted, deadline) {
  const path = `/messages/serviceBound/${queue}`;
  await eventually(async () => {
    for (let next; (next = await ask('GET', path)).status !== 204; ) {
      assert.equal(next.status, 200, String(next.bytes));
      for (const record of [JSON.parse(next.bytes)].flat()) into.set(record[key], record);
      await service('DELETE', `${path}/${next.headers.etag.replaceAll('"', '')}`);
    }
    return wanted.every((each) => into.has(each));
  }, `${queue} on ${wanted}`, deadline, 200);
}

// ---- the operator's command line ----

/** Runs hubctl on the hub's data directory; gives its standard output. */
export async function hubctl(...words) {
  const { stdout } = await run(join(BIN, 'hubctl'), ['--data-dir', DATA, ...words], { maxBuffer: 64 << 20 });
  return stdout;
}

/** The stored events of one device, in order. */
export async function events(device) {
  const how = ['--device', device, '--from', 'earliest', '--until-end', '--output', 'json'];
  const lines = await hubctl('event', 'watch', ...how);
  return lines.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

// ---- waiting for facts ----

/** Polls until `fact()` is true. */
export async function eventually(fact, what, deadline = DEADLINE_MS, every = 20) {
  const end = Date.now() + deadline;
  while (!(await fact())) {
    assert.ok(Date.now() < end, `not within ${deadline} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** What a client's callbacks were given, in order. */
export class Inbox {
  #items = [];
  #waiting = [];

  put = (...item) => {
    const taker = this.#waiting.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  };

  /** The arguments of the next callback. */
  async take(what = 'a message') {
    if (this.#items.length > 0) return this.#items.shift();
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`not within ${DEADLINE_MS} ms: ${what}`));
      const timer = setTimeout(late, DEADLINE_MS);
      this.#waiting.push((item) => {
        clearTimeout(timer);
        resolve(item);
      });
    });
  }
}
