"""kcat, as Debian has it: librdkafka 2.0.2 or later on a command line."""

import itertools
import re
import signal
import subprocess
import threading

import hub
import kafka_hub

from . import Member, Record, Refused

# Between messages and between key and value; no message of the tests has them.
END, MIDDLE = b"\x1e", b"\x1f"
# A line of facts and lengths, then key, value and headers as they are.
FORMAT = r"%p %o %T %K %S\n%k%s%h\x1e\n"


def parse(output):
    """Records as FORMAT writes them, and what is left of an unfinished one."""
    records = []
    while b"\n" in output:
        line, rest = output.split(b"\n", 1)
        partition, offset, timestamp, key_length, value_length = map(int, line.split())
        key_end = max(key_length, 0)
        value_end = key_end + max(value_length, 0)
        end = rest.find(END + b"\n", value_end)
        if end < 0:
            break
        headers = tuple(tuple(each.split(b"=", 1)) for each in rest[value_end:end].split(b",") if each)
        headers = tuple((name.decode(), value) for name, value in headers)
        key = None if key_length < 0 else rest[:key_end]
        value = None if value_length < 0 else rest[key_end:value_end]
        records.append(Record(partition, offset, timestamp, key, value, headers))
        output = rest[end + 2:]
    return records, output


class Kcat:
    """Has no administration; headers are read as text, and written for a whole call."""

    CODECS = ("gzip", "snappy", "lz4", "zstd")

    def __init__(self, password=kafka_hub.PASSWORD, user=kafka_hub.USER):
        tls = {"security.protocol": "SASL_SSL", "ssl.ca.location": hub.CA_FILE}
        login = {"sasl.mechanisms": "PLAIN", "sasl.username": user, "sasl.password": password}
        quick = {"reconnect.backoff.max.ms": 500, "topic.metadata.propagation.max.ms": 500, "message.timeout.ms": 10_000}
        options = {**tls, **login, **quick}.items()
        self.base = ["kcat", "-b", kafka_hub.bootstrap(), *itertools.chain(*(("-X", f"{name}={value}") for name, value in options))]

    def command(self, *arguments, stdin=b"", check=True):
        """Runs kcat; gives its standard output, or what it says when it fails."""
        command = [*self.base, *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=2 * hub.DEADLINE)
        if check and done.returncode != 0:
            raise Refused(None, done.stderr.decode())
        return done.stdout if check else done.stderr.decode()

    def write(self, topic, messages, codec=None, partition=None, headers=(), **options):
        """The offsets are not told: kcat only fails or does not."""
        how = ["-P", "-t", topic, "-D", r"\x1e", "-z", codec or "none"]
        if partition is not None:
            how += ["-p", partition]
        if messages[0].key is not None:
            how += ["-K", r"\x1f"]
        for name, value in headers:
            how += ["-H", f"{name}={value}"]
        for name, value in options.items():
            how += ["-X", f"{name}={value}"]
        lines = [message.value if message.key is None else message.key + MIDDLE + message.value for message in messages]
        self.command(*how, stdin=END.join(lines))

    def read(self, topic, count, since=None):
        start = "beginning" if since is None else f"s@{since}"
        records, rest = parse(self.command("-C", "-t", topic, "-o", start, "-e", "-q", "-f", FORMAT))
        if len(records) != count or rest:
            raise AssertionError(f"{len(records)} records instead of {count}; left: {rest!r}")
        return sorted(records, key=lambda each: each.place)

    def offset_at(self, topic, milliseconds):
        """Logical offsets too: -2 the first, -1 the next."""
        answer = self.command("-Q", "-t", f"{topic}:0:{milliseconds}").decode()
        return int(re.search(r"\[0\] offset (-?\d+)", answer)[1])

    def offsets(self, topic):
        return self.offset_at(topic, -2), self.offset_at(topic, -1)

    def member(self, group, topic, *options):
        return KcatMember(self, group, topic, options)

    def login_error(self):
        return self.command("-L", "-m", "5", check=False)

    def partitions(self, topic):
        found = re.search(r'topic "[^"]+" with (\d+) partitions:(.*)', self.command("-L", "-t", topic).decode())
        if found[2]:
            raise Refused(None, found[2])
        return int(found[1])


class KcatMember(Member):
    """`kcat -G` in a process of its own. It commits when it leaves."""

    def __init__(self, client, group, topic, options):
        super().__init__()
        quick = ["-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=300", "-X", "auto.offset.reset=earliest"]
        command = [*client.base, *quick, *options, "-u", "-f", FORMAT, "-G", group, topic]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._output, self._errors, self._changed = b"", "", threading.Event()
        self._readers = [threading.Thread(target=each) for each in (self._read_output, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read_output(self):
        while chunk := self.process.stdout.read1():
            self._output += chunk
            self._changed.set()

    def _read_errors(self):
        for line in self.process.stderr:
            self._errors += line.decode()
            self._changed.set()

    def turn(self):
        self._changed.wait(0.05)
        self._changed.clear()
        self.records = parse(self._output)[0]

    def assigned(self):
        """What the last line about it says."""
        changes = re.findall(r"Group \S+ rebalanced.*?: (assigned|revoked): (.*)", self._errors)
        if not changes or changes[-1][0] == "revoked":
            return set()
        return set(map(int, re.findall(r"\[(\d+)\]", changes[-1][1])))

    def leave(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(hub.DEADLINE)
        for reader in self._readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
