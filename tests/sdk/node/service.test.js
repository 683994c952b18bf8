// The official Node service SDK against the hub, over HTTPS.

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import device from 'azure-iot-device';
import transports from 'azure-iot-device-mqtt';
import iothub from 'azure-iothub';
import * as hub from './hub.js';

const registry = iothub.Registry.fromConnectionString(hub.CONNECTION_STRING);
const service = iothub.Client.fromConnectionString(hub.CONNECTION_STRING);
const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');
const keys = { symmetricKey: { primaryKey: KEY, secondaryKey: OTHER_KEY } };

/** What a call answers, without the response it came in. */
const result = async (call) => (await call).responseBody;

let deviceId;
const create = () => result(registry.create({ deviceId, status: 'enabled', authentication: keys }));

beforeEach(() => {
  deviceId = hub.unique('service');
});

describe('devices', () => {
  test('a device is what was created', async () => {
    const created = await create();
    const read = await result(registry.get(deviceId));
    assert.deepEqual(read, created);
    assert.deepEqual([read.deviceId, read.status, read.authentication.type], [deviceId, 'enabled', 'sas']);
    assert.deepEqual(read.authentication.symmetricKey, keys.symmetricKey);
  });

  test('keys that were not given are made, and an update without keys keeps them', async () => {
    const created = await result(registry.create({ deviceId }));
    const made = created.authentication.symmetricKey;
    assert.ok(made.primaryKey && made.secondaryKey);
    const updated = await result(registry.update({ deviceId, status: 'disabled', statusReason: 'repair' }));
    assert.deepEqual([updated.status, updated.statusReason], ['disabled', 'repair']);
    assert.deepEqual(updated.authentication.symmetricKey, made);
  });

  test('thumbprints and certificate authorities are kept', async () => {
    const x509Thumbprint = { primaryThumbprint: 'A1'.repeat(32), secondaryThumbprint: 'B2'.repeat(20) };
    const pinned = await result(registry.create({ deviceId, authentication: { x509Thumbprint } }));
    assert.equal(pinned.authentication.type, 'selfSigned');
    assert.equal(pinned.authentication.x509Thumbprint.primaryThumbprint.toUpperCase(), x509Thumbprint.primaryThumbprint);
    const other = { deviceId: `${deviceId}-ca`, authentication: { type: 'certificateAuthority' } };
    assert.equal((await result(registry.create(other))).authentication.type, 'certificateAuthority');
  });

  test('creating twice is a conflict', async () => {
    await create();
    await assert.rejects(create(), { name: 'DeviceAlreadyExistsError' });
  });

  test('a deleted device is not found', async () => {
    await create();
    await registry.delete(deviceId);
    await assert.rejects(registry.get(deviceId), { name: 'DeviceNotFoundError' });
    await assert.rejects(registry.delete(deviceId), { name: 'DeviceNotFoundError' });
    await assert.rejects(registry.update({ deviceId, authentication: keys }), { name: 'DeviceNotFoundError' });
  });

  test('the list holds every device', async () => {
    await create();
    const listed = await result(registry.list());
    assert.ok(listed.some((each) => each.deviceId === deviceId));
  });

  test('an id outside the alphabet is refused', async () => {
    await assert.rejects(registry.create({ deviceId: 'a b' }), { name: 'ArgumentError' });
  });

  test('a wrong policy key is unauthorized', async () => {
    const wrong = hub.CONNECTION_STRING.replace(/SharedAccessKey=.*/, `SharedAccessKey=${KEY}`);
    await assert.rejects(iothub.Registry.fromConnectionString(wrong).get(deviceId), { name: 'UnauthorizedError' });
  });

  test('statistics count devices', async () => {
    const before = await result(registry.getRegistryStatistics());
    await create();
    const after = await result(registry.getRegistryStatistics());
    assert.equal(after.totalDeviceCount, before.totalDeviceCount + 1);
  });
});

describe('many devices at once', () => {
  const devices = (count) => Array.from({ length: count }, (_, at) => ({ deviceId: `${deviceId}-${at}`, authentication: keys }));

  test('a batch is created, updated and removed', async () => {
    const batch = devices(5);
    assert.equal((await result(registry.addDevices(batch))).isSuccessful, true);
    const disabled = batch.map((each) => ({ ...each, status: 'disabled' }));
    assert.equal((await result(registry.updateDevices(disabled, true))).isSuccessful, true);
    assert.equal((await result(registry.get(`${deviceId}-4`))).status, 'disabled');
    assert.equal((await result(registry.removeDevices(batch, true))).isSuccessful, true);
    await assert.rejects(registry.get(`${deviceId}-0`), { name: 'DeviceNotFoundError' });
  });

  test('a batch with a refused operation is an error', async () => {
    const batch = devices(2);
    await registry.addDevices(batch.slice(0, 1));
    await assert.rejects(registry.addDevices(batch), { name: 'ArgumentError' });
    assert.equal((await result(registry.get(`${deviceId}-1`))).deviceId, `${deviceId}-1`);
  });
});

describe('modules', () => {
  const moduleId = 'm';
  const add = () => result(registry.addModule({ deviceId, moduleId, managedBy: 'me', authentication: keys }));

  test('a module is created, read, updated, listed and removed', async () => {
    await create();
    const created = await add();
    assert.deepEqual(await result(registry.getModule(deviceId, moduleId)), created);
    const updated = await result(registry.updateModule({ ...created, managedBy: 'you' }));
    assert.equal(updated.managedBy, 'you');
    const listed = await result(registry.getModulesOnDevice(deviceId));
    assert.deepEqual(listed.map((each) => each.moduleId), [moduleId]);
    await registry.removeModule(deviceId, moduleId);
    assert.deepEqual(await result(registry.getModulesOnDevice(deviceId)), []);
  });

  test('creating twice is a conflict and a stale etag is refused', async () => {
    await create();
    const created = await add();
    await assert.rejects(add(), { name: 'DeviceAlreadyExistsError' });
    await registry.updateModule({ ...created, managedBy: 'you' });
    await assert.rejects(registry.updateModule({ ...created, managedBy: 'he' }), { name: 'InvalidEtagError' });
  });
});

describe('twins', () => {
  test('an update merges and gives the whole twin', async () => {
    await create();
    await registry.updateTwin(deviceId, { tags: { a: 1, b: 2 }, properties: { desired: { x: 1 } } }, '*');
    await registry.updateTwin(deviceId, { tags: { b: null } }, '*');
    const twin = await result(registry.getTwin(deviceId));
    assert.deepEqual([twin.tags, twin.properties.desired.x], [{ a: 1 }, 1]);
    assert.equal(twin.properties.desired.$version, 2);
  });

  test('the object of the SDK carries its etag', async () => {
    await create();
    const first = await result(registry.getTwin(deviceId));
    const second = await result(registry.getTwin(deviceId));
    await first.update({ tags: { a: 1 } });
    await assert.rejects(second.update({ tags: { a: 2 } }), { name: 'InvalidEtagError' });
    assert.deepEqual((await result(registry.getTwin(deviceId))).tags, { a: 1 });
  });

  test('a stale etag is refused', async () => {
    await create();
    const { etag } = await result(registry.getTwin(deviceId));
    await registry.updateTwin(deviceId, { tags: { a: 1 } }, etag);
    await assert.rejects(registry.updateTwin(deviceId, { tags: { a: 2 } }, etag), { name: 'InvalidEtagError' });
  });

  test('a module has a twin of its own', async () => {
    await create();
    await registry.addModule({ deviceId, moduleId: 'm', authentication: keys });
    await registry.updateModuleTwin(deviceId, 'm', { tags: { a: 1 } }, '*');
    assert.deepEqual((await result(registry.getModuleTwin(deviceId, 'm'))).tags, { a: 1 });
    assert.deepEqual((await result(registry.getTwin(deviceId))).tags, {});
  });

  test('the twin of an absent device is not found', async () => {
    await assert.rejects(registry.getTwin(deviceId), { name: 'DeviceNotFoundError' });
  });
});

describe('direct methods', () => {
  const call = (more = {}) => ({ methodName: 'reboot', payload: { a: 1 }, responseTimeoutInSeconds: 10, ...more });
  const invoke = async (more) => (await service.invokeDeviceMethod(deviceId, call(more))).result;

  async function connected(t) {
    const connectionString = await hub.withKey(hub.identity(deviceId));
    const client = device.Client.fromConnectionString(connectionString, transports.Mqtt);
    await client.setOptions({ ca: hub.CA });
    await client.open();
    t.after(() => client.close());
    return client;
  }

  test('the device answers through a call that waits for it', async (t) => {
    const client = await connected(t);
    client.onDeviceMethod('reboot', (request, response) => response.send(500, { echo: request.payload }));
    const answer = await invoke({ connectTimeoutInSeconds: 10 });
    assert.deepEqual([answer.status, answer.payload], [500, { echo: { a: 1 } }]);
  });

  test('a device that is away is not online', async () => {
    await create();
    await assert.rejects(invoke(), (error) => {
      assert.equal(error.response.statusCode, 404);
      assert.match(error.responseBody, /404103/);
      return true;
    });
  });

  test('an absent device is not found', async () => {
    await assert.rejects(invoke(), (error) => {
      assert.equal(error.response.headers['iothub-errorcode'], 'DeviceNotFound');
      return true;
    });
  });

  test('a device that does not answer times out', async (t) => {
    const client = await connected(t);
    client.onDeviceMethod('reboot', () => {});
    const late = invoke({ connectTimeoutInSeconds: 10, responseTimeoutInSeconds: 5 });
    await assert.rejects(late, { name: 'GatewayTimeoutError' });
  });
});
