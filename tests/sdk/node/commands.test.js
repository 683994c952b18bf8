// Commands to the official Node device SDK over MQTT and HTTPS, and what their sender is told.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import common from 'azure-iot-common';
import device from 'azure-iot-device';
import web from 'azure-iot-device-http';
import transports from 'azure-iot-device-mqtt';
import * as hub from './hub.js';

const WAYS = ['none', 'positive', 'negative', 'full'];
// Which ways of asking want to know of an outcome.
const POSITIVE = ['positive', 'full'];
const NEGATIVE = ['negative', 'full'];
// A command that is abandoned so often is not delivered again.
const DELIVERIES_MAX = 10;

// What becomes of commands at each kind of client. Over MQTT, to receive one is to complete it.
const OVER_MQTT = ['Expired', 'Purged', 'Success'];
const OVER_HTTPS = ['Success', 'Rejected', 'DeliveryCountExceeded'];
const kinds = [
  { title: 'certificate over MQTT', register: hub.caSigned, transport: transports.Mqtt, outcomes: OVER_MQTT },
  { title: 'key over WebSocket', register: hub.withKey, transport: transports.MqttWs, outcomes: OVER_MQTT },
  { title: 'module over MQTT', register: hub.withKey, transport: transports.Mqtt, module: 'climate', outcomes: ['Expired', 'Success'] },
  { title: 'certificate over HTTPS', register: hub.caSigned, transport: web.Http, outcomes: OVER_HTTPS },
  { title: 'key over HTTPS', register: hub.withKey, transport: web.Http, outcomes: ['Expired', 'Success', 'Rejected'] },
];
const asking = (outcome) => (outcome === 'Success' ? POSITIVE : NEGATIVE);

/** A device or module of one kind, and the ids of what was sent to it. */
class Receiver {
  sent = {};
  arrived = new hub.Inbox();

  constructor(kind) {
    this.kind = kind;
    this.id = hub.identity(hub.unique('node-commands'), kind.module);
  }

  /** Listens for commands, and settles each as its correlation id says. */
  async connect(credentials) {
    const { module, transport } = this.kind;
    const byCertificate = typeof credentials !== 'string';
    const names = `HostName=${hub.HOST};DeviceId=${this.id.device};x509=true`;
    const library = module ? device.ModuleClient : device.Client;
    this.client = library.fromConnectionString(byCertificate ? names : credentials, transport);
    this.client.setRetryPolicy(new common.NoRetry());
    // Without a policy of receiving, the transport over HTTPS never says that it has taken its options.
    const http = { receivePolicy: { interval: 1, drain: true } };
    await this.client.setOptions({ ca: hub.CA, http, ...(byCertificate ? credentials : {}) });
    await this.client.open();
    if (module) this.client.on('inputMessage', (_input, message) => this.arrived.put(message));
    else this.client.on('message', (message) => this.settle(message));
  }

  async settle(message) {
    const how = { Rejected: 'reject', DeliveryCountExceeded: 'abandon' }[message.correlationId] ?? 'complete';
    try {
      await this.client[how](message);
      this.arrived.put(message);
    } catch (error) {
      this.arrived.put(error);
    }
  }

  /** One command for each way of asking, with the outcome it is going to have. */
  async send(outcome, fields = {}) {
    for (const ack of WAYS) {
      const messageId = hub.unique(`${outcome}-${ack}`);
      await hub.sendCommand(this.id, ack, { messageId, correlationId: outcome, ack, ...fields });
      (this.sent[outcome] ??= {})[ack] = messageId;
    }
  }

  /** Takes the commands that arrive, each as often as it does. */
  async take(outcome) {
    const times = outcome === 'DeliveryCountExceeded' ? DELIVERIES_MAX : 1;
    const ids = [];
    for (let count = 0; count < times * WAYS.length; count++) {
      const [message] = await this.arrived.take(`a command to be ${outcome}`);
      assert.ok(!(message instanceof Error), String(message));
      ids.push(message.messageId);
    }
    return ids;
  }

  drained = async () => (await hub.queuedCommands(this.id)).every((command) => command.state === 'deadLettered');
}

// What is told takes its time, so all is sent first, for every kind of client, and then read.
const receivers = kinds.map((kind) => new Receiver(kind));
const wanted = receivers.flatMap((receiver) =>
  receiver.kind.outcomes.flatMap((outcome) => asking(outcome).map((ack) => ({ receiver, outcome, ack }))));
let told;

before(async () => {
  const credentials = new Map();
  for (const receiver of receivers) credentials.set(receiver, await receiver.kind.register(receiver.id));
  const soon = new Date(Date.now() + 4000).toISOString();
  for (const receiver of receivers) {
    if (receiver.kind.outcomes.includes('Expired')) await receiver.send('Expired', { expiryTime: soon });
  }
  for (const receiver of receivers) {
    await hub.eventually(receiver.drained, 'commands expire by themselves');
    if (receiver.kind.outcomes.includes('Purged')) {
      await receiver.send('Purged');
      await hub.service('DELETE', `/devices/${receiver.id.path}/commands`);
    }
    await receiver.connect(credentials.get(receiver));
    for (const outcome of receiver.kind.outcomes.filter((each) => each !== 'Expired' && each !== 'Purged')) {
      await receiver.send(outcome);
      receiver.received = { ...receiver.received, [outcome]: await receiver.take(outcome) };
      await hub.eventually(receiver.drained, 'the queue is empty');
    }
  }
  // Outcomes are told in the order they come about, so what has not been told by then never is.
  const [first] = receivers;
  await hub.sendCommand(first.id, 'last', { messageId: `last-${first.id.device}`, ack: 'full' });
  await first.arrived.take('the last command');
  told = await hub.feedback(`last-${first.id.device}`, ...wanted.map(({ receiver, outcome, ack }) => receiver.sent[outcome][ack]));
});
after(() => Promise.all(receivers.map((receiver) => receiver.client?.close())));

for (const receiver of receivers) {
  const { title, outcomes } = receiver.kind;

  test(`${title}: what is neither expired nor purged arrives`, () => {
    for (const [outcome, ids] of Object.entries(receiver.received)) {
      const sent = Object.values(receiver.sent[outcome]);
      const times = outcome === 'DeliveryCountExceeded' ? DELIVERIES_MAX : 1;
      // Settled side by side over HTTPS, so in any order.
      assert.deepEqual([...new Set(ids)].sort(), [...sent].sort(), outcome);
      for (const id of sent) assert.equal(ids.filter((each) => each === id).length, times, outcome);
    }
  });

  for (const outcome of outcomes) {
    test(`${title}: who asked is told ${outcome}, and nobody else`, () => {
      for (const ack of WAYS) {
        const record = told.get(receiver.sent[outcome][ack]);
        if (!asking(outcome).includes(ack)) {
          assert.equal(record, undefined, ack);
          continue;
        }
        assert.equal(record.statusCode, outcome, ack);
        assert.deepEqual([record.deviceId, record.moduleId], [receiver.id.device, receiver.id.module]);
      }
    });
  }
}
