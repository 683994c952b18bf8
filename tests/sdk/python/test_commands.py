"""Commands to the official Python device SDK over MQTT, and what their sender is told of them."""

import unittest
from datetime import UTC, datetime, timedelta

import hub
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, X509
from hub import Identity, Inbox

# Which ways of asking want to know of an outcome.
WANTED = {"Success": {"positive", "full"}, "Expired": {"negative", "full"}, "Purged": {"negative", "full"}}
WAYS = ("none", "positive", "negative", "full")


class CaSigned:
    """A device with a certificate."""

    module = None

    def __init__(self):
        self.identity = Identity(hub.unique("python-commands"), self.module)
        self.prepare()
        self.inbox = Inbox()
        self.client = None
        # Message ids by outcome and way of asking.
        self.sent = {}

    def prepare(self):
        self.certificate, self.key = hub.ca_signed(self.identity)

    def make(self, options):
        x509 = X509(str(self.certificate), str(self.key))
        return IoTHubDeviceClient.create_from_x509_certificate(x509, hub.HOST, self.identity.device, **options)

    def connect(self):
        """From now on commands arrive, and with that are completed."""
        self.client = self.make({"server_verification_cert": hub.CA_FILE.read_text(), "connection_retry": False})
        self.client.on_message_received = self.inbox.put
        self.client.connect()

    def send(self, outcome, **fields):
        """One command for each way of asking, with the outcome it is going to have."""
        for way in WAYS:
            message_id = hub.unique(f"{outcome}-{way}")
            hub.send_command(self.identity, way, messageId=message_id, ack=way, **fields)
            self.sent[outcome, way] = message_id

    def queue_is_empty(self):
        return not hub.queued_commands(self.identity)


class SymmetricKey(CaSigned):
    """A device with a key."""

    def prepare(self):
        self.connection_string = hub.with_key(self.identity)

    def make(self, options):
        return IoTHubDeviceClient.create_from_connection_string(self.connection_string, **options)


class Module(SymmetricKey):
    """A module, which takes its commands from an input."""

    module = "climate"

    def make(self, options):
        return IoTHubModuleClient.create_from_connection_string(self.connection_string, **options)


class Feedback(unittest.TestCase):
    """Every outcome that there is over MQTT, asked for in every way.

    What is told takes its time, so all is sent first, for every kind of client, and then read.
    """

    @classmethod
    def setUpClass(cls):
        cls.receivers = [CaSigned(), SymmetricKey(), Module()]
        soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        for receiver in cls.receivers:
            receiver.send("Expired", expiryTime=soon)
        for receiver in cls.receivers:
            hub.eventually(receiver.queue_is_empty, "commands expire by themselves")
            receiver.send("Purged")
            hub.service("DELETE", f"/devices/{receiver.identity.path}/commands", expect=200)
            receiver.connect()
            cls.addClassCleanup(receiver.client.shutdown)
            receiver.send("Success")
        for receiver in cls.receivers:
            receiver.arrived = [receiver.inbox.take("a command") for _ in WAYS]
            hub.eventually(receiver.queue_is_empty, "commands are completed")
        # Outcomes are told in the order they come about, so what has not been told by then never is.
        last = cls.receivers[-1]
        last_id = hub.send_command(last.identity, "last", ack="full")
        last.inbox.take("the last command")
        cls.told = hub.feedback(last_id, *(receiver.sent[outcome, way] for receiver, outcome, way in cls.wanted()))

    @classmethod
    def wanted(cls):
        return [(receiver, outcome, way) for receiver in cls.receivers for outcome in WANTED for way in WANTED[outcome]]

    def test_only_what_is_neither_expired_nor_purged_arrives(self):
        for receiver in self.receivers:
            with self.subTest(type(receiver).__name__):
                arrived = [(message.data.decode(), message.ack) for message in receiver.arrived]
                self.assertEqual(arrived, [("none", None), *((way, way) for way in WAYS[1:])])
                ids = [message.message_id for message in receiver.arrived]
                self.assertEqual(ids, [receiver.sent["Success", way] for way in WAYS])

    def test_every_sender_who_asked_is_told_the_outcome(self):
        for receiver, outcome, way in self.wanted():
            with self.subTest(type(receiver).__name__, outcome=outcome, ack=way):
                record = self.told[receiver.sent[outcome, way]]
                self.assertEqual(record["statusCode"], outcome)
                self.assertEqual((record["deviceId"], record.get("moduleId")), (receiver.identity.device, receiver.identity.module))
                device = hub.service("GET", f"/devices/{receiver.identity.path}", expect=200).json
                self.assertEqual(record["deviceGenerationId"], device["generationId"])

    def test_nobody_is_told_what_he_did_not_ask_for(self):
        wanted = {receiver.sent[outcome, way] for receiver, outcome, way in self.wanted()}
        sent = {message_id for receiver in self.receivers for message_id in receiver.sent.values()}
        self.assertEqual(sent & set(self.told), wanted)


if __name__ == "__main__":
    unittest.main()
