"""The official Python service SDK against the hub, over HTTPS."""

import base64
import json
import threading
import unittest

import hub
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.protocol.models import (
    AuthenticationMechanism,
    CloudToDeviceMethod,
    ExportImportDevice,
    SymmetricKey,
    Twin,
    TwinProperties,
)
from hub import Identity, Inbox
from msrest.exceptions import HttpOperationError

KEY, OTHER_KEY = (base64.b64encode(bytes([byte]) * 32).decode() for byte in (1, 2))
SHA1, SHA256 = "A1" * 20, "B2" * 32


class ServiceClient(unittest.TestCase):
    """A registry manager, and the error a refusal carries."""

    def setUp(self):
        self.registry = IoTHubRegistryManager.from_connection_string(hub.CONNECTION_STRING)
        self.device = hub.unique("service")

    def create_device(self):
        return self.registry.create_device_with_sas(self.device, KEY, OTHER_KEY, "enabled")

    def refused(self, status, name, call, *arguments):
        """Asserts that `call` is refused with `status` and the error `name`, or its number."""
        with self.assertRaises(HttpOperationError) as caught:
            call(*arguments)
        response = caught.exception.response
        self.assertEqual(response.status_code, status, response.text)
        message = response.json()["Message"]
        if isinstance(name, int):
            self.assertEqual(json.loads(message)["errorCode"], name)
        else:
            self.assertEqual(response.headers["iothub-errorcode"], name)
            self.assertIn(f"ErrorCode:{name};", message)


class Devices(ServiceClient):
    """Device identities."""

    def test_a_device_is_what_was_created(self):
        created = self.create_device()
        read = self.registry.get_device(self.device)
        self.assertEqual(read.as_dict(), created.as_dict())
        self.assertEqual((read.device_id, read.status, read.connection_state), (self.device, "enabled", "Disconnected"))
        self.assertEqual(read.authentication.type, "sas")
        keys = read.authentication.symmetric_key
        self.assertEqual((keys.primary_key, keys.secondary_key), (KEY, OTHER_KEY))
        self.assertTrue(read.etag and read.generation_id)
        self.assertEqual(read.cloud_to_device_message_count, 0)

    def test_thumbprints_of_both_lengths_are_kept(self):
        created = self.registry.create_device_with_x509(self.device, SHA1, SHA256, "enabled")
        self.assertEqual(created.authentication.type, "selfSigned")
        kept = created.authentication.x509_thumbprint
        self.assertEqual((kept.primary_thumbprint.upper(), kept.secondary_thumbprint.upper()), (SHA1, SHA256))

    def test_a_certificate_authority_device_has_no_secrets(self):
        created = self.registry.create_device_with_certificate_authority(self.device, "disabled", status_reason="new")
        self.assertEqual((created.authentication.type, created.status), ("certificateAuthority", "disabled"))
        self.assertEqual(created.status_reason, "new")

    def test_creating_twice_is_a_conflict(self):
        self.create_device()
        self.refused(409, "DeviceAlreadyExists", self.create_device)

    def test_an_update_needs_the_current_etag(self):
        created = self.create_device()
        update = self.registry.update_device_with_sas
        updated = update(self.device, created.etag, OTHER_KEY, KEY, "disabled", status_reason="repair")
        self.assertNotEqual(updated.etag, created.etag)
        self.assertEqual((updated.status, updated.status_reason), ("disabled", "repair"))
        self.assertEqual(updated.authentication.symmetric_key.primary_key, OTHER_KEY)
        self.assertEqual(updated.generation_id, created.generation_id)
        self.refused(412, "PreconditionFailed", update, self.device, created.etag, KEY, KEY, "enabled")
        self.assertEqual(self.registry.get_device(self.device).status, "disabled")
        self.assertEqual(update(self.device, "*", KEY, KEY, "enabled").status, "enabled")

    def test_updating_a_device_that_is_not_there_creates_nothing(self):
        update = self.registry.update_device_with_sas
        self.refused(404, "DeviceNotFound", update, self.device, "*", KEY, KEY, "enabled")
        self.refused(404, "DeviceNotFound", self.registry.get_device, self.device)

    def test_a_deleted_device_is_gone_with_its_twin(self):
        first = self.create_device()
        self.refused(412, "PreconditionFailed", self.registry.delete_device, self.device, "bm90IGl0")
        self.registry.delete_device(self.device, first.etag)
        self.refused(404, "DeviceNotFound", self.registry.get_device, self.device)
        self.refused(404, "DeviceNotFound", self.registry.get_twin, self.device)
        self.refused(404, "DeviceNotFound", self.registry.delete_device, self.device)
        self.assertNotEqual(self.create_device().generation_id, first.generation_id)

    def test_the_list_holds_every_device_and_obeys_its_bound(self):
        self.create_device()
        self.registry.create_device_with_sas(f"{self.device}-2", "", "", "enabled")
        listed = {device.device_id for device in self.registry.get_devices(1000)}
        self.assertLessEqual({self.device, f"{self.device}-2"}, listed)
        self.assertEqual(len(self.registry.get_devices(1)), 1)

    def test_keys_that_were_not_given_are_made(self):
        keys = self.registry.create_device_with_sas(self.device, "", "", "enabled").authentication.symmetric_key
        self.assertTrue(keys.primary_key and keys.secondary_key)
        self.assertNotEqual(keys.primary_key, keys.secondary_key)

    def test_an_id_outside_the_alphabet_is_refused(self):
        create = self.registry.create_device_with_sas
        self.refused(400, "ArgumentInvalid", create, "a b", KEY, KEY, "enabled")
        self.refused(400, "ArgumentInvalid", create, "x" * 129, KEY, KEY, "enabled")

    def test_statistics_count_devices(self):
        before = self.registry.get_device_registry_statistics()
        self.create_device()
        self.registry.create_device_with_sas(f"{self.device}-off", KEY, KEY, "disabled")
        after = self.registry.get_device_registry_statistics()
        self.assertEqual(after.total_device_count - before.total_device_count, 2)
        self.assertEqual(after.enabled_device_count - before.enabled_device_count, 1)
        self.assertEqual(after.disabled_device_count - before.disabled_device_count, 1)


class Modules(ServiceClient):
    """Module identities."""

    def setUp(self):
        super().setUp()
        self.create_device()

    def create_module(self, module="m"):
        return self.registry.create_module_with_sas(self.device, module, "me", KEY, OTHER_KEY)

    def test_a_module_is_what_was_created(self):
        created = self.create_module()
        self.assertEqual(self.registry.get_module(self.device, "m").as_dict(), created.as_dict())
        self.assertEqual((created.device_id, created.module_id, created.managed_by), (self.device, "m", "me"))
        self.assertEqual(created.authentication.symmetric_key.primary_key, KEY)

    def test_creating_twice_is_a_conflict(self):
        self.create_module()
        self.refused(409, "ModuleAlreadyExistsOnDevice", self.create_module)

    def test_a_module_needs_its_device(self):
        self.device = hub.unique("absent")
        self.refused(404, "DeviceNotFound", self.create_module)

    def test_an_update_needs_the_current_etag(self):
        created = self.create_module()
        update = self.registry.update_module_with_x509
        updated = update(self.device, "m", "you", created.etag, SHA256, SHA1)
        self.assertEqual((updated.managed_by, updated.authentication.type), ("you", "selfSigned"))
        self.refused(412, "PreconditionFailed", update, self.device, "m", "me", created.etag, SHA1, SHA1)

    def test_modules_are_listed_and_deleted(self):
        self.create_module("a")
        self.create_module("b")
        listed = [module.module_id for module in self.registry.get_modules(self.device)]
        self.assertEqual(sorted(listed), ["a", "b"])
        self.registry.delete_module(self.device, "a")
        self.refused(404, "ModuleNotFound", self.registry.get_module, self.device, "a")
        self.assertEqual([module.module_id for module in self.registry.get_modules(self.device)], ["b"])
        self.registry.delete_device(self.device)
        self.refused(404, "DeviceNotFound", self.registry.get_modules, self.device)


class Twins(ServiceClient):
    """Device and module twins."""

    def setUp(self):
        super().setUp()
        self.create_device()

    def test_a_new_twin_is_empty(self):
        twin = self.registry.get_twin(self.device)
        self.assertEqual((twin.version, twin.etag, twin.tags), (2, "AAAAAAAAAAE=", {}))
        for section in (twin.properties.desired, twin.properties.reported):
            self.assertEqual(section["$version"], 1)
            self.assertEqual(set(section), {"$version", "$metadata"})

    def test_an_update_merges(self):
        first = Twin(tags={"site": {"floor": 1, "room": "a"}}, properties=TwinProperties(desired={"x": 1, "y": 2}))
        self.registry.update_twin(self.device, first)
        second = Twin(tags={"site": {"floor": 2}}, properties=TwinProperties(desired={"x": 3}))
        self.registry.update_twin(self.device, second)
        twin = self.registry.get_twin(self.device)
        self.assertEqual(twin.tags, {"site": {"floor": 2, "room": "a"}})
        desired = twin.properties.desired
        self.assertEqual((desired["x"], desired["y"], desired["$version"]), (3, 2, 3))
        self.assertEqual(set(desired["$metadata"]) - {"$lastUpdatedVersion"}, {"$lastUpdated", "x", "y"})

    def test_a_replacement_replaces_what_it_names(self):
        desired = TwinProperties(desired={"x": 1})
        before = self.registry.update_twin(self.device, Twin(tags={"a": 1, "b": 2}, properties=desired))
        replacement = Twin(tags={"c": 3}, properties=TwinProperties(desired={"y": 2}))
        after = self.registry.replace_twin(self.device, replacement, before.etag)
        self.assertEqual(after.tags, {"c": 3})
        shown = {name: value for name, value in after.properties.desired.items() if not name.startswith("$")}
        self.assertEqual(shown, {"y": 2})

    def test_a_write_needs_the_current_etag(self):
        stale = self.registry.get_twin(self.device).etag
        fresh = self.registry.update_twin(self.device, Twin(tags={"a": 1}), stale).etag
        self.assertNotEqual(fresh, stale)
        for write in (self.registry.update_twin, self.registry.replace_twin):
            self.refused(412, "PreconditionFailed", write, self.device, Twin(tags={"a": 2}), stale)
        self.assertEqual(self.registry.get_twin(self.device).tags, {"a": 1})

    def test_a_write_that_breaks_a_rule_changes_nothing(self):
        deep = {"leaf": 1}
        for _ in range(11):
            deep = {"level": deep}
        cases = {"forbidden key": {"a.b": 1}, "long text": {"a": "x" * 4097}, "depth": deep, "integer": {"a": 2**52}}
        for what, tags in cases.items():
            with self.subTest(what):
                self.refused(400, "ArgumentInvalid", self.registry.update_twin, self.device, Twin(tags=tags))
        self.assertEqual(self.registry.get_twin(self.device).etag, "AAAAAAAAAAE=")

    def test_the_twin_of_an_absent_device_is_not_found(self):
        self.refused(404, "DeviceNotFound", self.registry.get_twin, hub.unique("absent"))

    def test_a_module_has_a_twin_of_its_own(self):
        self.registry.create_module_with_sas(self.device, "m", "", KEY, KEY)
        updated = self.registry.update_module_twin(self.device, "m", Twin(tags={"a": 1}))
        self.assertEqual((updated.device_id, updated.module_id, updated.tags), (self.device, "m", {"a": 1}))
        refused = (self.device, "m", Twin(tags={"a": 2}), "AAAAAAAAAAE=")
        self.refused(412, "PreconditionFailed", self.registry.update_module_twin, *refused)
        replaced = self.registry.replace_module_twin(self.device, "m", Twin(tags={"b": 1}), updated.etag)
        self.assertEqual(replaced.tags, {"b": 1})
        self.assertEqual(self.registry.get_module_twin(self.device, "m").etag, replaced.etag)
        self.assertEqual(self.registry.get_twin(self.device).tags, {})


class Methods(ServiceClient):
    """Direct methods and what can go wrong with them."""

    def setUp(self):
        super().setUp()
        self.identity = Identity(self.device)
        self.connection_string = hub.with_key(self.identity)

    def client(self, kind=IoTHubDeviceClient):
        trust = {"server_verification_cert": hub.CA_FILE.read_text()}
        client = kind.create_from_connection_string(self.connection_string, connection_retry=False, **trust)
        self.addCleanup(client.shutdown)
        return client

    def answering(self, client, status, payload):
        def answer(request):
            client.send_method_response(MethodResponse.create_from_method_request(request, status, payload))

        client.on_method_request_received = answer

    def call(self, **options):
        return CloudToDeviceMethod(method_name="reboot", payload={"a": 1}, **options)

    def invoke(self, **options):
        return self.registry.invoke_device_method(self.device, self.call(**options))

    def test_the_device_s_status_and_payload_come_back(self):
        self.answering(self.client(), 500, ["broken", None])
        result = self.invoke(response_timeout_in_seconds=10)
        self.assertEqual((result.status, result.payload), (500, ["broken", None]))

    def test_a_module_s_answer_comes_back(self):
        self.identity = Identity(hub.unique("service"), "m")
        self.connection_string = hub.with_key(self.identity)
        self.answering(self.client(IoTHubModuleClient), 200, {"ok": True})
        result = self.registry.invoke_device_module_method(self.identity.device, "m", self.call())
        self.assertEqual((result.status, result.payload), (200, {"ok": True}))

    def test_a_device_that_is_away_is_not_online(self):
        self.refused(404, 404103, self.invoke)

    def test_a_device_that_has_not_subscribed_is_not_online(self):
        self.client().connect()
        self.refused(404, 404103, self.invoke)

    def test_an_absent_device_is_not_found(self):
        self.registry.delete_device(self.device)
        with self.assertRaises(HttpOperationError) as caught:
            self.invoke()
        self.assertEqual(caught.exception.response.status_code, 404)
        self.assertEqual(caught.exception.response.headers["iothub-errorcode"], "DeviceNotFound")

    def test_a_device_that_does_not_answer_times_out(self):
        requests = Inbox()
        self.client().on_method_request_received = requests.put
        self.refused(504, 504101, lambda: self.invoke(response_timeout_in_seconds=5))
        self.assertEqual(requests.take().name, "reboot")
        self.assertTrue(requests.empty(), "a method is never retried")

    def test_a_call_waits_for_the_device_to_connect(self):
        results = Inbox()
        invoke = lambda: results.put(self.invoke(connect_timeout_in_seconds=15, response_timeout_in_seconds=10))
        caller = threading.Thread(target=invoke)
        caller.start()
        self.addCleanup(caller.join)
        self.answering(self.client(), 200, "late")
        result = results.take("the answer")
        self.assertEqual((result.status, result.payload), (200, "late"))

    def test_a_timeout_outside_its_bounds_is_refused(self):
        for seconds in (4, 301):
            with self.subTest(seconds=seconds), self.assertRaises(HttpOperationError) as caught:
                self.invoke(response_timeout_in_seconds=seconds)
            self.assertEqual(caught.exception.response.status_code, 400)


class Bulk(ServiceClient):
    """Many registry operations in one request."""

    def item(self, device, mode, **fields):
        keys = SymmetricKey(primary_key=KEY, secondary_key=OTHER_KEY)
        authentication = AuthenticationMechanism(type="sas", symmetric_key=keys)
        return ExportImportDevice(id=device, import_mode=mode, authentication=authentication, status="enabled", **fields)

    def test_a_whole_batch_is_carried_out(self):
        ids = [f"{self.device}-{number}" for number in range(100)]
        result = self.registry.bulk_create_or_update_devices([self.item(each, "create") for each in ids])
        self.assertEqual((result.is_successful, result.errors), (True, []))
        self.assertEqual(self.registry.get_device(ids[99]).authentication.symmetric_key.primary_key, KEY)
        result = self.registry.bulk_create_or_update_devices([self.item(each, "delete") for each in ids])
        self.assertTrue(result.is_successful)
        self.refused(404, "DeviceNotFound", self.registry.get_device, ids[0])

    def test_refused_operations_are_named_and_the_others_stand(self):
        self.create_device()
        new = f"{self.device}-new"
        items = [self.item(self.device, "create"), self.item(new, "create")]
        result = self.registry.bulk_create_or_update_devices(items)
        self.assertFalse(result.is_successful)
        [error] = result.errors
        self.assertEqual((error.device_id, error.error_code), (self.device, "DeviceAlreadyExists"))
        self.assertEqual(self.registry.get_device(new).device_id, new)

    def test_what_is_new_is_created_and_what_is_there_replaced(self):
        self.create_device()
        new = f"{self.device}-new"
        for tag in range(2):
            items = [self.item(each, "createOrUpdate", tags={"round": tag}) for each in (self.device, new)]
            result = self.registry.bulk_create_or_update_devices(items)
            self.assertEqual((result.is_successful, result.errors), (True, []))
            for each in (self.device, new):
                self.assertEqual(self.registry.get_twin(each).tags, {"round": tag})
        stale = self.item(new, "createOrUpdateIfMatchETag", e_tag="bm8=", tags={"round": 2})
        [error] = self.registry.bulk_create_or_update_devices([stale]).errors
        self.assertEqual((error.device_id, error.error_code), (new, "PreconditionFailed"))
        self.assertEqual(self.registry.get_twin(new).tags, {"round": 1})

    def test_an_update_with_a_stale_etag_is_refused(self):
        created = self.create_device()
        self.registry.update_device_with_sas(self.device, created.etag, KEY, KEY, "enabled")
        item = self.item(self.device, "updateIfMatchETag", e_tag=created.etag)
        result = self.registry.bulk_create_or_update_devices([item])
        self.assertFalse(result.is_successful)
        self.assertEqual(result.errors[0].error_code, "PreconditionFailed")


class Statistics(ServiceClient):
    """What the hub counts."""

    def test_a_connected_device_is_counted(self):
        connection_string = hub.with_key(Identity(self.device))
        trust = {"server_verification_cert": hub.CA_FILE.read_text()}
        client = IoTHubDeviceClient.create_from_connection_string(connection_string, connection_retry=False, **trust)
        self.addCleanup(client.shutdown)
        before = self.registry.get_service_statistics().connected_device_count
        client.connect()
        count = lambda: self.registry.get_service_statistics().connected_device_count == before + 1
        hub.eventually(count, "the device counts as connected")
        state = lambda: self.registry.get_device(self.device).connection_state == "Connected"
        hub.eventually(state, "the device shows as connected")


if __name__ == "__main__":
    unittest.main()
