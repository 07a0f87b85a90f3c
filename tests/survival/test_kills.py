"""kill -9 of workers and of the database in the middle of a load: nothing is lost, nothing is half there.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.running import RunningServer, running_server
from tests.survival.load import OBSERVATIONS, TAGS, Client

pytestmark = [
    pytest.mark.survival,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processes are a server's"),
]

# Six are enough to notice a change for the worse; take hundreds before a release.
KILLS = 6
CLIENTS = 3
SEED = 20240229
SECONDS_BETWEEN = (0.3, 2.0)
WORKER_BACK_SECONDS = 10
ENGINE_BACK_SECONDS = 30


def test_nothing_acknowledged_is_lost_and_no_bundle_is_half_there(tmp_path: Path) -> None:
    with running_server(tmp_path, workers=2) as server:
        clients = write_under_fire(server)
        server.seconds_to_answer(ENGINE_BACK_SECONDS)

        assert [c.surprises for c in clients] == [[]] * CLIENTS
        with httpx.Client(base_url=server.url, timeout=30) as http:
            for client in clients:
                assert len(client.acknowledged) >= KILLS, "hardly anything was written: this proves nothing"
                check_bundles(http, client)
                check_updates(http, client)
                for made in client.creates:
                    assert http.get(f"/Observation/{made}").status_code == 200


def write_under_fire(server: RunningServer) -> list[Client]:
    """Let clients write while processes are killed at random moments, workers and the database in turn."""
    chance = random.Random(SEED)
    stopping = threading.Event()
    clients = [Client(server.url, number, stopping) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for kill in range(KILLS):
            time.sleep(chance.uniform(*SECONDS_BETWEEN))
            is_worker = kill % 2 == 0
            os.kill(chance.choice(server.workers()) if is_worker else server.engine(), signal.SIGKILL)
            back = server.seconds_to_answer(WORKER_BACK_SECONDS if is_worker else ENGINE_BACK_SECONDS)
            print(f"{'worker' if is_worker else 'database'} killed, answering after {back:.2f} s")
        time.sleep(SECONDS_BETWEEN[1])
    finally:
        stopping.set()
        for client in clients:
            client.join(timeout=60)
    assert not any(client.is_alive() for client in clients)
    return clients


def check_bundles(http: httpx.Client, client: Client) -> None:
    """Each Bundle is whole or absent; the acknowledged ones are whole; the ledger names exactly the whole ones."""
    sizes = {name: (_count(http, "Patient", name), _count(http, "Observation", name)) for name in client.tried}
    assert set(sizes.values()) <= {(0, 0), (1, OBSERVATIONS)}
    whole = [name for name, size in sizes.items() if size != (0, 0)]
    assert set(client.acknowledged) <= set(whole)
    assert not {f"bundle {name}" for name in whole} & set(client.refused), "refused, and yet it happened"
    assert [text for _, text in _versions(http, client.ledger)] == whole
    print(
        f"client {client.number}: {len(client.tried)} sent, {len(client.acknowledged)} acknowledged, {len(whole)} there"
    )


def check_updates(http: httpx.Client, client: Client) -> None:
    """Every acknowledged update is a version of its own; what else is there was sent, once, in that order."""
    found = _versions(http, client.notebook)
    assert set(client.acknowledged_updates) <= set(found)
    texts = [text for _, text in found]
    assert not {f"update {text}" for text in texts} & set(client.refused), "refused, and yet it happened"
    assert texts == [text for text in client.updates if text in set(texts)]
    for version, text in found:
        assert http.get(f"/{client.notebook}/_history/{version}").json()["code"]["text"] == text


def _count(http: httpx.Client, resource_type: str, name: str) -> int:
    total: int = http.get(f"/{resource_type}", params={"_tag": f"{TAGS}|{name}", "_summary": "count"}).json()["total"]
    return total


def _versions(http: httpx.Client, key: str) -> list[tuple[int, str]]:
    """Return version and text of a resource's whole history, oldest first: 1, 2, 3 ... and none twice."""
    answer = http.get(f"/{key}/_history?_count=1000").json()
    assert not [link for link in answer["link"] if link["relation"] == "next"], "more versions than one page holds"
    found = [(int(e["resource"]["meta"]["versionId"]), e["resource"]["code"]["text"]) for e in answer["entry"]]
    assert [version for version, _ in found] == list(range(len(found), 0, -1))
    return found[::-1]
