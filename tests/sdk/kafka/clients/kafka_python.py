"""kafka-python. Its producers are idempotent unless told otherwise."""

import contextlib

import hub
import kafka
import kafka_hub
from kafka import errors
from kafka.admin import ConfigResource, ConfigResourceType

from . import Member, Record, Refused, clients_log


@contextlib.contextmanager
def refusals():
    """Turns the library's errors into `Refused`."""
    try:
        yield
    except errors.BrokerResponseError as error:
        raise Refused(error.errno, str(error)) from error
    except errors.CommitFailedError as error:
        raise Refused(None, str(error)) from error


def record(polled):
    """A polled record."""
    headers = tuple((name, value) for name, value in polled.headers)
    return Record(polled.partition, polled.offset, polled.timestamp, polled.key, polled.value, headers)


class KafkaPython:
    """Has everything but static members."""

    CODECS = ("gzip", "snappy", "lz4", "zstd")

    def __init__(self, password=kafka_hub.PASSWORD, user=kafka_hub.USER):
        tls = {"security_protocol": "SASL_SSL", "ssl_cafile": str(hub.CA_FILE)}
        login = {"sasl_mechanism": "PLAIN", "sasl_plain_username": user, "sasl_plain_password": password}
        quick = {"reconnect_backoff_max_ms": 500}
        self.options = {"bootstrap_servers": kafka_hub.bootstrap(), **tls, **login, **quick}

    # ---- records ----

    def producer(self, codec=None, **options):
        """A producer that waits at most DEADLINE for an acknowledgement."""
        waits = {"linger_ms": 20, "max_block_ms": 5000, "request_timeout_ms": 10_000, "delivery_timeout_ms": hub.DEADLINE * 1000}
        return kafka.KafkaProducer(**{**self.options, **waits, "compression_type": codec, **options})

    def write(self, topic, messages, codec=None, partition=None, **options):
        with refusals(), contextlib.closing(self.producer(codec, **options)) as producer:
            futures = []
            for message in messages:
                more = {"headers": list(message.headers), "timestamp_ms": message.timestamp, "partition": partition}
                futures.append(producer.send(topic, message.value, message.key, **more))
            sent = [future.get(hub.DEADLINE) for future in futures]
        return [(each.partition, each.offset) for each in sent]

    def consumer(self, **options):
        """A consumer that commits only when told, and starts at the first record."""
        manual = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        return kafka.KafkaConsumer(**{**self.options, **manual, **options})

    def read(self, topic, count, since=None, **options):
        records = []
        with refusals(), contextlib.closing(self.consumer(**options)) as consumer:
            parts = [kafka.TopicPartition(topic, number) for number in range(self.partitions(topic))]
            consumer.assign(parts)
            if since is None:
                consumer.seek_to_beginning(*parts)
            else:
                for part, found in consumer.offsets_for_times(dict.fromkeys(parts, since)).items():
                    consumer.seek(part, found.offset if found else consumer.end_offsets([part])[part])

            def enough():
                for polled in consumer.poll(100).values():
                    records.extend(map(record, polled))
                return len(records) >= count

            hub.eventually(enough, f"{count} records")
        return sorted(records, key=lambda each: each.place)

    def offsets(self, topic):
        part = kafka.TopicPartition(topic, 0)
        with refusals(), contextlib.closing(self.consumer()) as consumer:
            return consumer.beginning_offsets([part])[part], consumer.end_offsets([part])[part]

    def offset_at(self, topic, milliseconds):
        part = kafka.TopicPartition(topic, 0)
        with refusals(), contextlib.closing(self.consumer()) as consumer:
            found = consumer.offsets_for_times({part: milliseconds})[part]
        return None if found is None else found.offset

    def member(self, group, topic, **options):
        return KafkaPythonMember(self, group, topic, options)

    # ---- administration ----

    def login_error(self):
        # The library tells its log why, and its caller only that it could not connect.
        with clients_log("kafka") as lines:
            with contextlib.suppress(Refused, errors.KafkaError):
                with contextlib.closing(self.consumer(bootstrap_timeout_ms=2000)) as consumer:
                    consumer.topics()
                raise AssertionError("was let in")
        return "\n".join(lines)

    @contextlib.contextmanager
    def admin(self):
        """An admin client."""
        with refusals(), contextlib.closing(kafka.KafkaAdminClient(**self.options)) as admin:
            yield admin

    def topics(self):
        with self.admin() as admin:
            return set(admin.list_topics())

    def partitions(self, topic):
        with self.admin() as admin:
            [found] = admin.describe_topics([topic])
        if found["error_code"]:
            raise Refused(found["error_code"])
        return len(found["partitions"])

    def create_topic(self, name, partitions=1, config=None):
        with self.admin() as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": config or {}}})

    def delete_topic(self, name):
        with self.admin() as admin:
            admin.delete_topics([name])

    def add_partitions(self, name, count):
        with self.admin() as admin:
            admin.create_partitions({name: count})

    def config(self, name):
        with self.admin() as admin:
            entries = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
        return {key: entry["value"] for key, entry in entries["topic"][name].items()}

    def groups(self):
        with self.admin() as admin:
            return {each["group_id"] for each in admin.list_groups()}

    def group(self, name):
        with self.admin() as admin:
            found = admin.describe_groups([name])[name]
        return found["group_state"], len(found["members"])

    def delete_group(self, name):
        with self.admin() as admin:
            answer = admin.delete_groups([name])[name]
        if answer != "OK":
            raise Refused(getattr(errors, answer).errno, answer)


class KafkaPythonMember(Member):
    """A member by `subscribe`."""

    def __init__(self, client, group, topic, options):
        super().__init__()
        quick = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 300}
        self.consumer = client.consumer(**{"group_id": group, **quick, **options})
        self.consumer.subscribe([topic])

    def turn(self):
        for polled in self.consumer.poll(50).values():
            self.records.extend(map(record, polled))

    def assigned(self):
        return {each.partition for each in self.consumer.assignment()}

    def commit(self):
        with refusals():
            self.consumer.commit()

    def leave(self):
        self.consumer.close(autocommit=False)
