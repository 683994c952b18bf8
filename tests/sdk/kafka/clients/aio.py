"""aiokafka, on an event loop of its own thread. Its admin client deletes no groups."""

import asyncio
import contextlib
import ssl
import threading

import aiokafka
import hub
import kafka_hub
from aiokafka import admin, errors
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from . import Member, Record, Refused, clients_log

_LOOP = asyncio.new_event_loop()
threading.Thread(target=_LOOP.run_forever, daemon=True).start()


def run(work, seconds=3 * hub.DEADLINE):
    """Awaits `work` on the loop."""
    try:
        return asyncio.run_coroutine_threadsafe(work, _LOOP).result(seconds)
    except errors.BrokerResponseError as error:
        raise Refused(error.errno, str(error)) from error


@contextlib.asynccontextmanager
async def started(client):
    """Starts a client, and stops it whatever happens."""
    try:
        await client.start()
        yield client
    finally:
        await (client.close() if hasattr(client, "close") else client.stop())


def record(polled):
    """A polled record."""
    return Record(polled.partition, polled.offset, polled.timestamp, polled.key, polled.value, tuple(polled.headers))


class Aio:
    """Has everything but static members and the deletion of groups."""

    CODECS = ("gzip", "snappy", "lz4", "zstd")

    def __init__(self, password=kafka_hub.PASSWORD, user=kafka_hub.USER):
        tls = {"security_protocol": "SASL_SSL", "ssl_context": ssl.create_default_context(cafile=str(hub.CA_FILE))}
        login = {"sasl_mechanism": "PLAIN", "sasl_plain_username": user, "sasl_plain_password": password}
        self.options = {"bootstrap_servers": kafka_hub.bootstrap(), **tls, **login}

    # ---- records ----

    def producer(self, codec=None, **options):
        """A producer; it must be made on the loop."""
        return aiokafka.AIOKafkaProducer(**self.options, compression_type=codec, linger_ms=20, request_timeout_ms=10_000, **options)

    async def _write(self, topic, messages, codec, partition, options):
        async with started(self.producer(codec, **options)) as producer:
            sent = []
            for message in messages:
                more = {"headers": list(message.headers), "timestamp_ms": message.timestamp, "partition": partition}
                sent.append(await producer.send(topic, message.value, message.key, **more))
            return [(each.partition, each.offset) for each in await asyncio.gather(*sent)]

    def write(self, topic, messages, codec=None, partition=None, **options):
        return run(self._write(topic, messages, codec, partition, options))

    def consumer(self, **options):
        """A consumer that commits only when told, and starts at the first record."""
        manual = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest"}
        return aiokafka.AIOKafkaConsumer(**{**self.options, **manual, **options})

    async def _read(self, topic, count, since, options):
        records = []
        async with started(self.consumer(**options)) as consumer:
            parts = [aiokafka.TopicPartition(topic, number) for number in range(await self._partitions(topic))]
            consumer.assign(parts)
            if since is None:
                await consumer.seek_to_beginning(*parts)
            else:
                for part, found in (await consumer.offsets_for_times(dict.fromkeys(parts, since))).items():
                    consumer.seek(part, found.offset if found else (await consumer.end_offsets([part]))[part])
            async with asyncio.timeout(hub.DEADLINE):
                while len(records) < count:
                    for polled in (await consumer.getmany(timeout_ms=100)).values():
                        records.extend(map(record, polled))
        return sorted(records, key=lambda each: each.place)

    def read(self, topic, count, since=None, **options):
        return run(self._read(topic, count, since, options))

    def offsets(self, topic):
        async def ask():
            part = aiokafka.TopicPartition(topic, 0)
            async with started(self.consumer()) as consumer:
                return (await consumer.beginning_offsets([part]))[part], (await consumer.end_offsets([part]))[part]

        return run(ask())

    def offset_at(self, topic, milliseconds):
        async def ask():
            part = aiokafka.TopicPartition(topic, 0)
            async with started(self.consumer()) as consumer:
                return (await consumer.offsets_for_times({part: milliseconds}))[part]

        found = run(ask())
        return None if found is None else found.offset

    def member(self, group, topic, **options):
        return AioMember(self, group, topic, options)

    # ---- administration ----

    def login_error(self):
        async def ask():
            async with started(self.consumer(request_timeout_ms=5000)):
                pass

        # The library tells its log why, and its caller only that it could not connect.
        with clients_log("aiokafka") as lines:
            with contextlib.suppress(Refused, errors.KafkaError):
                run(ask())
                raise AssertionError("was let in")
        return "\n".join(lines)

    def ask(self, question):
        """Awaits `question(admin client)`."""

        async def answer():
            async with started(admin.AIOKafkaAdminClient(**self.options)) as client:
                return await question(client)

        return run(answer())

    def topics(self):
        return set(self.ask(lambda client: client.list_topics()))

    async def _partitions(self, topic):
        async with started(admin.AIOKafkaAdminClient(**self.options)) as client:
            [found] = await client.describe_topics([topic])
        if found["error_code"]:
            raise errors.for_code(found["error_code"])(topic)
        return len(found["partitions"])

    def partitions(self, topic):
        return run(self._partitions(topic))

    def _topic_answer(self, answer):
        """Raises the error of the only topic, which the library leaves to its caller."""
        [topic] = getattr(answer, "topic_errors", None) or answer.topic_error_codes
        if topic[1]:
            raise Refused(topic[1], str(topic[2:]))

    def create_topic(self, name, partitions=1, config=None):
        topic = admin.NewTopic(name, partitions, 1, topic_configs=config or {})
        self._topic_answer(self.ask(lambda client: client.create_topics([topic])))

    def delete_topic(self, name):
        self._topic_answer(self.ask(lambda client: client.delete_topics([name])))

    def add_partitions(self, name, count):
        self.ask(lambda client: client.create_partitions({name: admin.NewPartitions(count)}))

    def config(self, name):
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name)]
        [answer] = self.ask(lambda client: client.describe_configs(wanted))
        [(code, text, _, _, entries)] = answer.resources
        if code:
            raise Refused(code, text)
        return {entry[0]: entry[1] for entry in entries}

    def groups(self):
        return {each[0] for each in self.ask(lambda client: client.list_consumer_groups())}

    def group(self, name):
        [answer] = self.ask(lambda client: client.describe_consumer_groups([name]))
        [found] = answer.to_object()["groups"]
        return found["state"], len(found["members"])


class AioMember(Member):
    """A member by `subscribe`."""

    def __init__(self, client, group, topic, options):
        super().__init__()
        quick = {"session_timeout_ms": 6000, "heartbeat_interval_ms": 300}

        async def start():
            consumer = client.consumer(**{"group_id": group, **quick, **options})
            consumer.subscribe([topic])
            # It comes back when the group gave it its partitions; others must be polled meanwhile.
            return consumer, asyncio.ensure_future(consumer.start())

        self.consumer, self.started = run(start())

    def turn(self):
        async def poll():
            await asyncio.wait([self.started], timeout=0.05)
            if not self.started.done():
                return []
            self.started.result()
            return (await self.consumer.getmany(timeout_ms=50)).values()

        for polled in run(poll()):
            self.records.extend(map(record, polled))

    def assigned(self):
        return {each.partition for each in self.consumer.assignment()}

    def commit(self):
        try:
            run(self.consumer.commit())
        except errors.CommitFailedError as error:
            raise Refused(None, str(error)) from error

    def leave(self):
        run(self.consumer.stop())
