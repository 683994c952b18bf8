"""curl with a client certificate: what a device sends, receives and answers over HTTPS."""

import base64
import json
import threading
import unittest

import hub
from curl_client import Curl
from hub import Identity

# What makes a batch of a body.
BATCH = "Content-Type: application/vnd.microsoft.iothub.json"
# A message with its properties may have so many bytes.
MESSAGE_MAX = 256 * 1024


class Device(Curl):
    """The same promises on both versions, to devices and modules."""

    def stored(self):
        """Bodies of the events of the identity and of what belongs to its device."""
        return [event["body"] for event in hub.events(self.identity.device)]

    # messages

    def test_a_message_is_stored_with_its_properties(self):
        system = {"messageid": "m-1", "correlationid": "c-1", "userid": "u-1", "contenttype": "text/plain", "contentencoding": "utf-8"}
        headers = [f"iothub-{name}: {value}" for name, value in system.items()] + ["iothub-app-Room: 4 über", "iothub-app-empty;"]
        words = [word for header in headers for word in ("--header", header)]
        answer = self.post("/messages/events?api-version=2021-04-12", *words, data="21.5 °C")
        self.assertEqual((answer.status, answer.body), (204, b""))
        [event] = hub.events(self.identity.device)
        self.assertEqual((event["body"], event["properties"]), ("21.5 °C", {"room": "4 über", "empty": ""}))
        self.assertEqual((event["deviceId"], event["moduleId"]), (self.identity.device, self.identity.module))
        names = ("message-id", "correlation-id", "user-id", "content-type", "content-encoding")
        self.assertEqual([event["system"][name] for name in names], list(system.values()))
        self.assertEqual(hub.system_properties(event)["auth"], ("module" if self.module else "device", "x509"))

    def test_a_batch_is_stored_in_order_with_its_properties(self):
        text = {"body": "plain", "base64Encoded": False}
        coded = {"body": base64.b64encode(b"\x00\xff").decode(), "properties": {"iothub-app-Room": "4"}}
        answer = self.post("/messages/events", "--header", BATCH, data=json.dumps([text, coded, text]))
        self.assertEqual(answer.status, 204)
        first, second, third = hub.events(self.identity.device)
        self.assertEqual([first["body"], base64.b64decode(second["bodyBase64"]), third["body"]], ["plain", b"\x00\xff", "plain"])
        self.assertEqual(second["properties"], {"Room": "4"})

    def test_of_a_batch_with_one_bad_message_nothing_is_stored(self):
        good = {"body": base64.b64encode(b"good").decode()}
        too_large = {"body": base64.b64encode(bytes(MESSAGE_MAX)).decode()}
        cases = {
            "no base64": ([good, {"body": "%"}], 400, "ArgumentInvalid"),
            "no body": ([good, {"properties": {}}], 400, "IotHubFormatError"),
            "no array": (good, 400, "IotHubFormatError"),
            "empty": ([], 400, "ArgumentInvalid"),
            "too large": ([good, too_large], 413, "MessageTooLarge"),
            "too many": ([good] * 1001, 413, "MessageTooLarge"),
        }
        for what, (batch, status, name) in cases.items():
            with self.subTest(what):
                answer = self.curl("/messages/events", "--header", BATCH, body=json.dumps(batch).encode())
                self.assert_refused(answer, status, name)
        self.assertEqual(self.stored(), [])

    def test_a_body_of_unknown_length_is_stored(self):
        body = bytes(range(256)) * 800
        self.assertEqual(self.curl("/messages/events", body=body).status, 204)
        [event] = hub.events(self.identity.device)
        self.assertEqual(base64.b64decode(event["bodyBase64"]), body)

    def test_an_oversize_body_is_refused_announced_or_not(self):
        body = bytes(MESSAGE_MAX + 1)
        whole = self.scratch / "body"
        whole.write_bytes(body)
        self.assert_refused(self.post("/messages/events", data=f"@{whole}"), 413, "MessageTooLarge")
        self.assert_refused(self.curl("/messages/events", body=body), 413, "MessageTooLarge")
        self.assertEqual(self.stored(), [])

    def test_malformed_property_headers_are_refused(self):
        cases = {
            "no UTF-8": [b"iothub-app-room: \xff"],
            "twice": ["iothub-app-room: 1", "iothub-app-room: 2"],
            "no name": ["iothub-app-: 1"],
            "long id": ["iothub-messageid: " + "x" * 129],
            "compressed": ["content-encoding: gzip"],
        }
        for what, headers in cases.items():
            with self.subTest(what):
                # A file, as curl's arguments are text here.
                written = self.scratch / "headers"
                written.write_bytes(b"\n".join(each if isinstance(each, bytes) else each.encode() for each in headers))
                answer = self.post("/messages/events", "--header", f"@{written}", data="x")
                self.assert_refused(answer, 400, "ArgumentInvalid")
        self.assertEqual(self.stored(), [])

    def test_one_connection_carries_many_requests(self):
        answers = self.collected(self.started([self.url("/messages/events")] * 3, "--data-binary", "x"), 3)
        self.assertEqual([each.status for each in answers], [204] * 3)
        self.assertEqual([each.connected for each in answers], [True, False, False])
        self.assertEqual(self.stored(), ["x"] * 3)

    # commands

    def test_a_command_arrives_with_its_properties_and_is_completed(self):
        self.assertEqual(self.curl("/messages/devicebound").status, 204)
        fields = {"messageId": "cmd-1", "correlationId": "c-1", "contentType": "text/plain", "ack": "none"}
        hub.send_command(self.identity, "gö", properties={"Prop": "a%20b"}, **fields)
        received = self.curl("/messages/deviceBound?api-version=2021-04-12")
        self.assertEqual((received.status, received.body.decode()), (200, "gö"))
        names = ("messageid", "correlationid", "contenttype", "app-prop", "deliverycount")
        self.assertEqual([received.headers[f"iothub-{name}"] for name in names], ["cmd-1", "c-1", "text/plain", "a%20b", "0"])
        [queued] = hub.queued_commands(self.identity)
        self.assertEqual(queued["state"], "invisible")
        self.assertEqual(self.curl("/messages/devicebound").status, 204, "it is the reader's")
        self.assertEqual(self.settle(received.lock).status, 204)
        self.assertEqual(hub.queued_commands(self.identity), [])

    def settle(self, lock, *, reject=False):
        return self.curl(f"/messages/devicebound/{lock}" + ("?reject" if reject else ""), "--request", "DELETE")

    def abandon(self, lock):
        return self.curl(f"/messages/devicebound/{lock}/abandon", "--request", "POST")

    def test_an_abandoned_command_comes_again_before_the_next(self):
        for body in ("1", "2"):
            hub.send_command(self.identity, body)
        self.assertEqual(self.abandon(self.curl("/messages/devicebound").lock).status, 204)
        again, then = self.curl("/messages/devicebound"), self.curl("/messages/devicebound")
        self.assertEqual([(each.body, each.headers["iothub-deliverycount"]) for each in (again, then)], [(b"1", "1"), (b"2", "0")])

    def test_a_rejected_command_never_comes_again(self):
        hub.send_command(self.identity, "no")
        self.assertEqual(self.settle(self.curl("/messages/devicebound").lock, reject=True).status, 204)
        self.assertEqual(self.curl("/messages/devicebound").status, 204)

    def test_a_lock_holds_once_and_for_its_owner(self):
        settlements = {"complete": self.settle, "reject": lambda lock: self.settle(lock, reject=True), "abandon": self.abandon}
        for what, settle in settlements.items():
            hub.send_command(self.identity, what)
            lock = self.curl("/messages/devicebound").lock
            other = lock[:-1] + ("0" if lock[-1] != "0" else "1")
            for which, wrong in {"changed": other, "no lock": "x"}.items():
                with self.subTest(what, lock=which):
                    self.assert_refused(settle(wrong), 412, "DeviceMessageLockLost")
            self.assertEqual(settle(lock).status, 204)
            with self.subTest(what, lock="used"):
                self.assert_refused(settle(lock), 412, "DeviceMessageLockLost")

    def test_a_missing_lock_is_a_lost_one(self):
        hub.send_command(self.identity, "held")
        lock = self.curl("/messages/devicebound").lock
        cases = {
            "none": ("", "DELETE"),
            "none, to reject": ("?reject", "DELETE"),
            "empty": ("/", "DELETE"),
            "empty, to reject": ("/?reject", "DELETE"),
            "empty, to abandon": ("//abandon", "POST"),
        }
        for what, (path, method) in cases.items():
            with self.subTest(what):
                refused = self.curl(f"/messages/devicebound{path}", "--request", method)
                self.assert_refused(refused, 412, "DeviceMessageLockLost")
        self.assertEqual(self.settle(lock).status, 204)

    def test_a_wait_ends_when_a_command_comes(self):
        waiting = self.started([self.url("/messages/devicebound?wait=300")])
        hub.send_command(self.identity, "at last")
        [received] = self.collected(waiting, 1)
        self.assertEqual((received.status, received.body), (200, b"at last"))

    def test_a_wait_in_which_nothing_comes_ends_with_nothing(self):
        self.assertEqual(self.curl("/messages/devicebound?wait=1").status, 204)
        self.assertEqual(self.curl("/methods?wait=1").status, 204)
        for wait in ("-1", "301", "soon"):
            with self.subTest(wait=wait):
                self.assert_refused(self.curl(f"/messages/devicebound?wait={wait}"), 400, "ArgumentInvalid")

    # direct methods

    def call(self, *arguments, **options):
        """Calls a method beside the test; the answer goes into an inbox."""
        replies = hub.Inbox()
        call = lambda: replies.put(hub.invoke(self.identity, *arguments, connectTimeoutInSeconds=15, **options))
        caller = threading.Thread(target=call)
        caller.start()
        self.addCleanup(caller.join)
        return replies

    def test_a_method_is_answered(self):
        replies = self.call("reboot", {"delay": 3})
        handed = self.curl("/methods?wait=300")
        self.assertEqual((handed.status, handed.headers["iothub-methodname"], handed.json), (200, "reboot", {"delay": 3}))
        answer = f"/methods/{handed.headers['iothub-rid']}?s=207"
        self.assert_refused(self.post(answer, data="{"), 400, "IotHubFormatError")
        self.assertEqual(self.post(answer, data='{"done": "ü"}').status, 204)
        reply = replies.take("the answer")
        self.assertEqual((reply.status, reply.json), (200, {"status": 207, "payload": {"done": "ü"}}))
        self.assert_refused(self.post(answer, data="{}"), 404, "ResourceNotFound")

    def test_an_answer_that_nobody_asked_for_is_unknown(self):
        self.assert_refused(self.post("/methods/0123456789abcdef?s=200", data="{}"), 404, "ResourceNotFound")

    # who may

    def test_the_certificate_of_another_device_opens_nothing(self):
        victim = Identity(hub.unique("curl"), self.module)
        hub.ca_signed(victim)
        hub.send_command(victim, "not yours")
        for path in ("/messages/events", "/messages/devicebound", "/messages/devicebound/x/abandon", "/methods?wait=30", "/methods/1?s=1"):
            arguments = () if "wait" in path or path.endswith("devicebound") else ("--data-binary", "x")
            with self.subTest(path):
                answer = self.curl(path, *arguments, identity=victim)
                # Code 401003. These answers carry it by its name alone, in the header and in the body.
                self.assert_refused(answer, 401, "IotHubUnauthorized")
                self.assertTrue(answer.json["Message"].startswith("ErrorCode:IotHubUnauthorized;"), answer.body)
        self.assertEqual(hub.events(victim.device), [])
        [queued] = hub.queued_commands(victim)
        self.assertEqual((queued["state"], queued["deliveryCount"]), ("enqueued", 0))

    def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_takes(self):
        hub.send_command(self.identity, "still here")
        cases = {"/messages/events": "POST", "/messages/devicebound": "GET,DELETE", "/methods": "GET", "/files/notifications": "POST"}
        for path, allowed in cases.items():
            for how in (("--head",), ("--request", "PUT")):
                with self.subTest(f"{how} {path}"):
                    answer = self.curl(path, *how)
                    self.assert_refused(answer, 405, "MethodNotAllowed")
                    self.assertEqual(answer.headers["allow"], allowed)
        self.assertEqual(self.curl("/messages/devicebound").body, b"still here")

    def test_a_connection_on_which_nothing_is_let_in_ends(self):
        stranger = self.url("/messages/devicebound", Identity(hub.unique("curl"), self.module))
        answers = self.collected(self.started([stranger] * 120), 120)
        self.assertEqual([answer.status for answer in answers], [401] * 120)
        first, *others = [number for number, answer in enumerate(answers) if answer.connected]
        # On HTTP/2 the goodbye and the next requests may cross.
        latest = 100 if self.version == "1.1" else 119
        self.assertTrue(first == 0 and len(others) == 1 and 100 <= others[0] <= latest, (first, others))

    def test_a_flood_of_headers_is_refused(self):
        # Some 24 KiB as either version counts them, where a head may have 16.
        flood = self.scratch / "flood"
        flood.write_text("\n".join(f"iothub-app-{number}: x" for number in range(500)))
        process = self.started([self.url("/messages/events")], "--header", f"@{flood}", "--data-binary", "x")
        told, complaints = process.communicate(timeout=2 * hub.DEADLINE)
        # On HTTP/2 the stream is reset behind the answer, which curl may come to see first (92).
        outcomes = [(0, "431")] if self.version == "1.1" else [(0, "431"), (92, "431"), (92, "000")]
        self.assertIn((process.returncode, told.decode().split()[0]), outcomes, complaints)
        self.assertEqual(self.stored(), [])


class DeviceOnHttp1(Device, unittest.TestCase):
    """A device on HTTP/1.1."""

    version = "1.1"


class DeviceOnHttp2(Device, unittest.TestCase):
    """A device on HTTP/2."""

    version = "2"


class ModuleOnHttp1(Device, unittest.TestCase):
    """A module on HTTP/1.1."""

    version = "1.1"
    module = "climate"


class ModuleOnHttp2(Device, unittest.TestCase):
    """A module on HTTP/2."""

    version = "2"
    module = "climate"


if __name__ == "__main__":
    unittest.main()
