"""faust-streaming against the hub: a counting job with its table and changelog."""

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
    """The counts that the job wrote, by machine, in order."""
    counts, got = {machine: [] for machine in MACHINES}, 0
    consumer = aiokafka.AIOKafkaConsumer(topic, **login(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(hub.DEADLINE):
            while got < count:
                record = await consumer.getone()
                counts[record.key].append(json.loads(record.value)["count"])
                got += 1
    except TimeoutError:
        raise AssertionError(f"{got} results instead of {count}: {counts}") from None
    finally:
        await consumer.stop()
    return counts


class Worker:
    """A worker in a process of its own."""

    def __init__(self, environment, log):
        self.log = log
        with log.open("ab") as output:
            command = [sys.executable, str(Path(__file__).parent / "counting.py"), "worker", "--without-web", "-l", "info"]
            options = {"cwd": log.parent, "env": {**os.environ, **environment}, "stdout": output, "stderr": output}
            self.process = subprocess.Popen(command, **options)

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
                asyncio.run(send(source, 10))
                worker = Worker({"APP": app, "SOURCE": source, "RESULT": result}, log)
                try:
                    counts = asyncio.run(read(result, 30 * part))
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
