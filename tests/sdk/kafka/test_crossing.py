"""What one client wrote in any codec, every client reads byte for byte."""

import unittest

import kafka_hub
from clients import Message
from clients.aio import Aio
from clients.confluent import Confluent
from clients.kafka_python import KafkaPython
from clients.kafkajs import KafkaJs
from clients.kcat import Kcat

CLIENTS = {"kcat": Kcat, "confluent-kafka": Confluent, "kafka-python": KafkaPython, "aiokafka": Aio, "kafkajs": KafkaJs}
# Every byte but those that separate messages for kcat; some that compress well and some that do not.
BYTES = bytes(byte for byte in range(256) if byte not in b"\x1e\x1f")
VALUES = [b"one", BYTES, b"again " * 20_000, bytes(BYTES[number * number % 251] for number in range(30_000)), b"end"]


class Crossing(unittest.TestCase):
    """All write before the first reads."""

    @classmethod
    def setUpClass(cls):
        cls.topic = kafka_hub.topic(prefix="crossing")
        cls.expected = []
        for name, client in CLIENTS.items():
            for codec in (None, *client.CODECS):
                key = f"{name} {codec}".encode()
                client().write(cls.topic, [Message(value, key) for value in VALUES], codec=codec)
                cls.expected += [(key, value) for value in VALUES]

    def read_by(self, name):
        """Compares one by one, so that the message of a failure is the key of what differs."""
        records = CLIENTS[name]().read(self.topic, len(self.expected))
        self.assertEqual([record.key for record in records], [key for key, _ in self.expected])
        for record, (key, value) in zip(records, self.expected):
            self.assertTrue(record.value == value, f"written by {key.decode()}: {record.value[:40]} for {value[:40]}")

    def test_kcat_reads_all(self):
        self.read_by("kcat")

    def test_confluent_kafka_reads_all(self):
        self.read_by("confluent-kafka")

    def test_kafka_python_reads_all(self):
        self.read_by("kafka-python")

    def test_aiokafka_reads_all(self):
        self.read_by("aiokafka")

    def test_kafkajs_reads_all(self):
        self.read_by("kafkajs")


if __name__ == "__main__":
    unittest.main()
