"""MQTT 5 with paho-mqtt 2: the hub's topics with what version 5 adds."""

import json
import socket
import unittest

import hub
import paho.mqtt.client as mqtt
from hub import Identity, Inbox
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

NOT_AUTHORIZED, CLIENT_ID_INVALID = 0x87, 0x85
TAKEN_OVER, TOPIC_INVALID = 0x8E, 0x90
RETAIN_UNSUPPORTED, QOS_UNSUPPORTED, SHARED_UNSUPPORTED = 0x9A, 0x9B, 0x9E


def properties(packet, **values):
    """Properties of one packet type."""
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


class Client:
    """A paho client whose callbacks land in inboxes."""

    def __init__(self, test, identity, credentials, **login):
        self.connacks, self.disconnects, self.messages = Inbox(), Inbox(), Inbox()
        self.subacks, self.pubacks = Inbox(), Inbox()
        client_id, username = login.get("client_id", identity.name), login.get("username", identity.username)
        manual_ack = login.get("manual_ack", False)
        options = {"protocol": mqtt.MQTTv5, "reconnect_on_failure": False, "manual_ack": manual_ack}
        self.paho = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, **options)
        certificate, key = credentials
        self.paho.tls_set(str(hub.CA_FILE), str(certificate), str(key))
        self.paho.username_pw_set(username)
        self.paho.on_connect = lambda _c, _u, flags, reason, props: self.connacks.put((flags, reason, props))
        self.paho.on_disconnect = lambda _c, _u, _flags, reason, _props: self.disconnects.put(reason)
        self.paho.on_message = lambda _c, _u, message: self.messages.put(message)
        self.paho.on_subscribe = lambda _c, _u, _mid, reasons, _props: self.subacks.put(reasons)
        self.paho.on_publish = lambda _c, _u, _mid, reason, _props: self.pubacks.put(reason)
        test.addCleanup(self.stop)

    def connect(self, clean_start=True, **values):
        """Connects; gives flags, reason and properties of the CONNACK."""
        self.paho.connect(hub.HOST, 8883, clean_start=clean_start, properties=properties(PacketTypes.CONNECT, **values))
        self.paho.loop_start()
        return self.connacks.take("the CONNACK")

    def stop(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def subscribe(self, *filters):
        """Subscribes at QoS 1; gives the reason codes as numbers."""
        self.paho.subscribe([(each, SubscribeOptions(qos=1)) for each in filters])
        return [reason.value for reason in self.subacks.take("the SUBACK")]

    def publish(self, topic, body, **values):
        """Publishes at QoS 1; gives the PUBACK's reason code as a number."""
        self.paho.publish(topic, body, qos=1, properties=properties(PacketTypes.PUBLISH, **values))
        return self.pubacks.take("the PUBACK").value


class Mqtt5(unittest.TestCase):
    """One device with a certificate under the development CA."""

    def setUp(self):
        self.identity = Identity(hub.unique("paho"))
        self.credentials = hub.ca_signed(self.identity)
        self.telemetry = f"devices/{self.identity.path}/messages/events/"
        self.commands = f"devices/{self.identity.path}/messages/devicebound/#"

    def client(self, **login):
        return Client(self, self.identity, self.credentials, **login)

    def connected(self, **login):
        client = self.client(**login)
        _, reason, _ = client.connect(SessionExpiryInterval=3600)
        self.assertEqual(reason.value, 0)
        return client


class Connecting(Mqtt5):
    """CONNECT and CONNACK."""

    def test_the_connack_says_what_the_hub_offers(self):
        flags, reason, offered = self.client().connect()
        self.assertEqual((reason.value, flags.session_present), (0, False))
        self.assertEqual(offered.MaximumQoS, 1)
        self.assertEqual(offered.RetainAvailable, 0)
        self.assertEqual(offered.SharedSubscriptionAvailable, 0)
        self.assertEqual(offered.ReceiveMaximum, 1024)
        self.assertEqual(offered.MaximumPacketSize, 266240)
        self.assertEqual(offered.TopicAliasMaximum, 10)

    def test_a_certificate_speaks_for_its_own_device_only(self):
        other = Identity(hub.unique("paho"))
        hub.create(other, {"type": "certificateAuthority"})
        _, reason, _ = Client(self, other, self.credentials).connect()
        self.assertEqual(reason.value, NOT_AUTHORIZED)

    def test_client_id_and_user_name_must_name_the_same_device(self):
        _, reason, _ = self.client(username=f"{hub.HOST}/somebody-else/?{hub.API}").connect()
        self.assertEqual(reason.value, CLIENT_ID_INVALID)

    def test_a_disabled_device_is_refused(self):
        body = {"deviceId": self.identity.device, "status": "disabled"}
        body["authentication"] = {"type": "certificateAuthority"}
        hub.service("PUT", f"/devices/{self.identity.device}", body, 200, {"If-Match": '"*"'})
        _, reason, _ = self.client().connect()
        self.assertEqual(reason.value, NOT_AUTHORIZED)

    def test_a_second_connection_wins_and_the_first_is_told(self):
        first, second = self.connected(), self.connected()
        self.assertEqual(first.disconnects.take("the DISCONNECT").value, TAKEN_OVER)
        self.assertEqual(second.publish(self.telemetry, "alive"), 0)

    def test_disabling_a_device_ends_its_connection(self):
        client = self.connected()
        body = {"deviceId": self.identity.device, "status": "disabled"}
        body["authentication"] = {"type": "certificateAuthority"}
        hub.service("PUT", f"/devices/{self.identity.device}", body, 200, {"If-Match": '"*"'})
        client.disconnects.take("the end of the connection")

    def test_the_will_of_a_lost_connection_becomes_telemetry(self):
        client = self.client()
        client.paho.will_set(self.telemetry + "cause=lost", "farewell", qos=1)
        client.connect()
        client.paho.socket().shutdown(socket.SHUT_RDWR)
        [event] = hub.events(self.identity.device, "--count", "1")
        self.assertEqual(event["body"], "farewell")
        self.assertEqual(event["properties"], {"cause": "lost", "iothub-MessageType": "Will"})


class Messages(Mqtt5):
    """Properties of messages, both ways."""

    def test_properties_of_a_publish_become_message_properties(self):
        user = [("plain", "value"), ("key &=/+", "v é+/%20 ")]
        values = {"UserProperty": user, "ContentType": "application/json"}
        self.assertEqual(self.connected().publish(self.telemetry + "%24.mid=m-1&bag=b", '{"t":1}', **values), 0)
        [event] = hub.events(self.identity.device)
        self.assertEqual(event["body"], '{"t":1}')
        self.assertEqual(event["properties"], {"bag": "b", **dict(user)})
        system = hub.system_properties(event)
        self.assertEqual((system["message-id"], system["content-type"]), ("m-1", "application/json"))

    def test_message_properties_become_properties_of_a_publish(self):
        client = self.connected()
        self.assertEqual(client.subscribe(self.commands), [1])
        sent = {"properties": {"a": "1", "b": "x+y"}, "contentType": "text/plain", "messageId": "cmd-1"}
        hub.send_command(self.identity, "go", **sent)
        message = client.messages.take()
        self.assertEqual((message.payload, message.qos, message.retain), (b"go", 1, False))
        self.assertEqual(message.properties.ContentType, "text/plain")
        user = dict(message.properties.UserProperty)
        self.assertEqual((user["a"], user["b"]), ("1", "x+y"))
        hub.eventually(lambda: not hub.queued_commands(self.identity), "the command is complete")

    def test_a_topic_alias_stands_for_its_topic(self):
        client = self.connected()
        self.assertEqual(client.publish(self.telemetry, "1", TopicAlias=1), 0)
        self.assertEqual(client.publish("", "2", TopicAlias=1), 0)
        self.assertEqual([event["body"] for event in hub.events(self.identity.device)], ["1", "2"])

    def test_the_hub_keeps_to_the_client_s_receive_maximum(self):
        client = self.client(manual_ack=True)
        client.connect(SessionExpiryInterval=3600, ReceiveMaximum=1)
        client.subscribe(self.commands, "$iothub/twin/res/#")
        for body in ("1", "2"):
            hub.send_command(self.identity, body)
        first = client.messages.take()
        self.assertEqual(first.payload, b"1")
        # The twin's answer passes the second command, which must wait for the first's PUBACK.
        client.paho.publish("$iothub/twin/GET/?$rid=1", "", qos=0)
        twin = client.messages.take("the twin")
        self.assertTrue(twin.topic.startswith("$iothub/twin/res/200/?$rid=1"), twin.topic)
        client.paho.ack(first.mid, 1)
        self.assertEqual(client.messages.take().payload, b"2")

    def test_a_method_is_answered(self):
        client = self.connected()
        client.subscribe("$iothub/methods/POST/#")

        def answer(_client, _userdata, message):
            rid = message.topic.partition("?$rid=")[2]
            client.paho.publish(f"$iothub/methods/res/200/?$rid={rid}", message.payload, qos=1)

        client.paho.on_message = answer
        reply = hub.invoke(self.identity, "echo", {"a": [1, None]})
        self.assertEqual((reply.status, reply.json), (200, {"status": 200, "payload": {"a": [1, None]}}))

    def test_a_stale_base_version_changes_nothing(self):
        client = self.connected()
        client.subscribe("$iothub/twin/res/#")
        patch = "$iothub/twin/PATCH/properties/reported/"
        self.assertEqual(client.publish(f"{patch}?$rid=a", '{"x":1}'), 0)
        self.assertEqual(client.messages.take().topic, "$iothub/twin/res/204/?$rid=a&$version=2")
        self.assertEqual(client.publish(f"{patch}?$rid=b&$version=1", '{"x":2}'), 0)
        refusal = client.messages.take()
        self.assertEqual(refusal.topic.partition("&")[0], "$iothub/twin/res/412/?$rid=b")
        self.assertEqual(json.loads(refusal.payload)["errorCode"], 412001)
        self.assertEqual(hub.twin(self.identity)["properties"]["reported"]["x"], 1)


class Sessions(Mqtt5):
    """What outlives a connection."""

    def test_a_session_outlives_its_connection_for_its_expiry_interval(self):
        first = self.connected()
        first.subscribe(self.commands)
        first.stop()
        first.disconnects.take("the disconnect")
        hub.send_command(self.identity, "kept")
        second = self.client()
        flags, reason, _ = second.connect(clean_start=False, SessionExpiryInterval=3600)
        self.assertEqual((reason.value, flags.session_present), (0, True))
        self.assertEqual(second.messages.take().payload, b"kept")

    def test_a_session_without_expiry_interval_ends_with_its_connection(self):
        first = self.client()
        first.connect()
        first.subscribe(self.commands)
        first.stop()
        first.disconnects.take("the disconnect")
        second = self.client()
        flags, _, _ = second.connect(clean_start=False, SessionExpiryInterval=3600)
        self.assertFalse(flags.session_present)

    def test_a_clean_start_forgets_the_session(self):
        first = self.connected()
        first.subscribe(self.commands)
        first.stop()
        first.disconnects.take("the disconnect")
        flags, _, _ = self.client().connect(clean_start=True, SessionExpiryInterval=3600)
        self.assertFalse(flags.session_present)
        hub.send_command(self.identity, "waits for a subscription")
        self.assertEqual([each["state"] for each in hub.queued_commands(self.identity)], ["enqueued"])


class Refusals(Mqtt5):
    """What the hub does not offer, each with its reason code."""

    def disconnected_with(self, client):
        return client.disconnects.take("the DISCONNECT").value

    def test_qos_2_is_not_supported(self):
        client = self.connected()
        client.paho.publish(self.telemetry, "x", qos=2)
        self.assertEqual(self.disconnected_with(client), QOS_UNSUPPORTED)
        self.assertEqual(hub.events(self.identity.device), [])

    def test_retained_messages_are_not_supported(self):
        client = self.connected()
        client.paho.publish(self.telemetry, "x", qos=1, retain=True)
        self.assertEqual(self.disconnected_with(client), RETAIN_UNSUPPORTED)
        self.assertEqual(hub.events(self.identity.device), [])

    def test_shared_subscriptions_are_not_supported(self):
        client = self.connected()
        answers = Inbox()
        client.paho.on_subscribe = lambda _c, _u, _mid, reasons, _props: answers.put(reasons[0])
        client.paho.on_disconnect = lambda _c, _u, _flags, reason, _props: answers.put(reason)
        client.paho.subscribe(f"$share/group/{self.commands}", qos=1)
        self.assertEqual(answers.take("a SUBACK or DISCONNECT").value, SHARED_UNSUPPORTED)

    def test_a_foreign_filter_is_refused_and_the_connection_lives(self):
        client = self.connected()
        answers = client.subscribe("devices/somebody-else/messages/devicebound/#", self.commands)
        self.assertEqual(answers, [NOT_AUTHORIZED, 1])
        self.assertEqual(client.publish(self.telemetry, "alive"), 0)

    def test_a_topic_that_the_hub_does_not_have_ends_the_connection(self):
        client = self.connected()
        client.paho.publish("some/topic", "x", qos=1)
        self.assertEqual(self.disconnected_with(client), TOPIC_INVALID)

    def test_the_topic_of_another_device_ends_the_connection(self):
        victim = Identity(hub.unique("paho"))
        hub.create(victim, {"type": "certificateAuthority"})
        client = self.connected()
        client.paho.publish(f"devices/{victim.device}/messages/events/", "x", qos=1)
        self.assertEqual(self.disconnected_with(client), NOT_AUTHORIZED)
        self.assertEqual(hub.events(victim.device), [])


if __name__ == "__main__":
    unittest.main()
