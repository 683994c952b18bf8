"""curl with a client certificate, and `curl -T` without one: files of devices."""

import json
import unittest

import hub
from curl_client import Curl
from hub import Identity


class Files(Curl):
    """The same promises on both versions."""

    def begin(self, name):
        answer = self.post("/files", data=json.dumps({"blobName": name}))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def put(self, info, content, *arguments, **changed):
        """`curl -T`, without a certificate: the link is all that counts."""
        source = self.scratch / "content"
        source.write_bytes(content)
        url = "https://{hostName}/{containerName}/{blobName}{sasToken}".format(**{**info, **changed})
        [answer] = self.collected(self.started([url], "--upload-file", source, *arguments), 1)
        return answer

    def end(self, info, success=True, path="/files/notifications"):
        return self.post(path, data=json.dumps({"correlationId": info["correlationId"], "isSuccess": success}))

    def test_a_file_is_put_told_and_read_back(self):
        content = bytes(range(256)) * 12_000
        info = self.begin("plain.bin")
        self.assertEqual(info["blobName"], f"{self.identity.device}/plain.bin")
        self.assertEqual(self.put(info, content).status, 201)
        self.assertEqual(self.end(info).status, 204)
        self.assertEqual(hub.stored_file(f"{info['containerName']}/{info['blobName']}"), content)
        self.assertEqual(hub.file_notification(info["blobName"])["blobSizeInBytes"], len(content))

    def test_the_older_form_of_the_end_names_the_upload_in_its_path(self):
        info = self.begin("older")
        self.put(info, b"x")
        path = f"/files/notifications/{info['correlationId']}"
        self.assertEqual(self.post(path, data='{"isSuccess": true}').status, 204)
        hub.file_notification(info["blobName"])

    def test_a_file_of_unknown_length_is_put(self):
        info = self.begin("piped")
        url = "https://{hostName}/{containerName}/{blobName}{sasToken}".format(**info)
        [answer] = self.collected(self.started([url], "--upload-file", "-"), 1, b"from a pipe")
        self.assertEqual(answer.status, 201)
        self.assertEqual(hub.stored_file(f"{info['containerName']}/{info['blobName']}"), b"from a pipe")

    def test_a_link_that_does_not_hold_writes_nothing(self):
        info = self.begin("mine")
        link = info["sasToken"]
        cases = {
            "none": {"sasToken": ""},
            "cut": {"sasToken": link[:-8]},
            "of another name": {"blobName": f"{self.identity.device}/other"},
            "of another device": {"blobName": f"{hub.unique('victim')}/mine"},
        }
        for what, changed in cases.items():
            with self.subTest(what):
                answer = self.put(info, b"x" * 100_000, **changed)
                self.assertEqual((answer.status, answer.headers["x-ms-error-code"]), (403, "AuthenticationFailed"))
        self.assertEqual(hub.stored_files(self.identity.device), [])
        self.assertEqual(self.end(info, success=False).status, 204)
        self.assertEqual(self.put(info, b"late").status, 403)

    def test_what_is_no_upload_is_refused(self):
        self.assert_refused(self.post("/files", data='{"blobName": "../up"}'), 400, "ArgumentInvalid")
        self.assert_refused(self.post("/files", data="{"), 400, "IotHubFormatError")
        self.assert_refused(self.end(self.begin("never put")), 404, "ResourceNotFound")
        self.assert_refused(self.end({"correlationId": "0" * 32}), 400, "IotHubFormatError")

    def test_the_uploads_of_another_device_are_out_of_reach(self):
        info = self.begin("mine")
        self.put(info, b"x")
        victim, self.identity = self.identity, Identity(hub.unique("curl"))
        own = hub.ca_signed(self.identity)
        ended = json.dumps({"correlationId": info["correlationId"], "isSuccess": True})
        for path, body in (("/files", '{"blobName": "x"}'), ("/files/notifications", ended)):
            with self.subTest(path):
                answer = self.post(path, data=body, identity=victim, certificate=own)
                self.assert_refused(answer, 401, "IotHubUnauthorized")
        answer = self.post("/files/notifications", data=ended, certificate=own)
        self.assert_refused(answer, 400, "IotHubFormatError")

    def test_modules_have_no_files(self):
        self.identity = Identity(hub.unique("curl"), "climate")
        own = hub.ca_signed(self.identity)
        self.assert_refused(self.post("/files", data='{"blobName": "x"}', certificate=own), 400, "ArgumentInvalid")


class FilesOnHttp1(Files, unittest.TestCase):
    """On HTTP/1.1."""

    version = "1.1"


class FilesOnHttp2(Files, unittest.TestCase):
    """On HTTP/2."""

    version = "2"


if __name__ == "__main__":
    unittest.main()
