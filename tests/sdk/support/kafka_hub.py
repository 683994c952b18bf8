"""Where the hub's Kafka listener is, and who may use it. Standard library only."""

import json
import os
import socket

import hub

USER = "$ConnectionString"
# As Event Hubs clients write it; the operator's own form is `hub.CONNECTION_STRING`.
_FIELDS = dict(part.split("=", 1) for part in hub.CONNECTION_STRING.split(";"))
PASSWORD = "Endpoint=sb://{HostName}/;SharedAccessKeyName={SharedAccessKeyName};SharedAccessKey={SharedAccessKey}".format(**_FIELDS)


def bootstrap():
    """What clients call `bootstrap.servers`; the same after a restart."""
    return f"{hub.HOST}:{_port('kafka')}"


def mqtt_port():
    """Where devices connect."""
    return _port("mqtt")


def _port(listener):
    addresses = json.loads((hub.DATA / "ports.json").read_text())[listener]
    return int((addresses if isinstance(addresses, str) else addresses[0]).rsplit(":", 1)[1])


def topic(partitions=1, prefix="kafka"):
    """An event hub that no other test uses."""
    name = hub.unique(prefix)
    hub.service("PUT", f"/eventHubs/{name}", {"partitions": partitions}, expect=201)
    return name


def policy(topic, *rights):
    """A policy of an event hub with these rights of `send`, `listen` and `manage`; gives its password."""
    name = "-".join(rights)
    made = hub.service("PUT", f"/eventHubs/{topic}/policies/{name}", {"rights": rights}, expect=201).json
    return f"Endpoint=sb://{hub.HOST}/;SharedAccessKeyName={name};SharedAccessKey={made['primaryKey']};EntityPath={topic}"


def restart(kill=False):
    """Ends the hub, by SIGKILL if asked, and starts it again on the same ports."""
    with socket.socket(socket.AF_UNIX) as driver:
        driver.connect(os.environ["ISTHMUS_RESTART"])
        driver.sendall(b"kill" if kill else b"stop")
        driver.shutdown(socket.SHUT_WR)
        answer = driver.makefile().read()
    if answer != "started":
        raise AssertionError(f"the hub was not started again: {answer or 'the driver did not answer'}")
