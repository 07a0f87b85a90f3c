"""The demo's loading: what is not there yet is sent once, a refusal is said in one line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from fhir_server.cli.demo import load
from fhir_server.cli.failing import CommandError


class Fake(HTTPServer):
    """A server that stores transactions, or refuses them with `refusal`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: set[str] = set()
        self.posts = 0
        self.refusal: tuple[int, bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/fhir"


class Handler(BaseHTTPRequestHandler):
    """Answers for Fake."""

    server: Fake

    def do_GET(self) -> None:
        self._answer(200 if self.path.removeprefix("/fhir/") in self.server.stored else 404, b"{}")

    def do_POST(self) -> None:
        bundle = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.posts += 1
        if self.server.refusal:
            self._answer(*self.server.refusal)
            return
        self.server.stored |= {entry["request"]["url"] for entry in bundle["entry"]}
        self._answer(200, b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Fake]:
    with Fake() as fake:
        thread = threading.Thread(target=fake.serve_forever)
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, ids in enumerate((["a", "b"], ["c"])):
        entries = [{"request": {"method": "PUT", "url": f"Patient/{key}"}, "resource": {"id": key}} for key in ids]
        (tmp_path / f"{number}.json").write_text(json.dumps({"entry": entries}), encoding="utf-8")
    return tmp_path


def test_everything_is_sent_once(server: Fake, folder: Path) -> None:
    assert load(server.url, folder) == 3
    assert server.stored == {"Patient/a", "Patient/b", "Patient/c"}
    assert load(server.url, folder) == 0
    assert server.posts == 2


def test_only_what_is_missing_is_sent(server: Fake, folder: Path) -> None:
    server.stored = {"Patient/a", "Patient/b"}
    assert load(server.url, folder) == 1
    assert server.posts == 1


def test_a_refusal_is_one_line_with_the_reason(server: Fake, folder: Path) -> None:
    server.refusal = (422, json.dumps({"issue": [{"code": "invalid", "diagnostics": "no name"}]}).encode())
    with pytest.raises(CommandError, match=r"^0.json was refused with status 422: no name$"):
        load(server.url, folder)
    assert server.posts == 1


def test_a_refusal_without_a_reason_is_still_one_line(server: Fake, folder: Path) -> None:
    server.refusal = (500, b"<html>")
    with pytest.raises(CommandError, match=r"^0.json was refused with status 500: Internal Server Error$"):
        load(server.url, folder)


def test_no_records_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="has no records; run the demo from a checkout of the project"):
        load("http://127.0.0.1:1/fhir", tmp_path)


def test_no_server_is_said(folder: Path) -> None:
    with pytest.raises(CommandError, match=r"loading the clinic failed \(ConnectError\)"):
        load("http://127.0.0.1:1/fhir", folder)
