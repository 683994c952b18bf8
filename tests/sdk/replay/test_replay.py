"""Recorded sensor data in, the same data out: complete, in order, byte for byte.

What a lost connection left unacknowledged is sent again, so it may be stored twice, no more often than
the sender counted: repeats start from an earlier point and skip nothing.

ISTHMUS_REPLAY_CSV names a recording with the columns `timestamp,value`; without it one is made.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import hub

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\Z")
AWKWARD = [
    *["1e5", "-0.0", "12345678901234567890.10", "007", "1.", ".5", "NaN", "", "true", "null"],
    *['say "hi"', "back\\slash", "a,b", "ü €", "tab\there"],
]


def make_recording(path):
    """Hourly readings of one sensor."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "value"])
        for hour in range(5000):
            day, clock = divmod(hour, 24)
            month, day = divmod(day, 28)
            time = f"20{13 + month // 12}-{month % 12 + 1:02}-{day + 1:02} {clock:02}:00:00"
            writer.writerow([time, f"{68 + hour * 37 % 100 / 7:.8f}"])


def text(value):
    """A JSON string."""
    return json.dumps(value, ensure_ascii=False)


def expected_bodies(path, device_column=None):
    """What each row's body must be, by the value of the device column."""
    expected = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            device = row.pop(device_column) if device_column else None
            cells = [f"{text(name)}:{cell if NUMBER.match(cell) else text(cell)}" for name, cell in row.items()]
            expected.setdefault(device, []).append("{" + ",".join(cells) + "}")
    return expected


def without_repeats(events):
    """The bodies of one device in order, each message once, and how many repeats there were.

    Its messages are numbered from 1 by their ids. Each must follow the one before it, or repeat one
    that is there and so begin again from it; what is repeated must be what was stored.
    """
    bodies, previous = [], 0
    for event in events:
        number = int(event["system"]["message-id"].rpartition("-")[2])
        body = event["body"]
        if number == len(bodies) + 1:
            bodies.append(body)
        elif not 1 <= number <= len(bodies) or bodies[number - 1] != body:
            raise AssertionError(f"{number} among {len(bodies)} is no repeat: {body}")
        if number > previous + 1:
            raise AssertionError(f"{number} follows {previous}")
        previous = number
    return bodies, len(events) - len(bodies)


class Repeats(unittest.TestCase):
    """What counts as a repeat."""

    @staticmethod
    def stored(*numbers):
        return [{"system": {"message-id": f"d-7-{number}"}, "body": f"b{number}"} for number in numbers]

    def test_messages_sent_again_from_an_earlier_point_count_once(self):
        for numbers, repeats in [([1, 2, 3], 0), ([1, 2, 1, 2, 3], 2), ([1, 2, 3, 2, 2, 3, 4], 3), ([], 0)]:
            bodies = [f"b{number}" for number in range(1, max(numbers, default=0) + 1)]
            self.assertEqual(without_repeats(self.stored(*numbers)), (bodies, repeats), numbers)

    def test_what_skips_or_changes_a_message_is_no_repeat(self):
        for numbers in [[2], [1, 3], [1, 2, 3, 1, 3], [1, 2, 3, 1, 4], [0]]:
            with self.assertRaises(AssertionError, msg=numbers):
                without_repeats(self.stored(*numbers))
        changed = self.stored(1, 2, 1)
        changed[-1]["body"] = "other"
        with self.assertRaises(AssertionError):
            without_repeats(changed)


class Replay(unittest.TestCase):
    """device-sim sends, hubctl reads, the ledger judges."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="isthmus-replay-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder])
        self.ledger = self.folder / "ledger.tsv"
        self.prefix = hub.unique("replay")

    def replay(self, recording, device_column):
        """Sends the recording; gives how many messages were sent again."""
        columns = ["--device-column", device_column, "--time-column", "timestamp", "--speed", "max"]
        target = ["--data-dir", hub.DATA, "--ledger", self.ledger, "--prefix", self.prefix, "--output", "json"]
        command = [hub.BIN / "device-sim", "run", "--replay", recording, *columns, *target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["resent"]

    def read_ledger(self):
        """The hashes that were acknowledged, by device, in the order of its running numbers."""
        devices = {}
        for line in self.ledger.read_text().splitlines():
            device, number, digest = line.split("\t")
            devices.setdefault(device, []).append((int(number), digest))
        for entries in devices.values():
            numbers = [number for number, _ in entries]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "running numbers")
        return {device: [digest for _, digest in entries] for device, entries in devices.items()}

    def read_back(self, devices):
        """The events that are stored, by device, in their order, and the lines as they came."""
        lines = hub.hubctl("event", "watch", "--output", "json", "--from", "earliest", "--until-end")
        events = {device: [] for device in devices}
        for event in map(json.loads, lines.splitlines()):
            if event["deviceId"] in events:
                events[event["deviceId"]].append(event)
        return events, lines

    def check(self, recording, device_column="none"):
        resent = self.replay(recording, device_column)
        ledger = self.read_ledger()
        stored, lines = self.read_back(ledger)
        counted = {device: without_repeats(events) for device, events in stored.items()}
        bodies = {device: each for device, (each, _) in counted.items()}
        self.assertLessEqual(sum(repeats for _, repeats in counted.values()), resent, "repeats of what was not sent again")
        hashes = {device: [hashlib.sha256(body.encode()).hexdigest() for body in of] for device, of in bodies.items()}
        self.assertEqual(hashes, ledger)
        expected = expected_bodies(recording, None if device_column == "none" else device_column)
        self.assertEqual(sorted(bodies.values()), sorted(expected.values()))
        for event in (event for events in stored.values() for event in events):
            system = (event["system"]["content-type"], event["system"]["content-encoding"])
            self.assertEqual(system, ("application/json", "utf-8"))
        verify = [hub.BIN / "device-sim", "verify", "--ledger", self.ledger]
        done = subprocess.run(verify, input=lines, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_recording_arrives_complete_and_in_order(self):
        recording = os.environ.get("ISTHMUS_REPLAY_CSV")
        if not recording:
            recording = self.folder / "recording.csv"
            make_recording(recording)
        self.check(Path(recording))

    def test_cells_of_every_kind_arrive_as_they_are(self):
        recording = self.folder / "awkward.csv"
        with recording.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["timestamp", "machine", "value", "ünit"])
            for row, cell in enumerate(AWKWARD * 4):
                writer.writerow([f"2024-01-01 00:{row // 60:02}:{row % 60:02}", f"machine-{row % 3}", cell, f"{row}"])
        self.check(recording, "machine")

    def test_verify_finds_what_is_missing(self):
        self.ledger.write_text(f"{self.prefix}\t1\t{hashlib.sha256(b'never sent').hexdigest()}\n")
        _, lines = self.read_back([])
        verify = [hub.BIN / "device-sim", "verify", "--ledger", self.ledger]
        done = subprocess.run(verify, input=lines, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
