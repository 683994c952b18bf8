"""mosquitto_pub and mosquitto_sub with client certificates, and curl against the service API."""

import json
import subprocess
import unittest

import hub
from hub import Identity


def run(*command):
    """Runs a command with a deadline."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=hub.DEADLINE)


class MosquittoClients:
    """The same promises in both versions of MQTT."""

    version = "mqttv311"

    def setUp(self):
        self.identity = Identity(hub.unique("mosquitto"))
        self.credentials = hub.ca_signed(self.identity)
        self.telemetry = f"devices/{self.identity.path}/messages/events/"
        self.commands = f"devices/{self.identity.path}/messages/devicebound/#"

    def client(self, program, *arguments, identity=None, check=True):
        identity, (certificate, key) = identity or self.identity, self.credentials
        server = ["-h", hub.HOST, "-p", 8883, "--cafile", hub.CA_FILE, "--cert", certificate, "--key", key]
        login = ["-V", self.version, "-i", identity.name, "-u", identity.username]
        done = run(program, *server, *login, "-q", 1, *arguments)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def keep_session(self):
        """Subscribes for later: the session outlives the connection."""
        return self.client("mosquitto_sub", *self.persistent, "-t", self.commands, "-E")

    def received(self):
        """Connects again for two seconds, and gives the bodies of all commands that came.

        With -C the client would close its socket right behind the last message, with bytes unread,
        and the reset can overtake its acknowledgements.
        """
        how = [*self.persistent, "-t", self.commands, "-W", 2, "-F", "%p"]
        return self.client("mosquitto_sub", *how, check=False).stdout.splitlines()

    def test_a_published_message_is_stored(self):
        bag = "%24.ct=application%2Fjson&%24.ce=utf-8&room=machine%20room"
        self.client("mosquitto_pub", "-t", self.telemetry + bag, "-m", '{"t":21.5}')
        [event] = hub.events(self.identity.device)
        self.assertEqual((event["body"], event["properties"]), ('{"t":21.5}', {"room": "machine room"}))
        self.assertEqual((event["system"]["content-type"], event["system"]["content-encoding"]), ("application/json", "utf-8"))

    def test_lines_are_stored_in_order(self):
        lines = [f"line {number}" for number in range(50)]
        path = hub.DATA.parent / f"{self.identity.device}.txt"
        path.write_text("\n".join(lines) + "\n")
        self.addCleanup(path.unlink)
        with path.open() as source:
            command = ["mosquitto_pub", "-h", hub.HOST, "-p", "8883", "--cafile", hub.CA_FILE, "-l", "-q", "1"]
            certificate = ["--cert", self.credentials[0], "--key", self.credentials[1]]
            login = ["-V", self.version, "-i", self.identity.name, "-u", self.identity.username]
            done = subprocess.run([*command, *certificate, *login, "-t", self.telemetry], stdin=source, timeout=hub.DEADLINE)
        self.assertEqual(done.returncode, 0)
        self.assertEqual([event["body"] for event in hub.events(self.identity.device)], lines)

    def test_commands_queued_while_away_arrive_once_and_in_order(self):
        self.keep_session()
        for body in ("1", "2", "3"):
            hub.hubctl("command", "send", self.identity.device, "--body", body)
        self.assertEqual(self.received(), ["1", "2", "3"])
        hub.eventually(lambda: not hub.queued_commands(self.identity), "the queue is empty")

    def test_the_certificate_of_another_device_is_refused(self):
        other = Identity(hub.unique("mosquitto"))
        hub.create(other, {"type": "certificateAuthority"})
        topic = f"devices/{other.device}/messages/events/"
        done = self.client("mosquitto_pub", "-t", topic, "-m", "x", identity=other, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not authori", (done.stdout + done.stderr).lower())
        self.assertEqual(hub.events(other.device), [])


class Mosquitto311(MosquittoClients, unittest.TestCase):
    """MQTT 3.1.1."""

    persistent = ("-c",)


class Mosquitto5(MosquittoClients, unittest.TestCase):
    """MQTT 5."""

    version = "mqttv5"
    persistent = ("-c", "-x", "3600")

    def test_properties_of_a_publish_become_message_properties(self):
        given = ["-D", "publish", "user-property", "room", "a b", "-D", "publish", "content-type", "text/plain"]
        self.client("mosquitto_pub", "-t", self.telemetry, "-m", "x", *given)
        [event] = hub.events(self.identity.device)
        self.assertEqual((event["properties"], event["system"]["content-type"]), ({"room": "a b"}, "text/plain"))


class Curl(unittest.TestCase):
    """The service API with nothing but curl."""

    def setUp(self):
        self.device = hub.unique("curl")
        hub.create(Identity(self.device), {"type": "sas"})

    def curl(self, path, *arguments, method="GET"):
        """Gives the status, the headers' text and the body."""
        url = f"https://{hub.HOST}:{hub.https_port()}{path}?{hub.API}"
        done = run("curl", "-sS", "-i", "--http1.1", "--noproxy", "*", "--cacert", hub.CA_FILE, "-X", method, *arguments, url)
        self.assertEqual(done.returncode, 0, done.stderr)
        head, _, body = done.stdout.partition("\n\n")
        return int(head.split()[1]), head.lower(), body

    def authorization(self, **options):
        return ("-H", f"Authorization: {hub.token(**options)}")

    def test_a_token_reads_a_device(self):
        status, head, body = self.curl(f"/devices/{self.device}", *self.authorization())
        self.assertEqual(status, 200)
        self.assertIn("content-type: application/json; charset=utf-8", head)
        device = json.loads(body)
        self.assertEqual(device["deviceId"], self.device)
        self.assertIn(f'etag: "{device["etag"].lower()}"', head)

    def test_a_pinned_operator_certificate_needs_no_token(self):
        certificate = hub.DATA.parent / "operator.crt"
        key = certificate.with_suffix(".key")
        status, _, body = self.curl(f"/twins/{self.device}", "--cert", certificate, "--key", key)
        self.assertEqual((status, json.loads(body)["deviceId"]), (200, self.device))

    def test_a_device_s_certificate_makes_no_operator(self):
        certificate, key = hub.ca_signed(Identity(hub.unique("curl")))
        status, head, _ = self.curl(f"/devices/{self.device}", "--cert", certificate, "--key", key)
        self.assertEqual(status, 401)
        self.assertIn("iothub-errorcode: iothubunauthorized", head)

    def test_without_a_valid_token_nothing_is_read(self):
        cases = {
            "none": (),
            "expired": self.authorization(seconds=-3600),
            "another host": self.authorization(resource="elsewhere"),
            "cut": ("-H", f"Authorization: {hub.token()[:60]}"),
        }
        for what, authorization in cases.items():
            with self.subTest(what):
                status, head, body = self.curl(f"/devices/{self.device}", *authorization)
                self.assertEqual(status, 401)
                self.assertIn("iothub-errorcode: iothubunauthorized", head)
                self.assertTrue(json.loads(body)["Message"].startswith("ErrorCode:IotHubUnauthorized;"))

    def test_a_refusal_carries_its_name_and_a_tracking_id(self):
        status, head, body = self.curl(f"/devices/{hub.unique('absent')}", *self.authorization())
        self.assertEqual(status, 404)
        self.assertIn("iothub-errorcode: devicenotfound", head)
        error = json.loads(body)
        self.assertTrue(error["Message"].startswith("ErrorCode:DeviceNotFound;"), error)
        self.assertTrue(error["ExceptionMessage"].startswith("Tracking ID:"), error)

    def test_a_body_that_is_no_json_is_refused(self):
        path, data = f"/twins/{self.device}", ("-H", "Content-Type: application/json", "-d", "{")
        status, _, _ = self.curl(path, *self.authorization(), *data, method="PATCH")
        self.assertEqual(status, 400)


if __name__ == "__main__":
    unittest.main()
