"""aiokafka against the hub."""

import unittest

import hub
import promises
from aiokafka import errors
from clients.aio import Aio, run, started


class AioClient:
    """What this client calls its options."""

    client_class = Aio
    idempotent = {"enable_idempotence": True}
    plain = {}
    # Or the client refuses what it is asked to send.
    large = {"max_request_size": 4 << 20}


class Records(AioClient, promises.WholeRecords, unittest.TestCase):
    """Producing and reading."""

    def test_producing_to_an_unknown_topic_is_an_error(self):
        with self.assertRaises((promises.Refused, errors.KafkaError)):
            self.client.write(hub.unique("never"), promises.numbered(1))

    def test_transactions_are_refused_at_once(self):
        async def transaction():
            async with started(self.client.producer(transactional_id=hub.unique("transaction"))):
                pass

        with self.assertRaises((promises.Refused, errors.KafkaError)):
            run(transaction())


class Groups(AioClient, promises.Groups, unittest.TestCase):
    """Members."""


class Security(AioClient, promises.Security, unittest.TestCase):
    """Who may do what."""


class Administration(AioClient, promises.Administration, unittest.TestCase):
    """Topics and groups as objects."""


if __name__ == "__main__":
    unittest.main()
