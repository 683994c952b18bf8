"""What the Python-driven suites need to talk to a running hub. Standard library only.

Two variables say where it is: ISTHMUS_DATA_DIR, the directory given to `isthmus dev`, and
ISTHMUS_BIN, the folder of the binaries.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import queue
import ssl
import subprocess
import tempfile
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from pathlib import Path

DATA = Path(os.environ["ISTHMUS_DATA_DIR"])
BIN = Path(os.environ["ISTHMUS_BIN"])
CA_FILE = DATA / "trust" / "ca.pem"
CONNECTION_STRING = (DATA / "operator" / "connection-string").read_text().strip()
HOST = "localhost"
API = "api-version=2021-04-12"
# No test waits this long unless a promise is broken.
DEADLINE = 20

# The certificates that a suite makes; they go with the process.
_CERTIFICATES = tempfile.TemporaryDirectory(prefix="isthmus-certificates-")


# ---- identities -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Identity:
    """A device, or a module of one."""

    device: str
    module: str | None = None

    @property
    def name(self):
        """As a certificate's common name and an MQTT client id spell it."""
        return self.device if self.module is None else f"{self.device}/{self.module}"

    @property
    def path(self):
        """Below `/devices/`, `/twins/` and in topics."""
        return self.device if self.module is None else f"{self.device}/modules/{self.module}"

    @property
    def username(self):
        """The user name of a plain MQTT client."""
        return f"{HOST}/{self.name}/?{API}"


def unique(prefix):
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def create(identity, authentication):
    """Registers an identity; a module's device is registered with keys of its own."""
    if identity.module is not None:
        device = {"deviceId": identity.device, "authentication": {"type": "sas"}}
        service("PUT", f"/devices/{identity.device}", device, expect=200)
    body = {"deviceId": identity.device, "authentication": authentication}
    if identity.module is None:
        body["status"] = "enabled"
    else:
        body["moduleId"] = identity.module
    return service("PUT", f"/devices/{identity.path}", body, expect=(200, 201)).json


def ca_signed(identity):
    """Registers `identity` under the development CA; gives its certificate and key files."""
    create(identity, {"type": "certificateAuthority"})
    return issue(identity)


def issue(identity):
    """A certificate for `identity` under the development CA, by the operator's command line."""
    out = Path(_CERTIFICATES.name)
    hubctl("cert", "issue", identity.name, "--out", str(out))
    return out / f"{identity.name}.crt", out / f"{identity.name}.key"


def pinned(identity, slot="primaryThumbprint"):
    """Registers `identity` by its certificate's SHA-256 thumbprint; gives certificate and key."""
    certificate, key = self_signed(identity)
    create(identity, {"type": "selfSigned", "x509Thumbprint": {slot: thumbprint(certificate)}})
    return certificate, key


def self_signed(identity):
    """A certificate that only its thumbprint can vouch for, made as people make them."""
    stem = Path(_CERTIFICATES.name) / uuid.uuid4().hex
    certificate, key = stem.with_suffix(".crt"), stem.with_suffix(".key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=" + identity.name.replace("/", "\\/"), "-days", "2"]
    command = ["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def thumbprint(certificate):
    """SHA-256 over the certificate's DER, in hexadecimal."""
    der = ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())
    return hashlib.sha256(der).hexdigest().upper()


def with_key(identity):
    """Registers `identity` with keys that the hub makes; gives its connection string."""
    key = create(identity, {"type": "sas"})["authentication"]["symmetricKey"]["primaryKey"]
    module = "" if identity.module is None else f";ModuleId={identity.module}"
    return f"HostName={HOST};DeviceId={identity.device}{module};SharedAccessKey={key}"


# ---- the service API --------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """An answer of the service API."""

    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self):
        """The body."""
        return json.loads(self.text)


class Unexpected(AssertionError):
    """The service API answered with another status than the test asked for."""


def service(method, path, body=None, expect=None, headers=()):
    """One request as the operator of the connection string."""
    separator = "&" if "?" in path else "?"
    connection = http.client.HTTPSConnection(HOST, https_port(), timeout=DEADLINE, context=tls())
    try:
        payload = None if body is None else json.dumps(body)
        sent = {"Authorization": token(), "Content-Type": "application/json", **dict(headers)}
        connection.request(method, f"{path}{separator}{API}", payload, sent)
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read().decode())
    finally:
        connection.close()
    if expect is not None and answer.status not in (expect if isinstance(expect, tuple) else (expect,)):
        raise Unexpected(f"{method} {path}: {answer.status}, expected {expect}: {answer.text}")
    return answer


def token(resource=HOST, seconds=3600):
    """A shared-access token of the operator's policy."""
    fields = dict(part.split("=", 1) for part in CONNECTION_STRING.split(";"))
    policy, key = fields["SharedAccessKeyName"], base64.b64decode(fields["SharedAccessKey"])
    resource = urllib.parse.quote(resource, safe="")
    expiry = int(time.time()) + seconds
    digest = hmac.new(key, f"{resource}\n{expiry}".encode(), hashlib.sha256).digest()
    signature = urllib.parse.quote(base64.b64encode(digest), safe="")
    return f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn={policy}"


def https_port():
    """A port that the HTTPS listener is bound to."""
    addresses = json.loads((DATA / "ports.json").read_text())["https"]
    address = addresses if isinstance(addresses, str) else addresses[0]
    return int(address.rsplit(":", 1)[1])


def tls():
    """TLS that trusts the hub's CA and nothing else."""
    return ssl.create_default_context(cafile=str(CA_FILE))


def twin(identity):
    """The twin as the service sees it."""
    return service("GET", f"/twins/{identity.path}", expect=200).json


def patch_desired(identity, desired):
    """Merges into the desired properties; gives the twin."""
    return service("PATCH", f"/twins/{identity.path}", {"properties": {"desired": desired}}, expect=200).json


def invoke(identity, method, payload=None, **options):
    """Calls a direct method, whatever the answer."""
    body = {"methodName": method, "payload": payload, "responseTimeoutInSeconds": 15, **options}
    return service("POST", f"/twins/{identity.path}/methods", body)


def send_command(identity, body, **fields):
    """Queues a command; gives its message id."""
    request = {"body": body, "properties": {}, **fields}
    return service("POST", f"/devices/{identity.path}/commands", request, expect=200).json["messageId"]


def queued_commands(identity):
    """What the device's queue still holds."""
    return service("GET", f"/devices/{identity.path}/commands", expect=200).json


# ---- the operator's command line --------------------------------------------------------------


def hubctl(*arguments):
    """Runs hubctl on the hub's data directory; gives its standard output."""
    command = [BIN / "hubctl", "--data-dir", DATA, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * DEADLINE)
    if done.returncode != 0:
        raise AssertionError(f"hubctl {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def events(device, *how):
    """The events of one device in order: all that are stored, or as `how` says."""
    how = how or ("--until-end",)
    lines = hubctl("event", "watch", "--device", device, "--from", "earliest", "--output", "json", *how)
    return [json.loads(line) for line in lines.splitlines()]


def system_properties(event):
    """An event's system properties without those that differ each time, which are checked here."""
    system = dict(event["system"])
    assert system.pop("iothub-enqueuedtime"), event
    assert system.pop("iothub-connection-auth-generation-id"), event
    method = system.pop("iothub-connection-auth-method")
    method = json.loads(method) if isinstance(method, str) else method
    system["auth"] = (method["scope"], method["type"].lower()[:4])
    return system


# ---- waiting for facts ------------------------------------------------------------------------


def eventually(fact, what, seconds=DEADLINE):
    """Polls until `fact()` is true and gives its value."""
    end = time.monotonic() + seconds
    while not (value := fact()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return value


class Inbox:
    """What a client's callbacks were given, in order."""

    def __init__(self):
        self._items = queue.Queue()

    def put(self, item):
        """Takes one item; usable as a callback."""
        self._items.put(item)

    def take(self, what="a message"):
        """The next item."""
        try:
            return self._items.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError(f"not within {DEADLINE} s: {what}") from None

    def empty(self):
        """Whether nothing waits."""
        return self._items.empty()
