"""quixstreams against the hub: a counting job with its state and changelog."""

import json
import tempfile
import unittest
from pathlib import Path

import confluent_kafka as ck
import hub
import kafka_hub
from quixstreams import Application
from quixstreams.kafka import ConnectionConfig
from quixstreams.models.topics.exceptions import CreateTopicFailure

LOGIN = {
    "bootstrap.servers": kafka_hub.bootstrap(),
    "security.protocol": "SASL_SSL",
    "ssl.ca.location": str(hub.CA_FILE),
    "sasl.mechanism": "PLAIN",
    "sasl.username": kafka_hub.USER,
    "sasl.password": kafka_hub.PASSWORD,
}
MACHINES = ("lathe", "mill", "press")
QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 300}


def send(topic, rounds):
    """One reading of each machine a round."""
    producer = ck.Producer(LOGIN)
    for number in range(rounds):
        for machine in MACHINES:
            producer.produce(topic, json.dumps({"reading": number}), machine)
    assert producer.flush(hub.DEADLINE) == 0


def read(topic, count):
    """The counts that the job wrote, by machine, in order."""
    counts, got = {machine: [] for machine in MACHINES}, 0
    reader = ck.Consumer({**LOGIN, **QUICK, "group.id": hub.unique("reader"), "auto.offset.reset": "earliest"})
    try:
        reader.subscribe([topic])

        def enough():
            nonlocal got
            message = reader.poll(0.1)
            if message is not None and not message.error():
                counts[message.key().decode()].append(json.loads(message.value())["count"])
                got += 1
            return got >= count

        hub.eventually(enough, f"{count} results")
    finally:
        reader.close()
    return counts


class Counting(unittest.TestCase):
    """Messages of each machine are counted."""

    def setUp(self):
        self.source, self.result = kafka_hub.topic(partitions=2), hub.unique("counts")
        self.group = hub.unique("quix")
        folder = tempfile.TemporaryDirectory(prefix="isthmus-quix-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def count(self, messages, state, **options):
        """Runs the job for so many messages, with its state in this folder."""
        app = Application(
            ConnectionConfig(**{name.replace(".", "_"): value for name, value in LOGIN.items()}),
            consumer_group=self.group,
            auto_offset_reset="earliest",
            consumer_extra_config=QUICK,
            state_dir=self.folder / state,
            commit_every=10,
            loglevel="WARNING",
            **options,
        )

        def add(reading, state):
            count = state.get("count", 0) + 1
            state.set("count", count)
            return {"count": count}

        frame = app.dataframe(app.topic(self.source)).apply(add, stateful=True)
        frame.to_topic(app.topic(self.result))
        app.run(count=messages, timeout=hub.DEADLINE)

    def test_counts_go_on_from_the_changelog_when_the_state_is_lost(self):
        # The hub compacts nothing and refuses to promise it: the changelog is made beforehand.
        hub.service("PUT", f"/eventHubs/changelog__{self.group}--{self.source}--default", {"partitions": 2}, expect=201)
        send(self.source, 10)
        self.count(30, "first")
        kafka_hub.restart(kill=True)
        send(self.source, 10)
        self.count(30, "second")
        self.assertEqual(read(self.result, 60), {machine: list(range(1, 21)) for machine in MACHINES})

    def test_a_changelog_that_would_have_to_be_compacted_is_refused_clearly(self):
        with self.assertRaisesRegex(CreateTopicFailure, "compact"):
            self.count(1, "none")

    def test_counts_go_on_from_the_state_without_a_changelog(self):
        send(self.source, 10)
        self.count(30, "only", use_changelog_topics=False)
        send(self.source, 10)
        self.count(30, "only", use_changelog_topics=False)
        self.assertEqual(read(self.result, 60), {machine: list(range(1, 21)) for machine in MACHINES})


if __name__ == "__main__":
    unittest.main()
