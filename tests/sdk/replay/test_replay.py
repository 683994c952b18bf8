"""Recorded sensor data in, the same data out: complete, in order, byte for byte.

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


class Replay(unittest.TestCase):
    """device-sim sends, hubctl reads, the ledger judges."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="isthmus-replay-"))
        self.addCleanup(subprocess.run, ["rm", "-rf", self.folder])
        self.ledger = self.folder / "ledger.tsv"
        self.prefix = hub.unique("replay")

    def replay(self, recording, device_column):
        columns = ["--device-column", device_column, "--time-column", "timestamp", "--speed", "max"]
        target = ["--data-dir", hub.DATA, "--ledger", self.ledger, "--prefix", self.prefix]
        command = [hub.BIN / "device-sim", "run", "--replay", recording, *columns, *target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)

    def read_ledger(self):
        """The hashes that were acknowledged, by device, in the order of its running numbers."""
        devices = {}
        for line in self.ledger.read_text().splitlines():
            device, number, digest = line.split("\t")
            devices.setdefault(device, []).append((int(number), digest))
        for entries in devices.values():
            numbers = [number for number, _ in entries]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "running numbers")
        return {device: [digest for _, digest in entries] for device, entries in devices.items()}

    def read_back(self, devices):
        """The bodies that are stored, by device, in their order, and the lines as they came."""
        lines = hub.hubctl("event", "watch", "--output", "json", "--from", "earliest", "--until-end")
        bodies = {device: [] for device in devices}
        for event in map(json.loads, lines.splitlines()):
            if event["deviceId"] in bodies:
                bodies[event["deviceId"]].append(event)
        return bodies, lines

    def check(self, recording, device_column="none"):
        self.replay(recording, device_column)
        ledger = self.read_ledger()
        stored, lines = self.read_back(ledger)
        bodies = {device: [event["body"] for event in events] for device, events in stored.items()}
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
