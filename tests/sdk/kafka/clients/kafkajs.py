"""kafkajs, by a program of the folder kafka-node. Only writing and reading."""

import base64
import json
import subprocess
from pathlib import Path

import hub
import kafka_hub

from . import Record, Refused

FOLDER = Path(__file__).resolve().parent.parent.parent / "kafka-node"


class KafkaJs:
    """Bytes travel as base64."""

    CODECS = ("gzip", "snappy", "lz4", "zstd")

    def program(self, **request):
        """Runs one request; gives its answer."""
        done = subprocess.run(
            ["node", "crossing.js"],
            cwd=FOLDER,
            input=json.dumps({"broker": kafka_hub.bootstrap(), "password": kafka_hub.PASSWORD, **request}),
            capture_output=True,
            text=True,
            timeout=2 * hub.DEADLINE,
        )
        if done.returncode != 0:
            raise Refused(None, done.stderr)
        return json.loads(done.stdout)

    def write(self, topic, messages, codec=None):
        encode = lambda data: None if data is None else base64.b64encode(data).decode()
        self.program(write=topic, codec=codec, messages=[{"key": encode(each.key), "value": encode(each.value)} for each in messages])

    def read(self, topic, count):
        decode = lambda text: None if text is None else base64.b64decode(text)
        records = [
            Record(each["partition"], int(each["offset"]), int(each["timestamp"]), decode(each["key"]), decode(each["value"]))
            for each in self.program(read=topic, count=count)
        ]
        return sorted(records, key=lambda each: each.place)
