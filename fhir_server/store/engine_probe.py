"""Whether something answers on a loopback port, and which port is free. Blocking. docs/guide/run-it.md"""

from __future__ import annotations

import socket
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError


def answers(url: str, timeout: float) -> bool:
    """Return whether a MongoDB at a URL answers a ping within the timeout, in seconds."""
    try:
        with client(url, timeout) as database:
            database.admin.command("ping")
    except PyMongoError:
        return False
    return True


def client(url: str, timeout: float) -> MongoClient[dict[str, Any]]:
    """Return a client none of whose waits is longer than the timeout, in seconds."""
    milliseconds = int(timeout * 1000)
    return MongoClient(
        url,
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        socketTimeoutMS=milliseconds,
    )


def free_port() -> int:
    """Return a loopback port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Return whether a loopback port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    """Return whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
