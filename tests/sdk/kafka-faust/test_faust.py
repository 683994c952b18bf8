"""faust-streaming against the hub: a counting job with its table and changelog.

Readings are sent when the worker is ready, and it is stopped when it has committed them. Faust 0.15
loses or repeats what it fetches while it restores a table: it lets the fetcher go on before it has
sought the committed offsets, then empties its agents' queues
(https://github.com/faust-streaming/faust/issues/596).
"""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import aiokafka
import hub
import kafka_hub
from aiokafka import admin

MACHINES = (b"lathe", b"mill", b"press")


def login():
    """Options of aiokafka."""
    tls = {"security_protocol": "SASL_SSL", "ssl_context": ssl.create_default_context(cafile=str(hub.CA_FILE))}
    sasl = {"sasl_mechanism": "PLAIN", "sasl_plain_username": kafka_hub.USER, "sasl_plain_password": kafka_hub.PASSWORD}
    return {"bootstrap_servers": kafka_hub.bootstrap(), **tls, **sasl}


async def send(topic, rounds):
    """One reading of each machine a round."""
    producer = aiokafka.AIOKafkaProducer(**login())
    await producer.start()
    try:
        for number in range(rounds):
            for machine in MACHINES:
                await producer.send(topic, json.dumps({"reading": number}).encode(), machine)
        await producer.flush()
    finally:
        await producer.stop()


async def read(topic, count):
    """The counts that the job wrote, by machine, in order. None may keep it waiting for long."""
    counts, got = {machine: [] for machine in MACHINES}, 0
    consumer = aiokafka.AIOKafkaConsumer(topic, **login(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        while got < count:
            record = await asyncio.wait_for(consumer.getone(), hub.DEADLINE)
            counts[record.key].append(json.loads(record.value)["count"])
            got += 1
    except TimeoutError:
        raise AssertionError(f"{got} results instead of {count}: {counts}") from None
    finally:
        await consumer.stop()
    return counts


async def committed(group, topic):
    """How many messages of a topic a group is done with."""
    client = admin.AIOKafkaAdminClient(**login())
    await client.start()
    try:
        offsets = await client.list_consumer_group_offsets(group)
    finally:
        await client.close()
    return sum(found.offset for part, found in offsets.items() if part.topic == topic)


class Worker:
    """A worker in a process of its own."""

    def __init__(self, environment, log):
        self._ready = log.with_name("ready")
        self._ready.unlink(missing_ok=True)
        environment = {**os.environ, **environment, "READY": str(self._ready)}
        with log.open("ab") as output:
            command = [sys.executable, str(Path(__file__).parent / "counting.py"), "worker", "--without-web", "-l", "info"]
            self.process = subprocess.Popen(command, cwd=log.parent, env=environment, stdout=output, stderr=output)

    def wait_until_ready(self):
        """Returns when its table is restored. How long its start takes is not the hub's affair."""

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the worker ended with {self.process.returncode} before it was ready")
            return self._ready.exists()

        hub.eventually(ready, "a worker that is ready", 3 * hub.DEADLINE)

    def stop(self):
        """Ends it in its own way."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(hub.DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Counting(unittest.TestCase):
    """Messages of each machine are counted."""

    def test_counts_go_on_from_the_changelog(self):
        source, result, app = kafka_hub.topic(partitions=2), kafka_hub.topic(partitions=2), hub.unique("faust")
        # The hub compacts nothing and refuses to promise it: the changelog is made beforehand.
        hub.service("PUT", f"/eventHubs/{app}-counts-changelog", {"partitions": 2}, expect=201)
        folder = tempfile.TemporaryDirectory(prefix="isthmus-faust-")
        self.addCleanup(folder.cleanup)
        log = Path(folder.name) / "worker.log"
        try:
            for part in (1, 2):
                worker = Worker({"APP": app, "SOURCE": source, "RESULT": result}, log)
                try:
                    worker.wait_until_ready()
                    asyncio.run(send(source, 10))
                    counts = asyncio.run(read(result, 30 * part))
                    hub.eventually(lambda: asyncio.run(committed(app, source)) == 30 * part, "the worker's commit")
                finally:
                    worker.stop()
                self.assertEqual(counts, {machine: list(range(1, 10 * part + 1)) for machine in MACHINES})
                if part == 1:
                    kafka_hub.restart()
        except BaseException:
            print(log.read_text(errors="replace")[-8000:])
            raise


if __name__ == "__main__":
    unittest.main()
