"""Files uploaded with the official Python device SDK and the storage service's own client."""

import hashlib
import os
import unittest
import urllib.parse

import hub
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError
from azure.iot.device import IoTHubDeviceClient, X509
from azure.iot.device.exceptions import ClientError
from azure.storage.blob import BlobClient
from hub import Identity

# What the storage client sends whole, and in which pieces it sends the rest.
WHOLE_MAX, BLOCK = 64 * 1024, 256 * 1024
SMALL = b"one line\n"
LARGE = os.urandom(9 * BLOCK + 1234)


class Uploads:
    """What each kind of client is promised. A kind says how to register and how to make a client."""

    def setUp(self):
        self.identity = Identity(hub.unique("python-files"))
        self.client = self.make({"server_verification_cert": hub.CA_FILE.read_text(), "connection_retry": False})
        self.addCleanup(self.client.shutdown)
        # The SDK gives out no link before it is connected.
        self.client.connect()

    def blob(self, info, **changed):
        """The storage client on the file that `info` lets it write, or on what `changed` makes of that."""
        url = "https://{hostName}/{containerName}/{blobName}{sasToken}".format(**{**info, **changed})
        bounds = {"max_single_put_size": WHOLE_MAX, "max_block_size": BLOCK, "retry_total": 0}
        client = BlobClient.from_blob_url(url, connection_verify=str(hub.CA_FILE), **bounds)
        self.addCleanup(client.close)
        return client

    def upload(self, name, content, **how):
        """A file from its beginning to the word of its end."""
        info = self.client.get_storage_info_for_blob(name)
        self.blob(info).upload_blob(content, **how)
        self.client.notify_blob_upload_status(info["correlationId"], True, 200, "OK")
        return info

    def assert_stored(self, info, content):
        stored = hub.stored_file(f"{info['containerName']}/{info['blobName']}")
        self.assertEqual(hashlib.sha256(stored).hexdigest(), hashlib.sha256(content).hexdigest())

    def test_a_small_file_is_read_back_and_told_to_the_service(self):
        info = self.upload("notes.txt", SMALL)
        self.assertEqual(info["blobName"], f"{self.identity.device}/notes.txt")
        self.assert_stored(info, SMALL)
        told = hub.file_notification(info["blobName"])
        self.assertEqual((told["deviceId"], told["blobSizeInBytes"]), (self.identity.device, len(SMALL)))
        self.assertTrue(told["blobUri"].endswith(f"/{info['containerName']}/{info['blobName']}"), told)

    def test_a_large_file_arrives_in_blocks_and_is_read_back(self):
        info = self.upload("2026/log ü.bin", LARGE, max_concurrency=3)
        self.assert_stored(info, LARGE)
        self.assertEqual(hub.file_notification(info["blobName"])["blobSizeInBytes"], len(LARGE))


class CaSigned(Uploads, unittest.TestCase):
    """A device with a certificate."""

    def make(self, options):
        certificate, key = hub.ca_signed(self.identity)
        x509 = X509(str(certificate), str(key))
        return IoTHubDeviceClient.create_from_x509_certificate(x509, hub.HOST, self.identity.device, **options)

    def refused(self, status, code, call, *arguments, error=HttpResponseError, **keywords):
        """Asserts that the storage client is refused with `status` and `code`."""
        with self.assertRaises(error) as caught:
            call(*arguments, **keywords)
        self.assertEqual((caught.exception.status_code, caught.exception.error_code), (status, code))

    def sdk_refused(self, status, call, *arguments):
        """The same of the device SDK, which says which status it was in words only."""
        with self.assertRaises(ClientError) as caught:
            call(*arguments)
        self.assertIn(f"HTTP operation returned: {status} ", str(caught.exception.__cause__))

    def test_a_file_without_a_byte_is_a_file(self):
        self.assert_stored(self.upload("empty", b""), b"")

    def test_checksums_of_the_client_are_checked(self):
        for content in (SMALL, LARGE):
            with self.subTest(bytes=len(content)):
                self.assert_stored(self.upload(f"checked-{len(content)}", content, validate_content=True), content)

    def test_a_file_is_replaced_only_if_the_client_says_so(self):
        self.upload("same", b"first")
        info = self.client.get_storage_info_for_blob("same")
        for content in (b"second", LARGE):
            self.refused(409, "BlobAlreadyExists", self.blob(info).upload_blob, content, error=ResourceExistsError)
        self.assert_stored(info, b"first")
        self.blob(info).upload_blob(b"second", overwrite=True)
        self.assert_stored(info, b"second")

    def test_an_upload_that_the_device_gives_up_is_told_to_nobody(self):
        given_up = self.client.get_storage_info_for_blob("given-up")
        self.blob(given_up).upload_blob(SMALL)
        self.client.notify_blob_upload_status(given_up["correlationId"], False, 500, "changed its mind")
        told = self.upload("told", SMALL)
        hub.file_notification(told["blobName"])
        self.assertFalse(hub.was_told_of_file(given_up["blobName"]))

    def test_the_end_of_an_upload_that_has_no_file_is_refused(self):
        info = self.client.get_storage_info_for_blob("never")
        for status, upload in ((404, info["correlationId"]), (400, "0" * 32)):
            self.sdk_refused(status, self.client.notify_blob_upload_status, upload, True, 200, "OK")
        self.assertEqual(hub.stored_files(self.identity.device), [])

    def test_a_link_that_was_changed_writes_nothing(self):
        info = self.client.get_storage_info_for_blob("mine")
        query = dict(urllib.parse.parse_qsl(info["sasToken"].removeprefix("?"), strict_parsing=True))
        changed = lambda **fields: "?" + urllib.parse.urlencode({**query, **fields})
        signature = query["sig"]
        cases = {
            "signature": {"sasToken": changed(sig=("B" if signature[0] == "A" else "A") + signature[1:])},
            "expiry": {"sasToken": changed(se="2099-01-01T00:00:00.000Z")},
            "permission": {"sasToken": changed(sp="rcw")},
            "upload": {"sasToken": changed(si="0" * 32)},
            "another name": {"blobName": f"{self.identity.device}/other"},
            "another device's": {"blobName": f"{hub.unique('victim')}/mine"},
        }
        for what, change in cases.items():
            with self.subTest(what):
                blob = self.blob(info, **change)
                self.refused(403, "AuthenticationFailed", blob.upload_blob, SMALL, error=ClientAuthenticationError)
                self.refused(403, "AuthenticationFailed", blob.upload_blob, LARGE, error=ClientAuthenticationError)
        self.assertEqual(hub.stored_files(self.identity.device), [])
        self.blob(info, sasToken=changed()).upload_blob(SMALL)

    def test_a_link_is_worth_nothing_once_the_upload_has_ended(self):
        info = self.upload("done", SMALL)
        blob = self.blob(info)
        self.refused(403, "AuthenticationFailed", blob.upload_blob, b"more", overwrite=True, error=ClientAuthenticationError)
        self.assert_stored(info, SMALL)

    def test_a_link_to_write_reads_nothing(self):
        info = self.client.get_storage_info_for_blob("closed")
        blob = self.blob(info)
        blob.upload_blob(SMALL)
        self.refused(403, "AuthorizationPermissionMismatch", blob.download_blob, error=HttpResponseError)

    def test_a_link_to_read_ends_with_its_time(self):
        info = self.upload("shared", LARGE)
        path = f"/files/{info['containerName']}/{info['blobName']}"
        read = lambda uri: BlobClient.from_blob_url(uri, connection_verify=str(hub.CA_FILE), retry_total=0)
        with read(hub.service("POST", f"{path}?seconds=600", expect=201).json["uri"]) as blob:
            self.assertEqual(blob.download_blob().readall(), LARGE)
        with read(hub.service("POST", f"{path}?seconds=1", expect=201).json["uri"]) as blob:
            hub.eventually(lambda: self.is_refused(blob), "the link has expired")
            self.refused(403, "AuthenticationFailed", blob.download_blob, error=ClientAuthenticationError)

    def is_refused(self, blob):
        try:
            blob.get_blob_properties()
        except ClientAuthenticationError:
            return True
        return False

    def test_an_eleventh_upload_at_once_is_refused(self):
        for number in range(10):
            last = self.client.get_storage_info_for_blob(str(number))
        self.sdk_refused(403, self.client.get_storage_info_for_blob, "one too many")
        self.client.notify_blob_upload_status(last["correlationId"], False, 499, "given up")
        self.client.get_storage_info_for_blob("has room again")


class SymmetricKey(Uploads, unittest.TestCase):
    """A device with a key."""

    def make(self, options):
        return IoTHubDeviceClient.create_from_connection_string(hub.with_key(self.identity), **options)


if __name__ == "__main__":
    unittest.main()
