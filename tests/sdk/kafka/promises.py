"""What the hub promises to every Kafka client. A test class mixes these in and sets `client_class`."""

import contextlib
import time

import hub
import kafka_hub
from clients import Message, Refused, settle

# Error codes of the protocol.
UNKNOWN_TOPIC, MESSAGE_TOO_LARGE, TOPIC_DENIED = 3, 10, 29
TOPIC_EXISTS, INVALID_PARTITIONS, INVALID_CONFIG, POLICY_VIOLATION = 36, 37, 40, 44
NOT_EMPTY = 68


def numbered(count):
    """Messages that differ."""
    return [Message(f"value {number}".encode()) for number in range(count)]


def values(records):
    """The values in order."""
    return [record.value for record in records]


class Records:
    """Producing and reading without a group."""

    def setUp(self):
        self.client = self.client_class()

    def test_what_was_produced_is_read_at_the_offsets_that_were_acknowledged(self):
        topic = kafka_hub.topic(partitions=3)
        messages = [Message(f"value {number}".encode(), f"key {number % 7}".encode()) for number in range(60)]
        places = self.client.write(topic, messages)
        records = self.client.read(topic, len(messages))
        self.assertEqual(len(set(places)), len(messages))
        read = {record.place: (record.key, record.value) for record in records}
        self.assertEqual(read, {place: (sent.key, sent.value) for place, sent in zip(places, messages)})
        keys = {}
        for record in records:
            keys.setdefault(record.key, set()).add(record.partition)
        self.assertTrue(all(len(partitions) == 1 for partitions in keys.values()), "a key stays in its partition")

    def test_messages_without_a_key_are_read_as_they_were_sent(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(20))
        records = self.client.read(topic, 20)
        self.assertEqual([(record.offset, record.key) for record in records], [(offset, None) for offset in range(20)])
        self.assertEqual(values(records), values(numbered(20)))

    def test_every_codec_comes_back_byte_for_byte(self):
        for codec in self.client.CODECS:
            with self.subTest(codec=codec):
                topic = kafka_hub.topic()
                messages = [Message(f"{number} ".encode() * 400, b"key") for number in range(200)]
                self.client.write(topic, messages, codec=codec)
                records = self.client.read(topic, len(messages))
                self.assertEqual(values(records), values(messages))
                self.assertEqual([record.offset for record in records], list(range(len(messages))))

    def test_the_first_and_the_next_offset_are_told(self):
        topic = kafka_hub.topic()
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 0))
        self.client.write(topic, numbered(5))
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 5))


class WholeRecords(Records):
    """For clients that give each message its headers and its time, and tell empty from none."""

    def test_nothing_empty_is_taken_for_nothing_at_all(self):
        topic = kafka_hub.topic()
        empty = [Message(None, b"key"), Message(b"", b"key"), Message(b"value", b""), Message(b"value", None)]
        self.client.write(topic, empty, partition=0)
        records = self.client.read(topic, len(empty))
        self.assertEqual([(record.key, record.value) for record in records], [(each.key, each.value) for each in empty])

    def test_headers_keep_their_order_their_repeats_and_their_bytes(self):
        topic = kafka_hub.topic()
        headers = (("name", b"first"), ("name", b"second"), ("bytes", bytes(range(256))), ("empty", b""), ("ünit", "°C".encode()))
        self.client.write(topic, [Message(b"value", headers=headers)])
        [record] = self.client.read(topic, 1)
        self.assertEqual(record.headers, headers)

    def test_reading_starts_at_a_time(self):
        topic = kafka_hub.topic()
        start = 1_700_000_000_000
        self.client.write(topic, [Message(f"{minute}".encode(), timestamp=start + minute * 60_000) for minute in range(10)])
        self.assertEqual(values(self.client.read(topic, 4, since=start + 6 * 60_000)), [b"6", b"7", b"8", b"9"])
        self.assertEqual(self.client.offset_at(topic, start + 1), 1)
        self.assertEqual(self.client.offset_at(topic, start), 0)
        self.assertEqual(self.client.offset_at(topic, 0), 0)
        self.assertIsNone(self.client.offset_at(topic, start + 10 * 60_000))
        self.assertEqual([record.timestamp for record in self.client.read(topic, 10)], [start + minute * 60_000 for minute in range(10)])

    def test_a_message_larger_than_the_limit_is_refused(self):
        topic = kafka_hub.topic()
        with self.assertRaises(Refused) as refused:
            self.client.write(topic, [Message(bytes(3 << 19))], **self.large)
        self.assertEqual(refused.exception.code, MESSAGE_TOO_LARGE)
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 0))

    def test_an_idempotent_producer_stores_everything_once(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(500), **self.idempotent)
        self.client.write(topic, numbered(500), **self.idempotent)
        self.assertEqual(values(self.client.read(topic, 1000)), values(numbered(500) * 2))
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 1000))


class Groups:
    """Members that share the partitions of a topic."""

    def setUp(self):
        self.client = self.client_class()
        self.group = hub.unique("group")

    def join(self, topic, **options):
        """A member that has partitions, and leaves with the test."""
        member = self.client.member(self.group, topic, **options)
        self.addCleanup(member.leave)
        return member

    def test_two_members_share_and_the_rest_goes_to_whoever_stays(self):
        topic = kafka_hub.topic(partitions=4)
        first = self.join(topic)
        settle([first], lambda: len(first.assigned()) == 4, "the only member has every partition")
        second = self.client.member(self.group, topic)
        both = [first, second]
        shared = lambda: [len(each.assigned()) for each in both] == [2, 2] and not first.assigned() & second.assigned()
        settle(both, shared, "each member has its half")
        for partition in range(4):
            self.client.write(topic, numbered(5), partition=partition)
        halves = [set(each.assigned()) for each in both]
        settle(both, lambda: [len(each.records) for each in both] == [10, 10], "each member reads its half")
        self.assertEqual([{record.partition for record in each.records} for each in both], halves)
        second.commit()
        second.leave()
        settle([first], lambda: len(first.assigned()) == 4, "who stays has every partition again")
        for partition in range(4):
            self.client.write(topic, [Message(b"last")], partition=partition)
        last = lambda: {record.partition for record in first.records if record.value == b"last"} == set(range(4))
        settle([first], last, "who stays reads every partition")

    def test_a_committed_position_is_kept_through_a_kill_of_the_hub(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(10))
        first = self.client.member(self.group, topic)
        settle([first], lambda: len(first.records) == 10, "the first member reads what is there")
        first.commit()
        first.leave()
        self.client.write(topic, [Message(b"later")])
        kafka_hub.restart(kill=True)
        second = self.join(topic)
        settle([second], lambda: second.records, "the second member reads")
        self.assertEqual([(record.offset, record.value) for record in second.records], [(10, b"later")])

    def test_what_was_not_committed_is_read_again(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(10))
        first = self.client.member(self.group, topic)
        settle([first], lambda: len(first.records) == 10, "the first member reads")
        first.leave()
        second = self.join(topic)
        settle([second], lambda: len(second.records) == 10, "the second member reads the same")
        self.assertEqual(values(second.records), values(numbered(10)))

    def test_a_member_goes_on_after_a_restart_of_the_hub(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(3))
        member = self.join(topic)
        settle([member], lambda: len(member.records) == 3, "the member reads")
        member.commit()
        kafka_hub.restart()
        self.client.write(topic, numbered(3))
        # It has to join again, and then reads again from what it committed.
        settle([member], lambda: {record.offset for record in member.records} == set(range(6)), "the member reads on")

        def commits():
            with contextlib.suppress(Refused):
                member.commit()
                return True

        settle([member], commits, "the member commits")


class Security:
    """Who may do what."""

    def setUp(self):
        self.client = self.client_class()

    def refused_login(self, password, user=kafka_hub.USER):
        """What the client says; it must not take long."""
        began = time.monotonic()
        text = self.client_class(password, user).login_error().lower()
        self.assertLess(time.monotonic() - began, hub.DEADLINE)
        self.assertRegex(text, "authentication ?failed|sasl authentication error")

    def test_a_wrong_key_is_refused(self):
        wrong = "A" if kafka_hub.PASSWORD[-10] != "A" else "B"
        self.refused_login(kafka_hub.PASSWORD[:-10] + wrong + kafka_hub.PASSWORD[-9:])

    def test_an_unknown_policy_is_refused(self):
        self.refused_login(kafka_hub.PASSWORD.replace("iothubowner", "nobody"))

    def test_a_password_that_is_no_connection_string_is_refused(self):
        self.refused_login("secret")

    def test_an_unknown_user_is_refused(self):
        self.refused_login(kafka_hub.PASSWORD, user="somebody")

    def test_the_connection_string_of_the_operator_is_a_password_too(self):
        topic = kafka_hub.topic()
        client = self.client_class(hub.CONNECTION_STRING)
        client.write(topic, numbered(1))
        self.assertEqual(values(client.read(topic, 1)), values(numbered(1)))

    def test_a_policy_that_listens_cannot_send(self):
        topic = kafka_hub.topic()
        self.client.write(topic, numbered(1))
        listener = self.client_class(kafka_hub.policy(topic, "listen"))
        self.assertEqual(values(listener.read(topic, 1)), values(numbered(1)))
        with self.assertRaises(Refused) as refused:
            listener.write(topic, numbered(1), **self.plain)
        self.assertEqual(refused.exception.code, TOPIC_DENIED)
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 1))

    def test_a_policy_of_one_topic_does_not_open_another(self):
        topic, other = kafka_hub.topic(), kafka_hub.topic()
        sender = self.client_class(kafka_hub.policy(topic, "send"))
        sender.write(topic, numbered(1), **self.plain)
        with self.assertRaises(Refused) as refused:
            sender.write(other, numbered(1), **self.plain)
        self.assertIn(refused.exception.code, (TOPIC_DENIED, UNKNOWN_TOPIC))
        self.assertEqual(tuple(self.client.offsets(other)), (0, 0))


class Administration:
    """Topics and groups as objects."""

    def setUp(self):
        self.client = self.client_class()

    def refused(self, code, action, *arguments, **options):
        with self.assertRaises(Refused) as refused:
            action(*arguments, **options)
        self.assertEqual(refused.exception.code, code, refused.exception)

    def test_a_topic_is_created_described_listed_and_deleted(self):
        topic = hub.unique("kafka")
        self.client.create_topic(topic, 3, {"retention.ms": "3600000"})
        self.assertEqual(self.client.partitions(topic), 3)
        self.assertIn(topic, self.client.topics())
        config = self.client.config(topic)
        names = ("retention.ms", "cleanup.policy")
        self.assertEqual([config[name] for name in names], ["3600000", "delete"])
        self.assertEqual(int(config["max.message.bytes"]), 1 << 20)
        self.assertIn(topic, hub.hubctl("hub", "list"))
        self.client.write(topic, numbered(1), partition=2)
        self.client.delete_topic(topic)
        self.assertNotIn(topic, self.client.topics())
        self.refused(UNKNOWN_TOPIC, self.client.partitions, topic)

    def test_a_topic_created_again_is_empty(self):
        topic = hub.unique("kafka")
        self.client.create_topic(topic, 1)
        self.client.write(topic, numbered(5))
        self.client.delete_topic(topic)
        self.client.create_topic(topic, 1)
        self.assertEqual(tuple(self.client.offsets(topic)), (0, 0))
        self.client.write(topic, numbered(2))
        self.assertEqual(values(self.client.read(topic, 2)), values(numbered(2)))

    def test_a_topic_that_is_there_or_is_not_is_refused(self):
        topic = kafka_hub.topic()
        self.refused(TOPIC_EXISTS, self.client.create_topic, topic)
        self.refused(UNKNOWN_TOPIC, self.client.delete_topic, hub.unique("never"))
        self.refused(UNKNOWN_TOPIC, self.client.partitions, hub.unique("never"))

    def test_reading_and_asking_create_nothing(self):
        topic = hub.unique("never")
        self.refused(UNKNOWN_TOPIC, self.client.partitions, topic)
        self.assertNotIn(topic, self.client.topics())

    def test_the_partition_count_is_fixed(self):
        topic = kafka_hub.topic(partitions=2)
        self.refused(INVALID_PARTITIONS, self.client.add_partitions, topic, 4)
        self.assertEqual(self.client.partitions(topic), 2)

    def test_a_group_is_listed_and_described(self):
        topic, name = kafka_hub.topic(), hub.unique("group")
        self.client.write(topic, numbered(1))
        member = self.client.member(name, topic)
        settle([member], lambda: member.records, "the member reads")
        self.assertIn(name, self.client.groups())
        self.assertEqual(self.client.group(name), ("Stable", 1))
        self.assertIn(name, hub.service("GET", f"/eventHubs/{topic}/groups", expect=200).text)
        member.commit()
        member.leave()
        self.assertEqual(self.client.group(name), ("Empty", 0))


class DeletedGroups:
    """For clients that can delete a group."""

    def test_a_group_is_deleted_when_nobody_is_in_it(self):
        topic, name = kafka_hub.topic(), hub.unique("group")
        self.client.write(topic, numbered(1))
        member = self.client.member(name, topic)
        settle([member], lambda: member.records, "the member reads")
        member.commit()
        self.refused(NOT_EMPTY, self.client.delete_group, name)
        member.leave()
        self.client.delete_group(name)
        self.assertNotIn(name, self.client.groups())
