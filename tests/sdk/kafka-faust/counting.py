"""A Faust worker that counts the messages of each machine. The environment names its topics."""

import os
import ssl
from pathlib import Path

import faust
import hub
import kafka_hub

app = faust.App(
    os.environ["APP"],
    broker=f"kafka://{kafka_hub.bootstrap()}",
    broker_credentials=faust.SASLCredentials(
        username=kafka_hub.USER,
        password=kafka_hub.PASSWORD,
        mechanism="PLAIN",
        ssl_context=ssl.create_default_context(cafile=str(hub.CA_FILE)),
    ),
    # State lives in the changelog topic alone.
    store="memory://",
    # Its topics are there: it would ask for a compacted changelog, which the hub refuses.
    topic_allow_declare=False,
    topic_disable_leader=True,
    topic_partitions=2,
    broker_session_timeout=6,
    broker_heartbeat_interval=1,
    broker_commit_interval=0.2,
    stream_wait_empty=False,
)
source = app.topic(os.environ["SOURCE"], value_serializer="json", key_serializer="raw")
results = app.topic(os.environ["RESULT"], value_serializer="json", key_serializer="raw")
counts = app.Table("counts", default=int, partitions=2)


@app.agent(source)
async def count(readings):
    """One result a reading."""
    async for machine, _ in readings.items():
        name = machine.decode()
        counts[name] += 1
        await results.send(key=machine, value={"count": counts[name]})


@app.task
async def tell_that_it_is_ready():
    """Runs once the table is restored and the agent is given what comes."""
    Path(os.environ["READY"]).touch()


if __name__ == "__main__":
    app.main()
