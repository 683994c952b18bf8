"""The official Python device SDK against the hub: the same promises for every kind of client."""

import base64
import json
import unittest

import hub
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse, X509
from azure.iot.device.common.pipeline.pipeline_exceptions import PipelineNotRunning
from azure.iot.device.exceptions import ClientError, CredentialError
from hub import Identity, Inbox

AWKWARD = {"plain": "value", "key &=/+": "v é+/%20 ", "empty": ""}


def shut_down(client):
    """A client may be shut down once only, and some tests do it themselves."""
    try:
        client.shutdown()
    except PipelineNotRunning:
        pass


class Promises:
    """What each kind of client is promised. A kind says how to register and how to make a client."""

    options = {}
    scope = "device"
    proof = "x509"

    def setUp(self):
        self.identity = self.new_identity()
        self.prepare()
        self.client = self.connected()

    def new_identity(self):
        return Identity(hub.unique("python"))

    def made(self):
        options = {"server_verification_cert": hub.CA_FILE.read_text(), "connection_retry": False}
        client = self.make({**options, **self.options})
        self.addCleanup(shut_down, client)
        return client

    def connected(self):
        client = self.made()
        client.connect()
        return client

    def commands(self, client):
        inbox = Inbox()
        client.on_message_received = inbox.put
        return inbox

    # telemetry

    def test_telemetry_is_read_back_with_its_properties(self):
        message = Message('{"t": 21.5, "unit": "°C"}', "m-1", "utf-8", "application/json")
        message.correlation_id, message.user_id = "c-1", "u-1"
        message.custom_properties = dict(AWKWARD)
        self.client.send_message(message)
        [event] = hub.events(self.identity.device)
        self.assertEqual(event["hub"], "events")
        self.assertEqual((event["deviceId"], event["moduleId"]), (self.identity.device, self.identity.module))
        self.assertEqual(event["body"], message.data)
        self.assertEqual(event["properties"], AWKWARD)
        expect = {
            "iothub-connection-device-id": self.identity.device,
            "iothub-message-source": "Telemetry",
            "message-id": "m-1",
            "correlation-id": "c-1",
            "user-id": "u-1",
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "auth": (self.scope, self.proof[:4]),
        }
        if self.identity.module is not None:
            expect["iothub-connection-module-id"] = self.identity.module
        self.assertEqual(hub.system_properties(event), expect)

    def test_any_bytes_are_a_body(self):
        body = bytes(range(256))
        self.client.send_message(Message(body))
        [event] = hub.events(self.identity.device)
        self.assertEqual(base64.b64decode(event["bodyBase64"]), body)
        self.assertEqual(event["properties"], {})

    def test_acknowledged_messages_are_stored_in_the_order_sent(self):
        bodies = [str(number) for number in range(25)]
        for body in bodies:
            self.client.send_message(body)
        stored = hub.events(self.identity.device)
        self.assertEqual([event["body"] for event in stored], bodies)
        first = stored[0]["sequence"]
        self.assertTrue(all(event["sequence"] >= first + at for at, event in enumerate(stored)))
        self.assertEqual(len({event["partition"] for event in stored}), 1)

    # commands

    def test_a_command_arrives_with_its_properties_and_is_completed_by_receiving_it(self):
        inbox = self.commands(self.client)
        fields = {
            "messageId": "cmd-1",
            "correlationId": "c-1",
            "userId": "u-1",
            "contentType": "application/json",
            "contentEncoding": "utf-8",
            "ack": "full",
            "properties": {"prop": "a%20b", "other": "x+y"},
        }
        hub.send_command(self.identity, '{"go": "ünïcode"}', **fields)
        message = inbox.take("the command")
        self.assertEqual(message.data.decode(), '{"go": "ünïcode"}')
        self.assertEqual(message.custom_properties, fields["properties"])
        system = (message.message_id, message.correlation_id, message.user_id)
        self.assertEqual(system, ("cmd-1", "c-1", "u-1"))
        self.assertEqual((message.content_type, message.content_encoding), ("application/json", "utf-8"))
        self.assertEqual(message.ack, "full")
        hub.eventually(lambda: not hub.queued_commands(self.identity), "the queue is empty")

    def test_a_completed_command_is_not_sent_again_after_a_reconnect(self):
        inbox = self.commands(self.client)
        hub.send_command(self.identity, "first")
        self.assertEqual(inbox.take().data, b"first")
        hub.eventually(lambda: not hub.queued_commands(self.identity), "the command is complete")
        self.client.disconnect()
        hub.send_command(self.identity, "second")
        self.client.connect()
        self.assertEqual(inbox.take().data, b"second")

    def test_commands_sent_while_the_device_was_away_arrive_in_order(self):
        inbox = self.commands(self.client)
        hub.send_command(self.identity, "before")
        self.assertEqual(inbox.take().data, b"before")
        self.client.disconnect()
        for body in ("1", "2", "3"):
            hub.send_command(self.identity, body)
        self.client.connect()
        self.assertEqual([inbox.take().data for _ in range(3)], [b"1", b"2", b"3"])
        hub.eventually(lambda: not hub.queued_commands(self.identity), "the queue is empty")

    def test_commands_wait_for_a_client_that_starts_anew(self):
        self.commands(self.client)
        self.client.shutdown()
        hub.send_command(self.identity, "kept")
        # The session outlives the client: its command comes right behind the CONNACK, so whoever
        # takes it must be there first. Setting the handler connects.
        inbox = self.commands(self.made())
        self.assertEqual(inbox.take().data, b"kept")

    # direct methods

    def test_a_method_is_answered(self):
        requests = Inbox()

        def answer(request):
            requests.put(request)
            payload = {"echo": request.payload, "name": request.name}
            self.client.send_method_response(MethodResponse.create_from_method_request(request, 207, payload))

        self.client.on_method_request_received = answer
        reply = hub.invoke(self.identity, "reboot", {"delay": 3, "why": "ü"})
        self.assertEqual(reply.status, 200, reply.text)
        expect = {"status": 207, "payload": {"echo": {"delay": 3, "why": "ü"}, "name": "reboot"}}
        self.assertEqual(reply.json, expect)
        self.assertEqual(requests.take().name, "reboot")

    # twins

    def test_the_twin_holds_what_the_service_wrote(self):
        hub.patch_desired(self.identity, {"interval": 10, "nested": {"a": [1, "x", True]}})
        twin = self.client.get_twin()
        self.assertEqual(set(twin), {"desired", "reported"})
        desired = {"interval": 10, "nested": {"a": [1, "x", True]}, "$version": 2}
        self.assertEqual(twin, {"desired": desired, "reported": {"$version": 1}})

    def test_a_reported_patch_is_seen_by_the_service(self):
        self.client.patch_twin_reported_properties({"firmware": "1.2", "old": {"x": 1, "y": 2}})
        self.client.patch_twin_reported_properties({"old": {"x": None}, "ok": True})
        reported = hub.twin(self.identity)["properties"]["reported"]
        metadata = reported.pop("$metadata")
        self.assertEqual(reported, {"firmware": "1.2", "old": {"y": 2}, "ok": True, "$version": 3})
        self.assertEqual(set(metadata), {"$lastUpdated", "firmware", "old", "ok"})

    def test_a_reported_patch_that_breaks_a_rule_changes_nothing(self):
        with self.assertRaises(ClientError):
            self.client.patch_twin_reported_properties({"with.dot": 1})
        self.assertEqual(self.client.get_twin()["reported"], {"$version": 1})

    def test_a_desired_change_reaches_the_client(self):
        patches = Inbox()
        self.client.on_twin_desired_properties_patch_received = patches.put
        hub.patch_desired(self.identity, {"interval": 5, "gone": 1})
        self.assertEqual(patches.take(), {"interval": 5, "gone": 1, "$version": 2})
        hub.patch_desired(self.identity, {"gone": None})
        self.assertEqual(patches.take(), {"gone": None, "$version": 3})
        self.assertEqual(self.client.get_twin()["desired"], {"interval": 5, "$version": 3})


class CaSigned(Promises, unittest.TestCase):
    """A certificate under an enrolled CA."""

    def prepare(self):
        self.certificate, self.key = hub.ca_signed(self.identity)

    def make(self, options):
        x509 = X509(str(self.certificate), str(self.key))
        return IoTHubDeviceClient.create_from_x509_certificate(x509, hub.HOST, self.identity.device, **options)

    def test_the_certificate_of_another_device_is_refused(self):
        victim = Identity(hub.unique("python"))
        hub.create(victim, {"type": "certificateAuthority"})
        self.identity = victim
        with self.assertRaises(CredentialError):
            self.connected()


class Thumbprint(CaSigned):
    """A self-signed certificate, known by its primary thumbprint."""

    def prepare(self):
        self.certificate, self.key = hub.pinned(self.identity)


class SecondaryThumbprint(CaSigned):
    """A self-signed certificate, known by its secondary thumbprint."""

    def prepare(self):
        self.certificate, self.key = hub.pinned(self.identity, "secondaryThumbprint")


class SymmetricKey(Promises, unittest.TestCase):
    """A token made from the device's key."""

    proof = "sas"

    def prepare(self):
        self.connection_string = hub.with_key(self.identity)

    def make(self, options):
        return IoTHubDeviceClient.create_from_connection_string(self.connection_string, **options)

    def test_a_wrong_key_is_refused(self):
        wrong = base64.b64encode(b"x" * 32).decode()
        self.connection_string = f"HostName={hub.HOST};DeviceId={self.identity.device};SharedAccessKey={wrong}"
        with self.assertRaises(CredentialError):
            self.connected()


class WebSocketSymmetricKey(SymmetricKey):
    """The same over a WebSocket on port 443."""

    options = {"websockets": True}


class WebSocketCaSigned(CaSigned):
    """A certificate, over a WebSocket on port 443."""

    options = {"websockets": True}


class ModuleSymmetricKey(Promises, unittest.TestCase):
    """A module with keys of its own."""

    scope = "module"
    proof = "sas"

    def new_identity(self):
        return Identity(hub.unique("python"), "climate")

    def prepare(self):
        self.connection_string = hub.with_key(self.identity)

    def make(self, options):
        return IoTHubModuleClient.create_from_connection_string(self.connection_string, **options)

    def test_a_message_to_an_output_carries_its_name(self):
        self.client.send_message_to_output(Message(json.dumps({"t": 1})), "out1")
        [event] = hub.events(self.identity.device)
        self.assertEqual({**event["system"], **event["properties"]}["iothub-outputname"], "out1")


class ModuleCaSigned(ModuleSymmetricKey):
    """A module with a certificate of its own."""

    proof = "x509"

    def prepare(self):
        self.certificate, self.key = hub.ca_signed(self.identity)

    def make(self, options):
        x509 = X509(str(self.certificate), str(self.key))
        module = (self.identity.device, self.identity.module)
        return IoTHubModuleClient.create_from_x509_certificate(x509, hub.HOST, *module, **options)


if __name__ == "__main__":
    unittest.main()
