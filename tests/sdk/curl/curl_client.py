"""curl with a client certificate, on either version of HTTP."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import hub
from hub import Identity


@dataclass(frozen=True)
class Answer:
    """What curl was answered."""

    status: int
    headers: dict
    body: bytes
    # Whether curl had to open a connection for it.
    connected: bool

    @property
    def json(self):
        """The body."""
        return json.loads(self.body)

    @property
    def lock(self):
        """The lock that came with a command."""
        return self.headers["etag"].strip('"')


class Curl:
    """An identity that asks by curl. A class says over which version."""

    module = None

    def setUp(self):
        self.identity = Identity(hub.unique("curl"), self.module)
        self.certificate, self.key = hub.ca_signed(self.identity)
        scratch = tempfile.TemporaryDirectory(prefix="isthmus-curl-")
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def started(self, urls, *arguments, certificate=None):
        """Starts curl on `urls`, one after the other, and gives what collects its answers."""
        certificate, key = certificate or (self.certificate, self.key)
        common = ["--silent", "--show-error", f"--http{self.version}", "--noproxy", "*", "--cacert", hub.CA_FILE]
        told = ["--write-out", "%{http_code} %{http_version} %{num_connects}\n"]
        command = ["curl"]
        for number, url in enumerate(urls):
            outputs = ["--dump-header", self.scratch / f"head-{number}", "--output", self.scratch / f"body-{number}"]
            command += [*common, "--cert", certificate, "--key", key, *told, *arguments, *outputs, url, "--next"]
        command.pop()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([str(word) for word in command], **pipes)

    def collected(self, process, count, body=None):
        """The answers, in order, once curl has ended. Each came over the version that is meant."""
        told, complaints = process.communicate(body, timeout=2 * hub.DEADLINE)
        self.assertEqual(process.returncode, 0, complaints.decode())
        lines = [line.split() for line in told.decode().splitlines()]
        self.assertEqual([line[1] for line in lines], [self.version] * count)
        return [self.answer(number, *line) for number, line in enumerate(lines)]

    def answer(self, number, status, _version, connections):
        # Behind an interim answer, such as 100 Continue, comes another head; the last one counts.
        heads = (self.scratch / f"head-{number}").read_text().replace("\r", "").strip().split("\n\n")
        pairs = [line.split(": ", 1) for line in heads[-1].splitlines()[1:]]
        body = self.scratch / f"body-{number}"
        content = body.read_bytes() if body.exists() else b""
        return Answer(int(status), {name.lower(): value for name, value in pairs}, content, connections != "0")

    def url(self, path, identity=None):
        return f"https://{hub.HOST}:{hub.https_port()}/devices/{(identity or self.identity).path}{path}"

    def curl(self, path, *arguments, body=None, identity=None, **credentials):
        """One request; a body goes through a pipe, so its length is not known beforehand."""
        stream = () if body is None else ("--upload-file", "-", "--request", "POST")
        process = self.started([self.url(path, identity)], *stream, *arguments, **credentials)
        [answer] = self.collected(process, 1, body)
        return answer

    def post(self, path, *arguments, data="", **how):
        """One request with a body of a known length."""
        return self.curl(path, "--data-binary", data, *arguments, **how)

    def assert_refused(self, answer, status, name):
        self.assertEqual((answer.status, answer.headers.get("iothub-errorcode")), (status, name), answer.body)
