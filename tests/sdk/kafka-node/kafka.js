// kafkajs for tests: codecs that need no compiler, a login to the hub, groups and waiting.

import { init, compress, decompress } from '@bokuweb/zstd-wasm';
import kafkajs from 'kafkajs';
import snappy from 'kafkajs-snappy';
import lz4 from 'lz4-napi';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;
export const CODECS = { gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4, zstd: CompressionTypes.ZSTD };

await init();
CompressionCodecs[CompressionTypes.Snappy] = snappy;
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: (encoder) => lz4.compressFrame(encoder.buffer),
  decompress: (bytes) => lz4.decompressFrame(bytes),
});
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from(compress(encoder.buffer, 3)),
  decompress: async (bytes) => Buffer.from(decompress(bytes)),
});

/** A client of the hub; its CA comes by NODE_EXTRA_CA_CERTS. */
export function client(broker, password, username = '$ConnectionString') {
  const retry = { retries: 8, initialRetryTime: 100, maxRetryTime: 1000 };
  const sasl = { mechanism: 'plain', username, password };
  return new Kafka({ brokers: [broker], ssl: { servername: 'localhost' }, sasl, retry, logLevel: logLevel.NOTHING });
}

/** Sends the messages in one request a partition; gives the answer. */
export async function write(kafka, topic, messages, { codec, ...options } = {}) {
  const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner, ...options });
  await producer.connect();
  try {
    return await producer.send({ topic, messages, compression: CODECS[codec] ?? CompressionTypes.None });
  } finally {
    await producer.disconnect();
  }
}

/** A member of a group that keeps what it reads and commits only when told. */
export class Member {
  records = [];
  assigned = [];
  failure = null;

  constructor(kafka, group, topic) {
    this.topic = topic;
    this.consumer = kafka.consumer({ groupId: group, sessionTimeout: 6000, heartbeatInterval: 300, maxWaitTimeInMs: 300, rebalanceTimeout: 10000 });
    this.consumer.on('consumer.group_join', ({ payload }) => (this.assigned = payload.memberAssignment[topic] ?? []));
    this.consumer.on('consumer.rebalancing', () => (this.assigned = []));
    this.consumer.on('consumer.crash', ({ payload }) => (this.failure = payload.error));
  }

  async join() {
    await this.consumer.connect();
    await this.consumer.subscribe({ topic: this.topic, fromBeginning: true });
    const eachMessage = async ({ partition, message }) => void this.records.push({ partition, ...message });
    await this.consumer.run({ autoCommit: false, eachMessage });
    return this;
  }

  /** Commits the position behind the last record of each partition. */
  async commit() {
    const next = new Map(this.records.map(({ partition, offset }) => [partition, String(Number(offset) + 1)]));
    await this.consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic: this.topic, partition, offset })));
  }

  leave = () => this.consumer.disconnect();
}
