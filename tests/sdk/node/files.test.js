// Files uploaded with the official Node device SDK, which sends them in blocks of its own.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Readable } from 'node:stream';
import common from 'azure-iot-common';
import device from 'azure-iot-device';
import web from 'azure-iot-device-http';
import transports from 'azure-iot-device-mqtt';
import * as hub from './hub.js';

const SMALL = Buffer.from('one line\n');
// More than two of the SDK's blocks of 4 MiB.
const LARGE = randomBytes(9 * 1024 * 1024 + 1);

const kinds = [
  { title: 'certificate, beside MQTT', register: hub.caSigned, transport: transports.Mqtt },
  { title: 'certificate, beside HTTPS', register: hub.caSigned, transport: web.Http },
  { title: 'symmetric key, beside MQTT', register: hub.withKey, transport: transports.Mqtt },
];

for (const kind of kinds) {
  describe(kind.title, () => {
    let id, client;

    beforeEach(async () => {
      id = hub.identity(hub.unique('node-files'));
      const credentials = await kind.register(id);
      const byCertificate = typeof credentials !== 'string';
      const names = `HostName=${hub.HOST};DeviceId=${id.device};x509=true`;
      client = device.Client.fromConnectionString(byCertificate ? names : credentials, kind.transport);
      client.setRetryPolicy(new common.NoRetry());
      // Without a policy of receiving, the transport over HTTPS never says that it has taken its options.
      const http = { receivePolicy: { interval: 1 } };
      await client.setOptions({ ca: hub.CA, http, ...(byCertificate ? credentials : {}) });
    });
    afterEach(() => client.close());

    const put = (info, content) =>
      fetch(`https://${info.hostName}/${info.containerName}/${info.blobName}${info.sasToken}`, { method: 'PUT', body: content });

    async function assertStored(name, content) {
      const path = `uploads/${id.device}/${name}`;
      const { status, bytes } = await hub.ask('GET', `/files/${path.split('/').map(encodeURIComponent).join('/')}`);
      assert.equal(status, 200);
      const hash = (buffer) => createHash('sha256').update(buffer).digest('hex');
      assert.equal(hash(bytes), hash(content));
      const listed = JSON.parse(await hub.hubctl('file', 'list', '--device', id.device, '--output', 'json'));
      const file = listed.find((each) => each.blobName === `${id.device}/${name}`);
      assert.equal(file.blobSizeInBytes, content.length);
    }

    for (const [name, content] of [['small file.txt', SMALL], ['large.bin', LARGE]]) {
      test(`${name} is read back and told to the service`, async () => {
        await client.uploadToBlob(name, Readable.from([content], { objectMode: false }), content.length);
        await assertStored(name, content);
        const told = await hub.fileNotification(`${id.device}/${name}`);
        assert.deepEqual([told.deviceId, told.blobSizeInBytes], [id.device, content.length]);
      });
    }

    test('a link is given out, used by anybody, and ends with its upload', async () => {
      const info = await client.getBlobSharedAccessSignature('by-hand');
      assert.equal((await put(info, SMALL)).status, 201);
      await client.notifyBlobUploadStatus(info.correlationId, true, 201, 'Created');
      await hub.fileNotification(info.blobName);
      const late = await put(info, 'more');
      assert.deepEqual([late.status, late.headers.get('x-ms-error-code')], [403, 'AuthenticationFailed']);
      await assertStored('by-hand', SMALL);
    });

    test('a link that was changed writes nothing', async () => {
      const info = await client.getBlobSharedAccessSignature('mine');
      const changes = {
        signature: { sasToken: info.sasToken.replace(/sig=(.)/, (_, first) => `sig=${first === 'A' ? 'B' : 'A'}`) },
        expiry: { sasToken: info.sasToken.replace(/se=20../, 'se=2099') },
        'another name': { blobName: `${id.device}/other` },
      };
      for (const [what, change] of Object.entries(changes)) {
        assert.notDeepEqual({ ...info, ...change }, info);
        assert.equal((await put({ ...info, ...change }, SMALL)).status, 403, what);
      }
      assert.deepEqual(await hub.service('GET', `/files?device=${id.device}`), []);
    });

    test('an upload that failed is told to nobody', async () => {
      const broken = Readable.from((async function* () {
        yield SMALL;
        throw new Error('the sensor went away');
      })());
      await assert.rejects(client.uploadToBlob('broken', broken, SMALL.length));
      await client.uploadToBlob('whole', Readable.from([SMALL], { objectMode: false }), SMALL.length);
      await hub.fileNotification(`${id.device}/whole`);
      assert.ok(!hub.wasToldOfFile(`${id.device}/broken`));
    });
  });
}
