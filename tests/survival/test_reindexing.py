"""kill -9 of workers while resources are reindexed and written: afterwards a search finds what is there, all of it."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.store.engine_programs import find_program
from tests.running import RunningServer, running_server

pytestmark = [
    pytest.mark.survival,
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which processes are a server's"),
]

Json = dict[str, Any]

# Enough for a job that can be killed in its middle, and no more than the engine in Python indexes in a minute.
PATIENTS = 12_000 if find_program(os.environ.get("FHIR_ENGINE", "")).name != "secantusd-py" else 2_500
BUNDLE = 500
CLIENTS = 3
LEASE_SECONDS = 30
URL = "http://clinic.example/eye-color"
COLORS = ("green", "brown", "blue")
PARAMETER: Json = {
    "resourceType": "SearchParameter",
    "id": "eye-color",
    "url": "http://clinic.example/SearchParameter/eye-color",
    "name": "EyeColor",
    "status": "active",
    "description": "The colour of the eyes",
    "code": "eye-color",
    "base": ["Patient"],
    "type": "token",
    "expression": f"Patient.extension('{URL}').value",
}


def patient(name: str, color: str) -> Json:
    return {"resourceType": "Patient", "id": name, "extension": [{"url": URL, "valueCode": color}]}


def test_a_job_whose_worker_is_killed_goes_on_and_misses_nothing(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, workers=2, FHIR_REINDEX_GRACE_SECONDS="2") as server,
        httpx.Client(base_url=server.url, timeout=60, headers={"content-type": "application/fhir+json"}) as http,
    ):
        load(http)
        stopping = threading.Event()
        writers = [threading.Thread(target=write, args=(server.url, n, stopping)) for n in range(CLIENTS)]
        for writer in writers:
            writer.start()
        try:
            assert http.put("/SearchParameter/eye-color", json=PARAMETER).status_code == 201
            killed_at = kill_when_half_done(server, http)
            wait_until_ready(http, 3 * LEASE_SECONDS)
        finally:
            stopping.set()
            for writer in writers:
                writer.join(timeout=60)
        assert 0 < killed_at < PATIENTS, "the worker was not killed in the middle: this proves nothing"
        check(http)


def load(http: httpx.Client) -> None:
    for start in range(0, PATIENTS, BUNDLE):
        patients = [patient(f"p{n}", COLORS[n % 3]) for n in range(start, start + BUNDLE)]
        entries = [{"resource": p, "request": {"method": "PUT", "url": f"Patient/{p['id']}"}} for p in patients]
        answer = http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text[:500]


def write(url: str, number: int, stopping: threading.Event) -> None:
    """Change, create and delete patients until told to stop; what a killed worker leaves open does not matter here."""
    chance = random.Random(number)
    with httpx.Client(base_url=url, timeout=20, headers={"content-type": "application/fhir+json"}) as http:
        count = 0
        while not stopping.is_set():
            count += 1
            name = f"new-{number}-{count}" if count % 5 == 0 else f"p{chance.randrange(PATIENTS)}"
            try:
                if count % 7 == 0:
                    http.delete(f"/Patient/{name}")
                else:
                    http.put(f"/Patient/{name}", json=patient(name, chance.choice(COLORS)))
            except httpx.HTTPError:
                time.sleep(0.05)


def kill_when_half_done(server: RunningServer, http: httpx.Client) -> int:
    """Kill all workers at once when the job has done a part, and return how many resources it had done."""
    for _ in range(2000):
        said = http.get("/_jobs/reindex-1").headers.get("x-progress", "")
        done = int(said.split(": ")[1].split()[0]) if ": " in said else 0
        if done > PATIENTS // 10:
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            print(f"killed at: {said}")
            server.seconds_to_answer(15)
            return done
        time.sleep(0.01)
    return 0


def wait_until_ready(http: httpx.Client, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer = http.get("/Patient?eye-color=green&_count=1", headers={"prefer": "handling=strict"})
        except httpx.HTTPError:  # the connection was a killed worker's
            continue
        if answer.status_code == httpx.codes.OK:
            return
        time.sleep(0.2)
    raise AssertionError(f"not ready within {seconds} s: {answer.text}")


def check(http: httpx.Client) -> None:
    """Check the searches by the parameter against all patients there are."""
    eyes: dict[str, set[str]] = {color: set() for color in COLORS}
    for resource in pages(http, "/Patient?_count=1000"):
        eyes[resource["extension"][0]["valueCode"]].add(resource["id"])
    assert sum(map(len, eyes.values())) > PATIENTS // 2
    for color, ids in eyes.items():
        found = [r["id"] for r in pages(http, f"/Patient?eye-color={color}&_count=1000")]
        assert len(found) == len(set(found))
        assert set(found) == ids
    assert not list(pages(http, "/Patient?eye-color:missing=true"))


def pages(http: httpx.Client, url: str) -> list[Json]:
    found: list[Json] = []
    while url:
        answer = http.get(url, headers={"prefer": "handling=strict"})
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += [entry["resource"] for entry in bundle.get("entry", [])]
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return found
