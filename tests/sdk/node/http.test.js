// The official Node device SDK over HTTPS: what it sends, receives and settles.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import common from 'azure-iot-common';
import device from 'azure-iot-device';
import transport from 'azure-iot-device-http';
import * as hub from './hub.js';

const { Client, Message } = device;
const kinds = [
  { title: 'certificate under the CA', register: hub.caSigned },
  { title: 'certificate by thumbprint', register: hub.pinned },
  // The SDK has no modules over HTTPS.
  { title: 'symmetric key', register: hub.withKey },
];

/** A client with what `register` gave. It asks for commands every second, for one at a time. */
async function connect(id, credentials) {
  const byCertificate = typeof credentials !== 'string';
  const names = `HostName=${hub.HOST};DeviceId=${id.device};x509=true`;
  const client = Client.fromConnectionString(byCertificate ? names : credentials, transport.Http);
  client.setRetryPolicy(new common.NoRetry());
  // Without a policy of receiving, this transport never says that it has taken its options.
  const http = { receivePolicy: { interval: 1, drain: false } };
  await client.setOptions({ ca: hub.CA, http, ...(byCertificate ? credentials : {}) });
  await client.open();
  return client;
}

for (const kind of kinds) {
  describe(kind.title, () => {
    let id, client;

    beforeEach(async () => {
      id = hub.identity(hub.unique('node-http'));
      client = await connect(id, await kind.register(id));
    });
    afterEach(() => client.close());

    function commands() {
      const inbox = new hub.Inbox();
      client.on('error', (error) => inbox.put(error));
      client.on('message', inbox.put);
      return async () => (await inbox.take('a command'))[0];
    }
    const bodies = async () => (await hub.events(id.device)).map((event) => event.body);

    test('a message is stored with its properties', async () => {
      const message = new Message('{"t": 21.5, "unit": "°C"}');
      const system = { messageId: 'm-1', correlationId: 'c-1', userId: 'u-1' };
      Object.assign(message, system, { contentType: 'application/json', contentEncoding: 'utf-8' });
      message.properties.add('room', 'a b&c=d%20');
      await client.sendEvent(message);
      const [event, ...more] = await hub.events(id.device);
      assert.equal(more.length, 0);
      assert.equal(event.body, '{"t": 21.5, "unit": "°C"}');
      assert.deepEqual(event.properties, { room: 'a b&c=d%20' });
      const names = ['message-id', 'correlation-id', 'user-id', 'content-type', 'content-encoding'];
      const expected = ['m-1', 'c-1', 'u-1', 'application/json', 'utf-8'];
      assert.deepEqual(names.map((name) => event.system[name]), expected);
    });

    test('a batch is stored in order with the properties of each message', async () => {
      const messages = Array.from({ length: 25 }, (_, number) => new Message(String(number)));
      messages[3].properties.add('Room', '4');
      await client.sendEventBatch(messages);
      const events = await hub.events(id.device);
      assert.deepEqual(events.map((event) => event.body), messages.map((message) => message.getData()));
      assert.deepEqual([events[2].properties, events[3].properties], [{}, { Room: '4' }]);
    });

    test('a message or batch that is too large is refused whole', async () => {
      const large = new Message('x'.repeat(256 * 1024 + 1));
      await assert.rejects(client.sendEvent(large), { name: 'MessageTooLargeError' });
      await assert.rejects(client.sendEventBatch([new Message('small'), large]), { name: 'MessageTooLargeError' });
      assert.deepEqual(await bodies(), []);
    });

    test('a command arrives with its properties and is completed', async () => {
      const next = commands();
      const fields = { messageId: 'cmd-1', correlationId: 'c-1', contentType: 'text/plain' };
      await hub.sendCommand(id, 'gö', { ...fields, properties: { prop: 'x+y', other: 'a%20b' } });
      const message = await next();
      assert.equal(message.getData().toString(), 'gö');
      assert.deepEqual([message.messageId, message.correlationId], ['cmd-1', 'c-1']);
      const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
      assert.deepEqual(properties, { 'iothub-app-prop': 'x+y', 'iothub-app-other': 'a%20b' });
      assert.equal((await hub.queuedCommands(id))[0].state, 'invisible');
      await client.complete(message);
      assert.deepEqual(await hub.queuedCommands(id), []);
    });

    test('an abandoned command comes again, before those behind it', async () => {
      const next = commands();
      await hub.sendCommand(id, 'first');
      const first = await next();
      await hub.sendCommand(id, 'second');
      await client.abandon(first);
      assert.equal((await hub.queuedCommands(id))[0].deliveryCount, 1);
      const again = await next();
      assert.equal(again.getData().toString(), 'first');
      assert.notEqual(again.lockToken, first.lockToken);
      await client.complete(again);
      assert.equal((await next()).getData().toString(), 'second');
    });

    test('a rejected command does not come again', async () => {
      const next = commands();
      for (const body of ['rejected', 'next']) await hub.sendCommand(id, body);
      const rejected = await next();
      assert.equal(rejected.getData().toString(), 'rejected');
      await client.reject(rejected);
      const then = await next();
      assert.equal(then.getData().toString(), 'next');
      await client.complete(then);
      assert.deepEqual((await hub.queuedCommands(id)).filter((each) => each.state !== 'deadLettered'), []);
    });

    test('a lock is worth nothing once its command is settled', async () => {
      const next = commands();
      await hub.sendCommand(id, 'once');
      const message = await next();
      await client.complete(message);
      for (const settle of ['complete', 'reject', 'abandon']) {
        await assert.rejects(client[settle](message), (error) => {
          assert.equal(error.response.statusCode, 412, settle);
          assert.equal(error.response.headers['iothub-errorcode'], 'DeviceMessageLockLost');
          return true;
        });
      }
    });
  });
}

test('the certificate of another device is refused', async (t) => {
  const [own, victim] = [hub.identity(hub.unique('node-http')), hub.identity(hub.unique('node-http'))];
  const credentials = await hub.caSigned(own);
  await hub.create(victim, { type: 'certificateAuthority' });
  const client = await connect(victim, credentials);
  t.after(() => client.close());
  await assert.rejects(client.sendEvent(new Message('x')), { name: 'UnauthorizedError' });
  await assert.rejects(client.sendEventBatch([new Message('x')]), { name: 'UnauthorizedError' });
  assert.deepEqual(await hub.events(victim.device), []);
});
