"""fhir-server import without a server: what is read, what would be sent, and what is said when something is wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from fhir_server.cli.commands import app
from fhir_server.cli.failing import CommandError
from fhir_server.cli.import_records import run
from fhir_server.cli.importing import reading
from fhir_server.cli.importing.report import CREATED, REFUSED, SHOWN, Report
from fhir_server.cli.importing.sending import TRIES, Sender
from fhir_server.cli.importing.shipments import Place, Record, Refusal, Shipment, resource, together
from fhir_server.cli.importing.sources import find, in_order
from fhir_server.fhir.outcomes import Issue

Json = dict[str, Any]
SERVER = "http://fhir.example/fhir"
PATIENT = b'{"resourceType":"Patient","id":"p"}'


class Fake:
    """A server that stores everything, or answers what `refuse` returns for a Bundle."""

    def __init__(self, refuse: Callable[[Json], httpx.Response | None] = lambda bundle: None) -> None:
        self.bundles: list[Json] = []
        self.refuse = refuse

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/fhir/metadata":
            return httpx.Response(200, json={"resourceType": "CapabilityStatement"})
        assert (request.method, request.url.path) == ("POST", "/fhir")
        bundle = json.loads(request.content)
        self.bundles.append(bundle)
        return self.refuse(bundle) or stored(bundle)


def stored(bundle: Json, status: str = "201 Created") -> httpx.Response:
    rows = [{"response": {"status": status}} for _ in bundle["entry"]]
    return httpx.Response(200, json={"resourceType": "Bundle", "entry": rows})


def outcome(status: int, code: str, expression: str = "", **headers: str) -> httpx.Response:
    issue = {"severity": "error", "code": code, "diagnostics": "no", "expression": [expression] if expression else []}
    return httpx.Response(status, json={"resourceType": "OperationOutcome", "issue": [issue]}, headers=headers)


def imported(fake: Fake, *paths: Path, errors: Path | None = None) -> bool:
    return run(paths, server=SERVER, errors=errors, transport=httpx.MockTransport(fake))


class Waiting:
    """Sleeps for nobody; remembers how long it should have."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def send(
    handler: Callable[[httpx.Request], httpx.Response], shipment: Shipment, waiting: Waiting | None = None
) -> Report:
    report = Report()
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        await Sender(http, SERVER, report, waiting or Waiting()).send(shipment)
    return report


def patients(number: int, key: str = "p") -> Shipment:
    made = []
    for index in range(number):
        value = {"resourceType": "Patient"} | ({"id": f"{key}{index}"} if key else {})
        record = resource(Place("f.ndjson", index + 1), value, json.dumps(value).encode())
        assert isinstance(record, Record)
        made.append(record)
    return together(made)


# Reading


def test_resources_with_an_id_are_put_and_others_posted(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(PATIENT + b'\r\n\n{"resourceType":"Patient"}')
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(b'\xef\xbb\xbf{"resourceType":"Basic","id":"x"}'))
    (tmp_path / "._b.json").write_bytes(b"rubbish of a Mac")
    (tmp_path / "notes.txt").write_bytes(b"nothing to import")
    fake = Fake()
    assert imported(fake, tmp_path, tmp_path / "a.ndjson")
    assert [bundle["type"] for bundle in fake.bundles] == ["transaction"]
    assert [entry["request"] for entry in fake.bundles[0]["entry"]] == [
        {"method": "PUT", "url": "Patient/p"},
        {"method": "POST", "url": "Patient"},
        {"method": "PUT", "url": "Basic/x"},
    ]


def test_five_hundred_go_together(tmp_path: Path) -> None:
    lines = [b'{"resourceType":"Patient","id":"p%d"}' % i for i in range(1001)]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join(lines))
    fake = Fake()
    assert imported(fake, tmp_path)
    assert sorted(len(bundle["entry"]) for bundle in fake.bundles) == [1, 500, 500]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_transaction_or_batch_goes_as_it_is(tmp_path: Path, kind: str) -> None:
    text = '{ "resourceType": "Bundle", "type": "%s", "entry": [{"request":{"method":"DELETE","url":"Patient/p"}}] }'
    (tmp_path / "b.json").write_text(text % kind, encoding="utf-8")
    sent: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return Fake()(request)

    assert run([tmp_path], server=SERVER, transport=httpx.MockTransport(answer))
    assert sent == [b"", (text % kind).encode()]


@pytest.mark.parametrize("kind", ["collection", "searchset", "document"])
def test_other_bundles_become_a_transaction_of_puts(tmp_path: Path, kind: str) -> None:
    rows: list[Json] = [
        {"fullUrl": "http://old.example/fhir/Patient/p", "resource": {"resourceType": "Patient", "id": "p"}},
        {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}},
    ]
    text = json.dumps({"resourceType": "Bundle", "type": kind, "entry": rows})
    (tmp_path / "b.json").write_text(text, encoding="utf-8")
    fake = Fake()
    assert imported(fake, tmp_path)
    entry = {**rows[0], "request": {"method": "PUT", "url": "Patient/p"}}
    assert fake.bundles == [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]


def test_decimals_of_a_collection_keep_their_digits(tmp_path: Path) -> None:
    text = '{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s}]}'
    (tmp_path / "b.json").write_text(text % '{"resourceType":"Basic","id":"b","x":1.50}', encoding="utf-8")
    found = list(reading.shipments(find([tmp_path]), lambda size: None))
    assert isinstance(found[0], Shipment)
    assert b'"x":1.50}' in found[0].body


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b'{"a":', "a.json: structure: Not acceptable JSON"),
        ("a.json", PATIENT + b"\n" + PATIENT, "It looks like one resource a line: call the file .ndjson."),
        ("a.json", b'{"a":1,"a":2}', "the member 'a' appears more than once"),
        ("a.json", b"[]", "a.json: structure: This is no FHIR resource: it has no resourceType."),
        ("a.ndjson", b'{"resourceType":"Patient","id":"a/b"}', "a.ndjson:1: value at Patient.id: An id is 1 to 64"),
        ("a.json", b'{"resourceType":"Bundle","type":"history"}', "at Bundle.type: A Bundle of type 'history' cannot"),
        (
            "a.json",
            b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient"}}]}',
            "a.json: required at Bundle.entry[0].resource.id: The entries of this Bundle are stored under the ids",
        ),
        ("a.json.gz", gzip.compress(PATIENT)[:-12], "a.json.gz: structure: The gzip is broken"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.json").write_bytes(PATIENT)
    fake = Fake()
    assert not imported(fake, tmp_path)
    assert [entry["resource"]["id"] for bundle in fake.bundles for entry in bundle["entry"]] == ["p"]
    printed = capsys.readouterr().out
    assert said in printed
    assert "1 stored, 1 refused in " in printed


def test_lines_before_a_break_of_the_gzip_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = b"\n".join(b'{"resourceType":"Patient","id":"p%d"}' % (i * 7919 % 10007) for i in range(10000))
    packed = gzip.compress(lines)
    (tmp_path / "a.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    fake = Fake()
    assert not imported(fake, tmp_path)
    kept = sum(len(bundle["entry"]) for bundle in fake.bundles)
    assert 1000 < kept < 10000
    assert f"a.ndjson.gz:{kept + 1}: structure: The gzip is broken" in capsys.readouterr().out


def test_a_line_too_long_is_named_and_the_next_ones_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 100)
    (tmp_path / "a.ndjson").write_bytes(PATIENT + b"\n" + b" " * 250 + b"\n" + PATIENT)
    found = list(reading.shipments(find([tmp_path]), lambda size: None))
    assert [str(f.place) for f in found if isinstance(f, Refusal)] == [f"{tmp_path / 'a.ndjson'}:2"]
    assert [str(r.place) for f in found if isinstance(f, Shipment) for r in f.records] == [
        f"{tmp_path / 'a.ndjson'}:1",
        f"{tmp_path / 'a.ndjson'}:3",
    ]


def test_all_bytes_are_told_to_the_progress_bar(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(PATIENT + b"\n" + PATIENT)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(PATIENT)[:-12])
    told: list[int] = []
    sources = find([tmp_path])
    assert len(list(reading.shipments(sources, told.append))) == 2
    assert sum(told) == sum(source.size for source in sources) > 0


def test_what_a_file_holds_decides_when_it_is_sent(tmp_path: Path) -> None:
    link = '{"reference": "Organization?identifier=x|1"}'
    for name, text in {
        "a": f'{{"resourceType":"Encounter","subject":{link}}}',
        "b": f'{{"resourceType":"PractitionerRole","organization":{link}}}',
        "c": '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}}]}',
        "d": '{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Organization"}}]}',
    }.items():
        (tmp_path / f"{name}.json").write_text(text, encoding="utf-8")
    assert [(s.path.stem, s.stage) for s in in_order(find([tmp_path]))] == [("d", 0), ("c", 1), ("b", 2), ("a", 3)]


# Sending


async def test_a_busy_server_is_given_the_time_it_asks_for() -> None:
    answers = [outcome(503, "transient", **{"retry-after": "7"}), outcome(429, "throttled"), None]
    waiting = Waiting()
    report = await send(Fake(lambda bundle: answers.pop(0)), patients(1), waiting)
    assert waiting.pauses == [7.0, 1.0]
    assert report.counts == {("Patient", CREATED): 1}


async def test_patience_ends() -> None:
    waiting = Waiting()
    fake = Fake(lambda bundle: outcome(503, "transient"))
    report = await send(fake, patients(2), waiting)
    assert waiting.pauses == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert len(fake.bundles) == TRIES
    assert report.counts == {("Patient", REFUSED): 2}


async def test_what_is_wrong_is_left_out_and_the_rest_sent_together() -> None:
    answers = [outcome(422, "invalid", "Bundle.entry[1].resource.name[0]"), None]
    fake = Fake(lambda bundle: answers.pop(0))
    report = await send(fake, patients(3))
    assert [bundle["type"] for bundle in fake.bundles] == ["transaction", "transaction"]
    assert [entry["resource"]["id"] for entry in fake.bundles[1]["entry"]] == ["p0", "p2"]
    assert report.counts == {("Patient", CREATED): 2, ("Patient", REFUSED): 1}
    assert report.lines == ["f.ndjson:2: invalid at Patient.name[0]: no"]


async def test_what_is_wrong_is_left_out_once_then_each_is_sent_on_its_own() -> None:
    def refuse(bundle: Json) -> httpx.Response | None:
        return outcome(422, "invalid", "Bundle.entry[0]") if bundle["type"] == "transaction" else None

    fake = Fake(refuse)
    report = await send(fake, patients(4))
    assert [(b["type"], len(b["entry"])) for b in fake.bundles] == [
        ("transaction", 4),
        ("transaction", 3),
        ("batch", 3),
    ]
    assert report.counts == {("Patient", CREATED): 3, ("Patient", REFUSED): 1}


@pytest.mark.parametrize(
    ("status", "where"), [(422, ""), (422, "Bundle.entry[3].resource"), (422, "Bundle"), (400, "Bundle.entry[1]")]
)
async def test_where_it_is_not_clear_what_is_wrong_each_is_sent_on_its_own(status: int, where: str) -> None:
    def refuse(bundle: Json) -> httpx.Response | None:
        if bundle["type"] == "transaction":
            return outcome(status, "invalid", where)
        bad = {"severity": "error", "code": "invalid", "diagnostics": "no", "expression": ["Patient.name"]}
        rows = [{"response": {"status": "201"}} for _ in bundle["entry"]]
        rows[1] = {"response": {"status": "422", "outcome": {"issue": [bad]}}}  # type: ignore[dict-item]
        return httpx.Response(200, json={"entry": rows})

    fake = Fake(refuse)
    report = await send(fake, patients(3))
    assert [bundle["type"] for bundle in fake.bundles] == ["transaction", "batch"]
    assert report.counts == {("Patient", CREATED): 2, ("Patient", REFUSED): 1}
    assert report.lines == ["f.ndjson:2: invalid at Patient.name: no"]


async def test_what_is_too_long_is_halved() -> None:
    fake = Fake(lambda bundle: outcome(413, "too-long") if len(bundle["entry"]) > 2 else None)
    report = await send(fake, patients(5))
    assert [len(bundle["entry"]) for bundle in fake.bundles] == [5, 2, 3, 1, 2]
    assert report.counts == {("Patient", CREATED): 5}


async def test_entries_the_server_had_no_time_for_are_sent_again() -> None:
    answers: list[httpx.Response | None] = [
        outcome(422, "invalid"),
        httpx.Response(200, json={"entry": [{"response": {"status": s}} for s in ("201", "503", "201")]}),
        None,
    ]
    fake = Fake(lambda bundle: answers.pop(0))
    report = await send(fake, patients(3))
    assert [entry["resource"]["id"] for entry in fake.bundles[2]["entry"]] == ["p1"]
    assert report.counts == {("Patient", CREATED): 3}


async def test_what_may_be_stored_already_is_not_sent_twice() -> None:
    requests = 0

    def broken(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        if requests == 1:
            raise httpx.ReadError("reset")
        return stored(json.loads(request.content))

    report = await send(broken, patients(1, key=""))
    assert requests == 1
    assert report.lines[0].startswith("f.ndjson:1: incomplete: The connection broke before the answer came")
    requests = 0
    assert (await send(broken, patients(1))).counts == {("Patient", CREATED): 1}
    assert requests == 2


async def test_a_server_that_is_gone_ends_it() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    waiting = Waiting()
    with pytest.raises(CommandError, match="start a server with `fhir-server serve`, or name another"):
        await send(gone, patients(1), waiting)
    assert len(waiting.pauses) == TRIES - 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(502, text="<html>"), "f.ndjson:1: processing: Refused with status 502 Bad Gateway."),
        (httpx.Response(200, text="<html>"), "f.ndjson:1: processing: The answer is not a Bundle with one entry for"),
        (httpx.Response(200, json={"entry": []}), "f.ndjson:1: processing: The answer is not a Bundle with one entry"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_refusal(answer: httpx.Response, said: str) -> None:
    report = await send(Fake(lambda bundle: answer), patients(2))
    assert report.counts == {("Patient", REFUSED): 2}
    assert report.lines[0].startswith(said)


# The command


def test_what_is_no_fhir_server_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(PATIENT)
    transport = httpx.MockTransport(lambda request: httpx.Response(404, text="<html>"))
    with pytest.raises(CommandError, match=r"^http://fhir.example/metadata is no .* \(status 404\), .*; name one with"):
        run([tmp_path], server="http://fhir.example", transport=transport)


def test_a_server_that_goes_away_half_way_is_said_and_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fhir_server.cli.importing.sending.FIRST_PAUSE", 0.0)
    (tmp_path / "a.json").write_text('{"resourceType":"Organization","id":"o"}', encoding="utf-8")
    (tmp_path / "b.json").write_bytes(PATIENT)
    fake = Fake()

    def answer(request: httpx.Request) -> httpx.Response:
        if fake.bundles:
            raise httpx.ConnectError("refused")
        return fake(request)

    with pytest.raises(CommandError, match=r"does not answer .*\n.*stopped after 1 records; what has ids can simply"):
        run([tmp_path], server=SERVER, transport=httpx.MockTransport(answer))
    assert "1 stored, 0 refused" in capsys.readouterr().out


def test_no_more_than_twenty_refusals_are_shown_and_all_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"rubbish\n" * 30)
    errors = tmp_path / "errors.txt"
    assert not imported(Fake(), tmp_path / "a.ndjson", errors=errors)
    printed = capsys.readouterr().out
    assert printed.count("Not acceptable JSON") == SHOWN
    assert "and 10 more; --errors FILE writes them all" in printed
    written = [json.loads(line) for line in errors.read_bytes().splitlines()]
    assert len(written) == 30
    assert written[29]["issue"][0]["location"] == [f"{tmp_path / 'a.ndjson'}:30"]


def test_a_dry_run_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(PATIENT + b"\nrubbish")
    done = CliRunner().invoke(app, ["import", "--dry-run", "--server", "http://127.0.0.1:1/fhir", str(tmp_path)])
    assert done.exit_code == 1
    assert "a.ndjson:2: structure: Not acceptable JSON" in done.stdout
    assert "1 readable, 1 refused" in done.stdout
    (tmp_path / "a.ndjson").write_bytes(PATIENT)
    assert CliRunner().invoke(app, ["import", "--dry-run", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], ". has nothing to import; files must end in .json, .ndjson, .json.gz, .ndjson.gz"),
        (["x", "--server", "fhir.example"], "--server fhir.example is not a URL; one looks like http://127.0.0.1:8000"),
        (["x", "--server", "http://a:b"], "--server http://a:b is not a URL"),
        (
            ["x", "--server", "http://127.0.0.1:1/fhir"],
            "http://127.0.0.1:1/fhir does not answer (ConnectError); start a",
        ),
        (["x", "--errors", "no/such/file"], "--errors no/such/file cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_work_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").write_bytes(PATIENT)
    done = CliRunner().invoke(app, ["import", *arguments])
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_report_counts_every_record_of_a_refused_bundle() -> None:
    report = Report()
    issues = (Issue("invalid", "a"), Issue("invalid", "b"))
    report.refuse(Refusal(Place("b.json", entry="Bundle.entry[0]"), issues, ("Patient", "Patient", "Basic")))
    assert report.counts == {("Patient", REFUSED): 2, ("Basic", REFUSED): 1}
    assert report.lines == ["b.json Bundle.entry[0]: invalid: a", "b.json Bundle.entry[0]: invalid: b"]
