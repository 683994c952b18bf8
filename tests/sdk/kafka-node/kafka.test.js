// kafkajs against the hub.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import * as hub from './hub.js';
import { client, CODECS, Member, write } from './kafka.js';

const [UNKNOWN_TOPIC, MESSAGE_TOO_LARGE, TOPIC_DENIED] = [3, 10, 29];
const [TOPIC_EXISTS, INVALID_PARTITIONS, NON_EMPTY_GROUP] = [36, 37, 68];
const START = 1_700_000_000_000;

const numbered = (count) => Array.from({ length: count }, (_, number) => ({ value: `value ${number}` }));
const texts = (records) => records.map(({ value }) => value?.toString() ?? null);

let kafka, group, members;
beforeEach(() => {
  kafka = client(hub.broker(), hub.PASSWORD);
  group = hub.unique('group');
  members = [];
});
afterEach(() => Promise.all(members.map((member) => member.leave())));

/** A new member of the test's group, which leaves with the test. */
function join(topic, as = kafka) {
  const member = new Member(as, group, topic);
  members.push(member);
  return member.join();
}

/** What is in the topic. */
async function read(topic, count, as = kafka) {
  const member = await new Member(as, hub.unique('reader'), topic).join();
  try {
    await hub.eventually(() => member.failure || member.records.length >= count, `${count} records`);
  } finally {
    await member.leave();
  }
  assert.equal(member.failure, null);
  return member.records;
}

/** Runs with an admin client. */
async function administer(work) {
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const offsets = (topic) => administer((admin) => admin.fetchTopicOffsets(topic));

/** That `work` is refused with this error code of the protocol, whatever kafkajs wrapped it in. */
async function refused(code, work) {
  await assert.rejects(work, (error) => {
    const inner = error.errors?.[0] ?? error.groups?.[0] ?? error.cause ?? error;
    assert.equal(inner.code ?? inner.errorCode, code, `${error.stack} ${JSON.stringify(error)}`);
    return true;
  });
}

describe('records', () => {
  test('what was produced is read at the offsets that were acknowledged', async () => {
    const topic = await hub.topic(3);
    const messages = Array.from({ length: 60 }, (_, number) => ({ key: `key ${number % 7}`, value: `value ${number}` }));
    const answer = await write(kafka, topic, messages);
    assert.ok(answer.every(({ errorCode, baseOffset }) => errorCode === 0 && baseOffset === '0'));
    const records = await read(topic, 60);
    assert.deepEqual(texts(records).sort(), texts(messages).sort());
    for (const key of new Set(messages.map((message) => message.key))) {
      const ofKey = records.filter((record) => record.key.toString() === key);
      assert.equal(new Set(ofKey.map(({ partition }) => partition)).size, 1);
      assert.deepEqual(texts(ofKey), texts(messages.filter((message) => message.key === key)));
    }
  });

  test('messages without a key are read as they were sent', async () => {
    const topic = await hub.topic();
    await write(kafka, topic, numbered(20));
    const records = await read(topic, 20);
    assert.deepEqual(records.map(({ key, value, offset }) => [key, value.toString(), offset]), numbered(20).map(({ value }, offset) => [null, value, String(offset)]));
  });

  test('nothing empty is taken for nothing at all', async () => {
    const topic = await hub.topic();
    const sent = [{ key: 'key', value: null }, { key: 'key', value: '' }, { key: '', value: 'value' }, { key: null, value: 'value' }];
    await write(kafka, topic, sent);
    const records = await read(topic, sent.length);
    assert.deepEqual(records.map(({ key, value }) => ({ key: key?.toString() ?? null, value: value?.toString() ?? null })), sent);
  });

  test('headers and times come back', async () => {
    const topic = await hub.topic();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await write(kafka, topic, [{ value: 'v', timestamp: String(START), headers: { bytes, text: '°C', many: ['a', 'b'] } }]);
    const [record] = await read(topic, 1);
    assert.equal(record.timestamp, String(START));
    const { bytes: same, text, many } = record.headers;
    assert.deepEqual([Buffer.compare(same, bytes), text.toString(), many.map(String)], [0, '°C', ['a', 'b']]);
  });

  for (const codec of Object.keys(CODECS)) {
    test(`${codec} comes back byte for byte`, async () => {
      const topic = await hub.topic();
      const messages = Array.from({ length: 200 }, (_, number) => ({ value: `${number} `.repeat(400) }));
      await write(kafka, topic, messages, { codec });
      assert.deepEqual(texts(await read(topic, 200)), texts(messages));
    });
  }

  test('positions are found by time', async () => {
    const topic = await hub.topic();
    const minutes = Array.from({ length: 10 }, (_, minute) => ({ value: `${minute}`, timestamp: String(START + minute * 60_000) }));
    await write(kafka, topic, minutes);
    const at = (time) => administer((admin) => admin.fetchTopicOffsetsByTimestamp(topic, time));
    assert.equal((await at(START + 6 * 60_000))[0].offset, '6');
    assert.equal((await at(START + 1))[0].offset, '1');
    // kafkajs gives the next offset where there is none.
    assert.equal((await at(START + 10 * 60_000))[0].offset, '10');

    const member = await join(topic);
    await hub.eventually(() => member.records.length === 10, 'all records');
    member.records.length = 0;
    member.consumer.seek({ topic, partition: 0, offset: (await at(START + 6 * 60_000))[0].offset });
    await hub.eventually(() => member.records.length === 4, 'the last four');
    assert.deepEqual(texts(member.records), ['6', '7', '8', '9']);
  });

  test('an idempotent producer stores everything once', async () => {
    const topic = await hub.topic();
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    for (let part = 0; part < 5; part += 1) await producer.send({ topic, messages: numbered(100) });
    await producer.disconnect();
    const [{ low, high }] = await offsets(topic);
    assert.deepEqual([low, high], ['0', '500']);
  });

  test('a message larger than the limit is refused', async () => {
    const topic = await hub.topic();
    await refused(MESSAGE_TOO_LARGE, write(kafka, topic, [{ value: Buffer.alloc(3 << 19) }]));
    assert.equal((await offsets(topic))[0].high, '0');
  });

  test('producing to an unknown topic is an error and creates nothing', async () => {
    const name = hub.unique('never');
    await refused(UNKNOWN_TOPIC, write(kafka, name, numbered(1), { retry: { retries: 1 }, allowAutoTopicCreation: false }));
    assert.ok(!(await administer((admin) => admin.listTopics())).includes(name));
  });

  test('transactions are refused at once', async () => {
    const producer = kafka.producer({ transactionalId: hub.unique('transaction'), idempotent: true, maxInFlightRequests: 1, retry: { retries: 1 } });
    await assert.rejects(async () => {
      await producer.connect();
      const transaction = await producer.transaction();
      await transaction.send({ topic: await hub.topic(), messages: numbered(1) });
    });
    await producer.disconnect();
  });
});

describe('groups', () => {
  test('two members share and the rest goes to whoever stays', async () => {
    const topic = await hub.topic(4);
    const [first, second] = await Promise.all([join(topic), join(topic)]);
    const both = [first, second];
    await hub.eventually(() => both.every(({ assigned }) => assigned.length === 2), 'each member has its half');
    const halves = both.map(({ assigned }) => new Set(assigned));
    for (let partition = 0; partition < 4; partition += 1) {
      await write(kafka, topic, numbered(5).map((message) => ({ ...message, partition })));
    }
    await hub.eventually(() => both.every(({ records }) => records.length === 10), 'each member reads its half');
    assert.deepEqual(both.map(({ records }) => new Set(records.map(({ partition }) => partition))).map((each) => [...each].sort()), halves.map((each) => [...each].sort()));
    await Promise.all(both.map((member) => member.commit()));
    await second.leave();
    await hub.eventually(() => first.assigned.length === 4, 'who stays has every partition');
    for (let partition = 0; partition < 4; partition += 1) await write(kafka, topic, [{ value: 'last', partition }]);
    await hub.eventually(() => first.records.length === 14, 'who stays reads every partition, and nothing twice');
  });

  test('a committed position is kept through a kill of the hub', async () => {
    const topic = await hub.topic();
    await write(kafka, topic, numbered(10));
    const first = await join(topic);
    await hub.eventually(() => first.records.length === 10, 'the first member reads');
    await first.commit();
    await first.leave();
    await write(kafka, topic, [{ value: 'later' }]);
    await hub.restart({ kill: true });
    const second = await join(topic);
    await hub.eventually(() => second.records.length > 0, 'the second member reads');
    assert.deepEqual(second.records.map(({ offset, value }) => [offset, value.toString()]), [['10', 'later']]);
  });

  test('a member goes on after a restart of the hub', async () => {
    const topic = await hub.topic();
    await write(kafka, topic, numbered(3));
    const member = await join(topic);
    await hub.eventually(() => member.records.length === 3, 'the member reads');
    await member.commit();
    await hub.restart();
    await write(kafka, topic, numbered(3));
    // It joins again and begins where it committed, so records may come twice.
    const offsets = () => [...new Set(member.records.map(({ offset }) => offset))];
    await hub.eventually(() => offsets().length >= 6, 'the member reads on');
    assert.deepEqual(offsets(), ['0', '1', '2', '3', '4', '5']);
  });
});

describe('security', () => {
  const login = (password, username) => {
    const one = client(hub.broker(), password, username).admin({ retry: { retries: 0 } });
    return assert.rejects(one.connect().finally(() => one.disconnect()), /authentication/i);
  };

  test('a wrong key is refused', () => login(hub.PASSWORD.replace(/.(?=.{9}$)/, (letter) => (letter === 'A' ? 'B' : 'A'))));
  test('an unknown policy is refused', () => login(hub.PASSWORD.replace('iothubowner', 'nobody')));
  test('an unknown user is refused', () => login(hub.PASSWORD, 'somebody'));

  test('the connection string of the operator is a password too', async () => {
    const topic = await hub.topic();
    const operator = client(hub.broker(), hub.CONNECTION_STRING);
    await write(operator, topic, numbered(1));
    assert.deepEqual(texts(await read(topic, 1, operator)), ['value 0']);
  });

  test('a policy that listens cannot send', async () => {
    const topic = await hub.topic();
    await write(kafka, topic, numbered(1));
    const listener = client(hub.broker(), await hub.policy(topic, 'listen'));
    assert.deepEqual(texts(await read(topic, 1, listener)), ['value 0']);
    await refused(TOPIC_DENIED, write(listener, topic, numbered(1)));
    assert.equal((await offsets(topic))[0].high, '1');
  });
});

describe('administration', () => {
  let admin;
  before(async () => {
    admin = client(hub.broker(), hub.PASSWORD).admin();
    await admin.connect();
  });
  after(() => admin.disconnect());

  const create = (topic, numPartitions = 1, configEntries = []) =>
    admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }] });

  test('a topic is created, described, listed and deleted', async () => {
    const topic = hub.unique('kafkajs');
    await create(topic, 3, [{ name: 'retention.ms', value: '3600000' }]);
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    assert.equal(topics[0].partitions.length, 3);
    assert.ok((await admin.listTopics()).includes(topic));
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: 2, name: topic }] });
    const config = Object.fromEntries(resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue]));
    assert.deepEqual([config['retention.ms'], config['cleanup.policy']], ['3600000', 'delete']);
    await admin.deleteTopics({ topics: [topic] });
    assert.ok(!(await admin.listTopics()).includes(topic));
  });

  test('a topic that is there or is not is refused', async () => {
    const topic = await hub.topic();
    // kafkajs says false to a topic that is there.
    assert.equal(await create(topic), false);
    await refused(UNKNOWN_TOPIC, admin.deleteTopics({ topics: [hub.unique('never')], timeout: 500 }));
    await refused(UNKNOWN_TOPIC, admin.fetchTopicMetadata({ topics: [hub.unique('never')] }));
  });

  test('the partition count is fixed', async () => {
    const topic = await hub.topic(2);
    await refused(INVALID_PARTITIONS, admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] }));
  });

  test('a group is listed, described, read and deleted', async () => {
    const topic = await hub.topic();
    await write(kafka, topic, numbered(5));
    const member = await join(topic);
    await hub.eventually(() => member.records.length === 5, 'the member reads');
    await member.commit();
    assert.ok((await admin.listGroups()).groups.some(({ groupId }) => groupId === group));
    const { groups } = await admin.describeGroups([group]);
    assert.deepEqual([groups[0].state, groups[0].members.length], ['Stable', 1]);
    const [{ partitions }] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    assert.equal(partitions[0].offset, '5');
    await refused(NON_EMPTY_GROUP, admin.deleteGroups([group]));
    await member.leave();
    await admin.deleteGroups([group]);
    assert.ok(!(await admin.listGroups()).groups.some(({ groupId }) => groupId === group));
  });

  test('the cluster is described', async () => {
    const { brokers, controller } = await admin.describeCluster();
    assert.deepEqual([brokers.map(({ host, port }) => `${host}:${port}`), controller], [[hub.broker()], 0]);
  });
});
