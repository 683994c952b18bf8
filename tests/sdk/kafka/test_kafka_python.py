"""kafka-python against the hub."""

import unittest

import hub
import kafka_hub
import promises
from clients.kafka_python import KafkaPython
from kafka import errors


class KafkaPythonClient:
    """What this client calls its options."""

    client_class = KafkaPython
    idempotent = {"enable_idempotence": True}
    plain = {"enable_idempotence": False}
    # Or the client refuses what it is asked to send.
    large = {"max_request_size": 4 << 20}


class Records(KafkaPythonClient, promises.WholeRecords, unittest.TestCase):
    """Producing and reading."""

    def test_an_idempotent_producer_goes_on_after_a_restart_of_the_hub(self):
        topic = kafka_hub.topic()
        producer = self.client.producer()
        self.addCleanup(producer.close)
        for part in range(2):
            sent = [producer.send(topic, f"{part} {number}".encode()) for number in range(200)]
            producer.flush()
            self.assertEqual([each.get(hub.DEADLINE).offset for each in sent], list(range(part * 200, part * 200 + 200)))
            if part == 0:
                kafka_hub.restart()
        expected = [f"{part} {number}".encode() for part in range(2) for number in range(200)]
        self.assertEqual(promises.values(self.client.read(topic, 400)), expected)

    def test_producing_to_an_unknown_topic_is_an_error(self):
        with self.assertRaises(errors.KafkaError):
            self.client.write(hub.unique("never"), promises.numbered(1), max_block_ms=2000)

    def test_transactions_are_refused_at_once(self):
        with self.assertRaises(errors.KafkaError):
            self.client.producer(transactional_id=hub.unique("transaction")).init_transactions()


class Groups(KafkaPythonClient, promises.Groups, unittest.TestCase):
    """Members."""


class Security(KafkaPythonClient, promises.Security, unittest.TestCase):
    """Who may do what."""


class Administration(KafkaPythonClient, promises.Administration, promises.DeletedGroups, unittest.TestCase):
    """Topics and groups as objects."""


if __name__ == "__main__":
    unittest.main()
