// One request on standard input: write messages in a codec, or read a topic from its beginning.

import { json } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import { client, Member, write } from './kafka.js';

const request = await json(process.stdin);
const kafka = client(request.broker, request.password);
const encode = (bytes) => bytes?.toString('base64') ?? null;
const decode = (text) => (text === null ? null : Buffer.from(text, 'base64'));

if (request.write) {
  const messages = request.messages.map(({ key, value }) => ({ key: decode(key), value: decode(value) }));
  await write(kafka, request.write, messages, { codec: request.codec });
  console.log('[]');
} else {
  const member = await new Member(kafka, `crossing-${randomBytes(5).toString('hex')}`, request.read).join();
  while (member.records.length < request.count && !member.failure) await new Promise((resume) => setTimeout(resume, 20));
  await member.leave();
  if (member.failure) throw member.failure;
  console.log(JSON.stringify(member.records.map((each) => ({ ...each, headers: undefined, key: encode(each.key), value: encode(each.value) }))));
}
