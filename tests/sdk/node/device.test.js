// The official Node device SDK against the hub: the same promises for every kind of client.

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import common from 'azure-iot-common';
import device from 'azure-iot-device';
import transports from 'azure-iot-device-mqtt';
import * as hub from './hub.js';

const { Client, Message, ModuleClient } = device;
const { Mqtt, MqttWs } = transports;
const AWKWARD = { plain: 'value', 'key &=/+': 'v é+/%20 ', empty: '' };

const kinds = [
  { title: 'certificate under the CA', register: hub.caSigned, transport: Mqtt },
  { title: 'certificate by thumbprint', register: hub.pinned, transport: Mqtt },
  { title: 'symmetric key', register: hub.withKey, transport: Mqtt },
  { title: 'symmetric key over WebSocket', register: hub.withKey, transport: MqttWs },
  { title: 'certificate over WebSocket', register: hub.caSigned, transport: MqttWs },
  // The SDK's modules know no certificates.
  { title: 'module', register: hub.withKey, transport: Mqtt, module: 'climate' },
  { title: 'module over WebSocket', register: hub.withKey, transport: MqttWs, module: 'climate' },
];

/** Connects with what `register` gave: a connection string, or a certificate and its key. */
async function connect({ module, transport }, id, credentials) {
  const library = module ? ModuleClient : Client;
  const byCertificate = typeof credentials !== 'string';
  const names = `HostName=${hub.HOST};DeviceId=${id.device};x509=true`;
  const client = library.fromConnectionString(byCertificate ? names : credentials, transport);
  client.setRetryPolicy(new common.NoRetry());
  await client.setOptions(byCertificate ? { ca: hub.CA, ...credentials } : { ca: hub.CA });
  await client.open();
  return client;
}

for (const kind of kinds) {
  describe(kind.title, () => {
    let id, client, credentials;

    beforeEach(async () => {
      id = hub.identity(hub.unique('node'), kind.module);
      credentials = await kind.register(id);
      client = await connect(kind, id, credentials);
    });
    afterEach(() => client.close());

    /** Listens for commands and completes each. */
    function commands() {
      const inbox = new hub.Inbox();
      const take = (message) => {
        if (!kind.module) client.complete(message, () => {});
        inbox.put(message);
      };
      if (kind.module) client.on('inputMessage', (_input, message) => take(message));
      else client.on('message', take);
      return inbox;
    }
    const body = async (inbox) => (await inbox.take())[0].getData().toString();
    const drained = async () => (await hub.queuedCommands(id)).length === 0;

    test('telemetry is read back with its properties', async () => {
      const message = new Message('{"t": 21.5, "unit": "°C"}');
      const system = { messageId: 'm-1', correlationId: 'c-1', userId: 'u-1' };
      Object.assign(message, system, { contentType: 'application/json', contentEncoding: 'utf-8' });
      for (const [name, value] of Object.entries(AWKWARD)) message.properties.add(name, value);
      await client.sendEvent(message);
      const [event, ...more] = await hub.events(id.device);
      assert.equal(more.length, 0);
      assert.equal(event.body, '{"t": 21.5, "unit": "°C"}');
      assert.deepEqual(event.properties, AWKWARD);
      assert.deepEqual([event.deviceId, event.moduleId], [id.device, kind.module ?? null]);
      assert.equal(event.system['iothub-connection-device-id'], id.device);
      assert.equal(event.system['iothub-message-source'], 'Telemetry');
      const names = ['message-id', 'correlation-id', 'user-id', 'content-type', 'content-encoding'];
      const expected = ['m-1', 'c-1', 'u-1', 'application/json', 'utf-8'];
      assert.deepEqual(names.map((name) => event.system[name]), expected);
    });

    test('acknowledged messages are stored in the order sent', async () => {
      const bodies = Array.from({ length: 25 }, (_, number) => String(number));
      await Promise.all(bodies.map((each) => client.sendEvent(new Message(each))));
      const stored = await hub.events(id.device);
      assert.deepEqual(stored.map((event) => event.body), bodies);
    });

    test('a command arrives with its properties and is completed by receiving it', async () => {
      const inbox = commands();
      const fields = { messageId: 'cmd-1', correlationId: 'c-1', contentType: 'text/plain', ack: 'full' };
      await hub.sendCommand(id, 'gö', { ...fields, properties: { prop: 'x+y', other: 'a%20b' } });
      const [message] = await inbox.take();
      assert.equal(message.getData().toString(), 'gö');
      assert.deepEqual([message.messageId, message.correlationId, message.contentType], ['cmd-1', 'c-1', 'text/plain']);
      const properties = Object.fromEntries(message.properties.propertyList.map(({ key, value }) => [key, value]));
      assert.deepEqual(properties, { prop: 'x+y', other: 'a%20b', 'iothub-ack': 'full' });
      await hub.eventually(drained, 'the queue is empty');
    });

    test('commands sent while the device was away arrive in order, completed ones never again', async () => {
      const before = commands();
      await hub.sendCommand(id, 'before');
      assert.equal(await body(before), 'before');
      await hub.eventually(drained, 'the command is complete');
      client.removeAllListeners();
      await client.close();
      for (const each of ['1', '2', '3']) await hub.sendCommand(id, each);
      client = await connect(kind, id, credentials);
      const after = commands();
      assert.deepEqual([await body(after), await body(after), await body(after)], ['1', '2', '3']);
      await hub.eventually(drained, 'the queue is empty');
    });

    test('a method is answered', async () => {
      const answer = (request, response) => response.send(207, { echo: request.payload, name: request.methodName });
      const handle = kind.module ? 'onMethod' : 'onDeviceMethod';
      client[handle]('reboot', answer);
      const subscribed = () => hub.invoke(id, 'reboot', { delay: 3 }).then((reply) => (subscribed.reply = reply), notOnline);
      await hub.eventually(subscribed, 'the client has subscribed to methods');
      assert.deepEqual(subscribed.reply, { status: 207, payload: { echo: { delay: 3 }, name: 'reboot' } });
    });

    test('the twin holds what the service wrote', async () => {
      await hub.patchDesired(id, { interval: 10, nested: { a: [1, 'x', true] } });
      const { desired, reported } = (await client.getTwin()).properties;
      assert.deepEqual(desired, { interval: 10, nested: { a: [1, 'x', true] }, $version: 2 });
      assert.equal(reported.$version, 1);
    });

    test('a reported patch is seen by the service', async () => {
      const { reported } = (await client.getTwin()).properties;
      await update(reported, { firmware: '1.2', old: { x: 1, y: 2 } });
      await update(reported, { old: { x: null }, ok: true });
      const { $metadata, ...seen } = (await hub.twin(id)).properties.reported;
      assert.deepEqual(seen, { firmware: '1.2', old: { y: 2 }, ok: true, $version: 3 });
      assert.ok($metadata.firmware.$lastUpdated);
    });

    test('a reported patch that breaks a rule changes nothing', async () => {
      const { reported } = (await client.getTwin()).properties;
      await assert.rejects(update(reported, { 'with.dot': 1 }));
      assert.equal((await hub.twin(id)).properties.reported.$version, 1);
    });

    test('a desired change reaches the client', async () => {
      const patches = new hub.Inbox();
      const twin = await client.getTwin();
      twin.on('properties.desired', (patch) => patch.$version > 1 && patches.put(patch));
      await subscribedToDesired(twin);
      await hub.patchDesired(id, { interval: 5 });
      assert.deepEqual(await patches.take(), [{ interval: 5, $version: 2 }]);
      await hub.patchDesired(id, { interval: null });
      assert.deepEqual(await patches.take(), [{ interval: null, $version: 3 }]);
    });

    if (kind.module) {
      test('a message to an output carries its name', async () => {
        const message = new Message('{}');
        message.properties.add('key &=', 'v é+/');
        await client.sendOutputEvent('out1', message);
        const [event] = await hub.events(id.device);
        const { 'iothub-outputname': output } = { ...event.system, ...event.properties };
        assert.deepEqual([output, event.properties['key &=']], ['out1', 'v é+/']);
      });
    }
  });
}

test('the certificate of another device is refused', async () => {
  const [own, victim] = [hub.identity(hub.unique('node')), hub.identity(hub.unique('node'))];
  const credentials = await hub.caSigned(own);
  await hub.create(victim, { type: 'certificateAuthority' });
  await assert.rejects(connect(kinds[0], victim, credentials), { name: 'UnauthorizedError' });
});

/** The subscription is asked for in the background; another request of the same kind follows it. */
const subscribedToDesired = (twin) => new Promise((resolve, reject) => {
  twin.enableTwinDesiredPropertiesUpdates((error) => (error ? reject(error) : resolve()));
});

const update = (reported, patch) => new Promise((resolve, reject) => {
  reported.update(patch, (error) => (error ? reject(error) : resolve()));
});

/** A method subscription is asked for in the background too: until it is there, 404103. */
function notOnline(error) {
  assert.match(error.message, /404103/);
  return false;
}
