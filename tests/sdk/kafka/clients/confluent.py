"""confluent-kafka: librdkafka under Python."""

import contextlib
import functools
import time

import confluent_kafka as ck
import hub
import kafka_hub
from confluent_kafka import admin

from . import Member, Record, Refused

FIRST, NEXT = ck.OFFSET_BEGINNING, ck.OFFSET_END


@contextlib.contextmanager
def refusals():
    """Turns the library's errors into `Refused`."""
    try:
        yield
    except ck.KafkaException as error:
        raise Refused(error.args[0].code(), error.args[0].str()) from error


def record(message):
    """A polled message."""
    headers = tuple(message.headers() or ())
    return Record(message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value(), headers)


class Confluent:
    """Has everything."""

    CODECS = ("gzip", "snappy", "lz4", "zstd")

    def __init__(self, password=kafka_hub.PASSWORD, user=kafka_hub.USER):
        tls = {"security.protocol": "SASL_SSL", "ssl.ca.location": str(hub.CA_FILE)}
        login = {"sasl.mechanism": "PLAIN", "sasl.username": user, "sasl.password": password}
        quick = {"reconnect.backoff.max.ms": 500, "topic.metadata.propagation.max.ms": 500}
        self.options = {"bootstrap.servers": kafka_hub.bootstrap(), **tls, **login, **quick}

    # ---- records ----

    def producer(self, codec=None, **options):
        """A producer that waits at most DEADLINE for an acknowledgement."""
        batches = {"linger.ms": 20, "compression.type": codec or "none", "message.timeout.ms": hub.DEADLINE * 1000}
        return ck.Producer({**self.options, **batches, **options})

    def write(self, topic, messages, codec=None, partition=None, **options):
        producer, reports = self.producer(codec, **options), {}
        for number, message in enumerate(messages):
            where = {} if partition is None else {"partition": partition}
            when = {} if message.timestamp is None else {"timestamp": message.timestamp}
            note = lambda error, sent, number=number: reports.update({number: (error, sent)})
            with refusals():
                producer.produce(topic, message.value, message.key, headers=list(message.headers), on_delivery=note, **where, **when)
                producer.poll(0)
        producer.flush(hub.DEADLINE)
        if len(reports) < len(messages):
            raise AssertionError(f"{len(messages) - len(reports)} messages without a report")
        for error, _ in reports.values():
            if error is not None:
                raise Refused(error.code(), error.str())
        return [(reports[number][1].partition(), reports[number][1].offset()) for number in range(len(messages))]

    def consumer(self, **options):
        """A consumer that commits only when told, and starts at the first record."""
        manual = {"group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        return ck.Consumer({**self.options, **manual, **options})

    def read(self, topic, count, since=None, **options):
        consumer, records = self.consumer(**options), []
        try:
            start = [ck.TopicPartition(topic, number, FIRST) for number in range(self.partitions(topic))]
            if since is not None:
                start = consumer.offsets_for_times([ck.TopicPartition(topic, each.partition, since) for each in start], hub.DEADLINE)
            consumer.assign(start)
            end = time.monotonic() + hub.DEADLINE
            while len(records) < count and time.monotonic() < end:
                message = consumer.poll(0.1)
                if message is not None and message.error():
                    raise Refused(message.error().code(), message.error().str())
                if message is not None:
                    records.append(record(message))
        finally:
            consumer.close()
        return sorted(records, key=lambda each: each.place)

    def offsets(self, topic):
        with refusals(), contextlib.closing(self.consumer()) as consumer:
            return consumer.get_watermark_offsets(ck.TopicPartition(topic, 0), hub.DEADLINE)

    def offset_at(self, topic, milliseconds):
        with refusals(), contextlib.closing(self.consumer()) as consumer:
            [found] = consumer.offsets_for_times([ck.TopicPartition(topic, 0, milliseconds)], hub.DEADLINE)
        return None if found.offset == NEXT else found.offset

    def member(self, group, topic, **options):
        return ConfluentMember(self, group, topic, options)

    # ---- administration ----

    def login_error(self):
        errors = []
        client = ck.Producer({**self.options, "error_cb": errors.append})

        def refused():
            client.poll(0.1)
            return [error.str() for error in errors if error.code() == ck.KafkaError._AUTHENTICATION]

        return hub.eventually(refused, "an authentication error")[0]

    @functools.cached_property
    def admin(self):
        """The admin client; what it was asked ends with it."""
        return admin.AdminClient(self.options)

    def _done(self, futures):
        """The only result."""
        [future] = futures.values()
        with refusals():
            return future.result(hub.DEADLINE)

    def topics(self):
        return set(self.admin.list_topics(timeout=hub.DEADLINE).topics)

    def partitions(self, topic):
        found = self.admin.list_topics(topic, hub.DEADLINE).topics[topic]
        if found.error is not None:
            raise Refused(found.error.code(), found.error.str())
        return len(found.partitions)

    def create_topic(self, name, partitions=1, config=None):
        self._done(self.admin.create_topics([admin.NewTopic(name, partitions, 1, config=config or {})]))

    def delete_topic(self, name):
        self._done(self.admin.delete_topics([name]))

    def add_partitions(self, name, count):
        self._done(self.admin.create_partitions([admin.NewPartitions(name, count)]))

    def config(self, name):
        entries = self._done(self.admin.describe_configs([admin.ConfigResource(admin.ResourceType.TOPIC, name)]))
        return {key: entry.value for key, entry in entries.items()}

    def groups(self):
        with refusals():
            return {each.group_id for each in self.admin.list_consumer_groups().result(hub.DEADLINE).valid}

    def group(self, name):
        found = self._done(self.admin.describe_consumer_groups([name]))
        return found.state.name.title(), len(found.members)

    def delete_group(self, name):
        self._done(self.admin.delete_consumer_groups([name]))


class ConfluentMember(Member):
    """A member by `subscribe`."""

    def __init__(self, client, group, topic, options):
        super().__init__()
        quick = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 300}
        self.consumer = client.consumer(**{"group.id": group, **quick, **options})
        self.consumer.subscribe([topic])

    def turn(self):
        while (message := self.consumer.poll(0.05)) is not None:
            if not message.error():
                self.records.append(record(message))
            elif message.error().code() == ck.KafkaError._FATAL:
                raise Refused(message.error().code(), message.error().str())

    def assigned(self):
        return {each.partition for each in self.consumer.assignment()}

    def commit(self):
        with refusals():
            self.consumer.commit(asynchronous=False)

    def leave(self):
        self.consumer.close()
