"""kcat against the hub, and what devices send as Kafka clients see it."""

import json
import subprocess
import unittest

import hub
import kafka_hub
import promises
from clients import Message, Refused, settle
from clients.confluent import Confluent
from clients.kcat import FORMAT, Kcat
from hub import Identity


class Records(promises.Records, unittest.TestCase):
    """Producing and reading."""

    client_class = Kcat
    idempotent = {"enable.idempotence": "true"}

    def test_what_was_produced_is_read_at_the_offsets_that_were_acknowledged(self):
        # kcat tells no offsets.
        topic = kafka_hub.topic(partitions=3)
        messages = [Message(f"value {number}".encode(), f"key {number % 7}".encode()) for number in range(60)]
        self.client.write(topic, messages)
        records = self.client.read(topic, len(messages))
        self.assertEqual(sorted((each.key, each.value) for each in records), sorted((each.key, each.value) for each in messages))
        for key in {message.key for message in messages}:
            of_key = [record for record in records if record.key == key]
            self.assertEqual(len({record.partition for record in of_key}), 1)
            sent = [message.value for message in messages if message.key == key]
            self.assertEqual(promises.values(of_key), sent)

    def test_headers_come_back(self):
        topic = kafka_hub.topic()
        headers = (("name", b"first"), ("name", b"second"), ("ünit", "°C".encode()))
        self.client.write(topic, [Message(b"value")], headers=[(name, value.decode()) for name, value in headers])
        [record] = self.client.read(topic, 1)
        self.assertEqual(record.headers, headers)

    def test_reading_starts_at_a_time(self):
        topic = kafka_hub.topic()
        start = 1_700_000_000_000
        # kcat sets no times.
        Confluent().write(topic, [Message(f"{minute}".encode(), timestamp=start + minute * 60_000) for minute in range(10)])
        self.assertEqual(promises.values(self.client.read(topic, 4, since=start + 6 * 60_000)), [b"6", b"7", b"8", b"9"])
        self.assertEqual([self.client.offset_at(topic, start + ms) for ms in (0, 1, 600_000)], [0, 1, -1])

    def test_topics_and_partitions_are_listed(self):
        topic = kafka_hub.topic(partitions=3)
        self.assertEqual(self.client.partitions(topic), 3)
        with self.assertRaises(Refused) as refused:
            self.client.partitions(hub.unique("never"))
        self.assertIn("Unknown topic or partition", str(refused.exception))

    def test_an_idempotent_producer_stores_everything_once(self):
        topic = kafka_hub.topic()
        self.client.write(topic, promises.numbered(500), **self.idempotent)
        self.assertEqual(promises.values(self.client.read(topic, 500)), promises.values(promises.numbered(500)))

    def test_codecs_are_used(self):
        """librdkafka below 2.1 sends plain text when the hub's list of versions begins too late."""
        for codec in self.client.CODECS:
            with self.subTest(codec=codec):
                topic = kafka_hub.topic()
                self.client.write(topic, [Message(b"a" * 500_000)] * 2, codec=codec)
                received = []
                consumer = {"statistics.interval.ms": 50, "stats_cb": received.append}
                Confluent().read(topic, 2, **consumer)
                wire = max(sum(each["rxbytes"] for each in json.loads(text)["brokers"].values()) for text in received)
                self.assertLess(wire, 200_000)

    def test_producing_to_an_unknown_topic_is_an_error(self):
        with self.assertRaises(Refused) as refused:
            self.client.write(hub.unique("never"), promises.numbered(1))
        self.assertRegex(str(refused.exception), "Unknown topic|Unknown partition")


class Groups(unittest.TestCase):
    """`kcat -G`."""

    def setUp(self):
        self.client = Kcat()
        self.group = hub.unique("group")

    def join(self, topic):
        member = self.client.member(self.group, topic)
        self.addCleanup(member.leave)
        return member

    def test_two_members_share_and_the_rest_goes_to_whoever_stays(self):
        topic = kafka_hub.topic(partitions=4)
        both = [self.join(topic), self.join(topic)]
        shared = lambda: [len(each.assigned()) for each in both] == [2, 2]
        settle(both, shared, "each member has its half")
        for partition in range(4):
            self.client.write(topic, promises.numbered(5), partition=partition)
        settle(both, lambda: [len(each.records) for each in both] == [10, 10], "each member reads its half")
        both[1].leave()
        settle(both[:1], lambda: len(both[0].assigned()) == 4, "who stays has every partition")
        for partition in range(4):
            self.client.write(topic, [Message(b"last")], partition=partition)
        settle(both[:1], lambda: len(both[0].records) == 14, "who stays reads every partition, and nothing twice")

    def test_a_committed_position_is_kept_through_a_kill_of_the_hub(self):
        topic = kafka_hub.topic()
        self.client.write(topic, promises.numbered(10))
        first = self.join(topic)
        settle([first], lambda: len(first.records) == 10, "the first member reads what is there")
        first.leave()
        self.client.write(topic, [Message(b"later")])
        kafka_hub.restart(kill=True)
        second = self.join(topic)
        settle([second], lambda: second.records, "the second member reads")
        self.assertEqual([(record.offset, record.value) for record in second.records], [(10, b"later")])


class Security(unittest.TestCase):
    """What kcat says when it is not let in."""

    def test_a_wrong_key_is_refused(self):
        wrong = "A" if kafka_hub.PASSWORD[-10] != "A" else "B"
        text = Kcat(kafka_hub.PASSWORD[:-10] + wrong + kafka_hub.PASSWORD[-9:]).login_error()
        self.assertIn("authentication", text.lower())

    def test_an_unknown_policy_is_refused(self):
        self.assertIn("authentication", Kcat(kafka_hub.PASSWORD.replace("iothubowner", "nobody")).login_error().lower())


class Telemetry(unittest.TestCase):
    """What a device sent over MQTT, read by kcat."""

    def test_a_device_message_has_its_properties_as_headers(self):
        identity = Identity(hub.unique("kafka"))
        certificate, key = hub.ca_signed(identity)
        topic = f"devices/{identity.path}/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&%24.mid=m-1&room=machine%20room"
        server = ["-h", hub.HOST, "-p", str(kafka_hub.mqtt_port()), "--cafile", hub.CA_FILE, "--cert", certificate, "--key", key]
        login = ["-V", "mqttv311", "-i", identity.name, "-u", identity.username]
        command = ["mosquitto_pub", *server, *login, "-q", "1", "-t", topic, "-m", '{"t":21.5}']
        done = subprocess.run(command, capture_output=True, text=True, timeout=hub.DEADLINE)
        self.assertEqual(done.returncode, 0, done.stderr)

        output = Kcat().command("-C", "-t", "events", "-o", "beginning", "-e", "-q", "-f", FORMAT)
        [record] = [each for each in output.split(b"\x1e\n") if f"\n{identity.device}".encode() in each]
        body = f'\n{identity.device}{{"t":21.5}}'.encode()
        self.assertIn(body, record)
        headers = record.split(body, 1)[1]
        string = lambda text: b"\xa1" + bytes([len(text)]) + text.encode()
        self.assertTrue(headers.startswith(b"iothub-connection-device-id=" + string(identity.device) + b","), headers)
        self.assertRegex(headers, rb'(?s),iothub-connection-auth-method=\xa1.\{"scope":"device","type":"x509"')
        # kcat prints a value up to its first zero.
        self.assertIn(b",iothub-enqueuedtime=\x83,", headers)
        self.assertIn(b",iothub-message-source=" + string("Telemetry") + b",", headers)
        own = b",message-id=m-1,content-type=application/json,content-encoding=utf-8,room=" + string("machine room")
        self.assertTrue(headers.endswith(own), headers)

        stored = int(hub.events(identity.device)[0]["partition"]), hub.events(identity.device)[0]["sequence"]
        found = [each for each in Confluent().read("events", output.count(b"\x1e\n")) if each.place == stored]
        self.assertEqual([each.key for each in found], [identity.device.encode()])
        time = dict(found[0].headers)["iothub-enqueuedtime"]
        # An AMQP timestamp: eight bytes of milliseconds.
        self.assertEqual((time[:1], int.from_bytes(time[1:], "big")), (b"\x83", found[0].timestamp))


if __name__ == "__main__":
    unittest.main()
