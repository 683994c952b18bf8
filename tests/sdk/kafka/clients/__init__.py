"""Unmodified Kafka clients behind one interface, so that every promise is kept to each of them.

A client class has `CODECS`, and these methods; each module says what its library lacks.

    write(topic, messages, codec=None, partition=None, **how)  -> [(partition, offset)]
    read(topic, count, since=None)      -> [Record], by partition and offset; `since` in ms
    offsets(topic)                      -> (first, next) of partition 0
    offset_at(topic, milliseconds)      -> the first offset at or after that time, or None
    member(group, topic)                -> Member
    login_error()                       -> what the client says when it is not let in
    topics(), partitions(topic), create_topic(name, partitions, config), delete_topic(name),
    add_partitions(name, count), config(name), groups(), group(name) -> (state, members)

What the hub refuses is raised as `Refused`.
"""

import contextlib
import logging
import time
from dataclasses import dataclass, field

import hub


@dataclass(frozen=True)
class Message:
    """What a producer sends. The timestamp is in milliseconds; None lets the client choose."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int | None = None


@dataclass(frozen=True)
class Record:
    """What a consumer got."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def place(self):
        """Partition and offset."""
        return self.partition, self.offset


class Refused(Exception):
    """The hub answered with this error code of the protocol."""

    def __init__(self, code, text=""):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


@dataclass
class Member:
    """A member of a group. Clients are driven by polling: nothing happens between turns."""

    records: list[Record] = field(default_factory=list)

    def turn(self):
        """Polls for a moment; what came is added to `records`."""
        raise NotImplementedError

    def assigned(self):
        """The partitions it has now."""
        raise NotImplementedError

    def commit(self):
        """Commits the position behind the last record that was polled."""
        raise NotImplementedError

    def leave(self):
        """Leaves the group without a commit."""
        raise NotImplementedError


@contextlib.contextmanager
def clients_log(library):
    """What a library's logger writes meanwhile."""
    lines, handler = [], logging.Handler()
    handler.emit = lambda entry: lines.append(entry.getMessage())
    logging.getLogger(library).addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger(library).removeHandler(handler)


def settle(members, fact, what):
    """Lets the members poll until `fact()` is true."""
    end = time.monotonic() + hub.DEADLINE
    while not fact():
        if time.monotonic() > end:
            state = [(sorted(member.assigned()), len(member.records)) for member in members]
            raise AssertionError(f"not within {hub.DEADLINE} s: {what}; partitions and records of each: {state}")
        for member in members:
            member.turn()
