"""confluent-kafka against the hub."""

import unittest

import confluent_kafka as ck
import hub
import kafka_hub
import promises
from clients import Refused, settle
from clients.confluent import Confluent


class ConfluentClient:
    """What this client calls its options."""

    client_class = Confluent
    idempotent = {"enable.idempotence": True}
    plain = {}
    # Or the client refuses what it is asked to send.
    large = {"message.max.bytes": 4 << 20}


class Records(ConfluentClient, promises.WholeRecords, unittest.TestCase):
    """Producing and reading."""

    def test_an_idempotent_producer_goes_on_after_a_restart_of_the_hub(self):
        topic = kafka_hub.topic()
        producer = self.client.producer(**self.idempotent)
        for part in range(2):
            for number in range(200):
                producer.produce(topic, f"{part} {number}".encode())
            self.assertEqual(producer.flush(hub.DEADLINE), 0)
            if part == 0:
                kafka_hub.restart()
        expected = [f"{part} {number}".encode() for part in range(2) for number in range(200)]
        self.assertEqual(promises.values(self.client.read(topic, 400)), expected)
        self.assertEqual(self.client.offsets(topic), (0, 400))

    def test_producing_to_an_unknown_topic_is_an_error(self):
        with self.assertRaises(Refused) as refused:
            self.client.write(hub.unique("never"), promises.numbered(1))
        self.assertIn(refused.exception.code, (promises.UNKNOWN_TOPIC, ck.KafkaError._UNKNOWN_TOPIC))

    def test_transactions_are_refused_at_once(self):
        producer = self.client.producer(**{"transactional.id": hub.unique("transaction")})
        with self.assertRaises(ck.KafkaException) as refused:
            producer.init_transactions(hub.DEADLINE)
        error = refused.exception.args[0]
        self.assertTrue(error.fatal(), error)
        self.assertEqual(error.code(), ck.KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, error)


class Groups(ConfluentClient, promises.Groups, unittest.TestCase):
    """Members."""

    def test_a_static_member_gets_its_partitions_back_without_a_rebalance(self):
        topic = kafka_hub.topic(partitions=4)
        first, second = (self.client.member(self.group, topic, **{"group.instance.id": name}) for name in ("one", "two"))
        self.addCleanup(second.leave)
        both = [first, second]
        settle(both, lambda: [len(each.assigned()) for each in both] == [2, 2], "each member has its half")
        halves = [each.assigned() for each in both]
        # A static member that closes does not leave: only its session's end would.
        first.leave()
        again = self.join(topic, **{"group.instance.id": "one"})
        settle([again, second], again.assigned, "the member is back")
        self.assertEqual([again.assigned(), second.assigned()], halves)

    def test_two_static_members_of_one_name_do_not_both_live(self):
        topic = kafka_hub.topic()
        first = self.client.member(self.group, topic, **{"group.instance.id": "one"})
        settle([first], first.assigned, "the first member has its partition")
        second = self.join(topic, **{"group.instance.id": "one"})
        with self.assertRaises(Refused) as refused:
            settle([second, first], lambda: False, "the first member is told")
        self.assertIn("fenced", refused.exception.text.lower())
        self.addCleanup(first.leave)
        settle([second], second.assigned, "the second member has its partition")

    def test_members_rebalance_step_by_step_too(self):
        topic = kafka_hub.topic(partitions=4)
        steps = {"partition.assignment.strategy": "cooperative-sticky"}
        first = self.join(topic, **steps)
        settle([first], lambda: len(first.assigned()) == 4, "the only member has every partition")
        second = self.join(topic, **steps)
        both = [first, second]
        settle(both, lambda: [len(each.assigned()) for each in both] == [2, 2], "each member has its half")


class Security(ConfluentClient, promises.Security, unittest.TestCase):
    """Who may do what."""

    def by_certificate(self, certificate, key):
        """A client that shows a certificate and no password."""
        client = Confluent()
        for name in [name for name in client.options if name.startswith("sasl.")]:
            del client.options[name]
        files = {"ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}
        client.options.update({"security.protocol": "SSL", **files})
        return client

    def test_an_operators_pinned_certificate_needs_no_password(self):
        topic = kafka_hub.topic()
        operator = self.by_certificate(hub.DATA.parent / "operator.crt", hub.DATA.parent / "operator.key")
        operator.write(topic, promises.numbered(3))
        self.assertEqual(promises.values(operator.read(topic, 3)), promises.values(promises.numbered(3)))

    def test_a_devices_certificate_opens_nothing(self):
        identity = hub.Identity(hub.unique("kafka"))
        client = self.by_certificate(*hub.ca_signed(identity))
        with self.assertRaises(ck.KafkaException):
            client.admin.list_topics(timeout=3)


class Administration(ConfluentClient, promises.Administration, promises.DeletedGroups, unittest.TestCase):
    """Topics and groups as objects."""

    def test_a_policy_that_cannot_be_kept_is_refused(self):
        self.refused(promises.INVALID_CONFIG, self.client.create_topic, hub.unique("kafka"), 1, {"no.such.key": "1"})
        self.refused(promises.INVALID_PARTITIONS, self.client.create_topic, hub.unique("kafka"), 0)


if __name__ == "__main__":
    unittest.main()
