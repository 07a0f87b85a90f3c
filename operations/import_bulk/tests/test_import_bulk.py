"""$import with a server in memory: the call, the lines, the job and its resumption."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from fhir_server.api import InvalidRequest, Issue, Job, JobCancelled, NotSupported, decode_stored, encode
from operations.conftest import BASE, Calling, Records, Server
from operations.import_bulk import import_bulk, lines, running

Json = dict[str, Any]
URL = "https://files.example/Patient.ndjson"


def named(type_code: Any, url: str) -> list[Json]:
    return [{"name": "type", "valueCode": type_code}, {"name": "url", "valueUri": url}]


def patients(*names: str) -> bytes:
    return b"".join(encode({"resourceType": "Patient", "id": name}) + b"\n" for name in names)


class Progress:
    """api.JobProgress that keeps what is saved, and may be told to stop at a save."""

    def __init__(self, checkpoint: Json | None = None, stop_at: int = 0) -> None:
        self.checkpoint: Json = checkpoint or {}
        self.messages: list[str] = []
        self._stop_at = stop_at

    async def save(self, checkpoint: Json, message: str) -> None:
        self.checkpoint = decode_stored(encode(checkpoint))
        self.messages.append(message)
        if len(self.messages) == self._stop_at:
            raise JobCancelled


def given(*inputs: tuple[str, str]) -> Json:
    return {"inputs": [{"type": t, "url": u} for t, u in inputs], "request": f"{BASE}/$import"}


def errors(records: Records, row: Json) -> list[tuple[str, str]]:
    """Return (code, line) of the outcomes in an error file of the manifest."""
    binary = records.json(row["url"].removeprefix(BASE + "/"))
    assert binary["contentType"] == "application/fhir+ndjson"
    outcomes = [decode_stored(line) for line in b64decode(binary["data"]).splitlines()]
    assert len(outcomes) == row["count"]
    return [(i["code"], i.get("location", [""])[0]) for o in outcomes for i in o["issue"]]


class TestTheCall:
    @pytest.fixture(autouse=True)
    def source(self, server: Server) -> None:
        server.sources[URL] = []

    async def test_a_job_for_what_is_asked(self, calling: Calling) -> None:
        context = calling(input=[named("Patient", URL)], inputFormat="application/fhir+ndjson", inputSource="urn:old")
        assert await import_bulk(context) == Job("import-bulk", {**given(("Patient", URL)), "inputSource": "urn:old"})

    async def test_every_input_that_is_wrong_is_named(self, calling: Calling) -> None:
        wrong: list[Any] = [
            named("Patients", URL),
            named("Patient", "http://evil.example/"),
            [],
            "x",
            [7],
            named(["Patient"], URL),
        ]
        with pytest.raises(InvalidRequest) as refused:
            await import_bulk(calling(input=[named("Patient", URL), *wrong]))
        assert [i.diagnostics.partition(":")[0] for i in refused.value.issues] == [f"input {n}" for n in range(2, 8)]
        assert "http://evil.example/ may not be fetched" in refused.value.issues[1].diagnostics

    async def test_another_format(self, calling: Calling) -> None:
        with pytest.raises(NotSupported, match=r"application/fhir\+ndjson"):
            await import_bulk(calling(input=[named("Patient", URL)], inputFormat="application/fhir+xml"))

    async def test_no_input(self, calling: Calling) -> None:
        with pytest.raises(InvalidRequest, match="1 to 1000"):
            await import_bulk(calling())


class TestLines:
    async def read(self, chunks: list[bytes], **start: int) -> list[tuple[int, int, bytes | None]]:
        async def source() -> AsyncGenerator[bytes, None]:
            for chunk in chunks:
                yield chunk

        return [(line.number, line.end, line.raw) async for line in lines.lines(source(), **start)]

    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    async def test_chunks_of_any_size(self, size: int) -> None:
        text = b"one\n\n  \r\ntwo\r\nthree"
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        assert await self.read(chunks) == [(1, 4, b"one"), (4, 14, b"two"), (5, 19, b"three")]

    @pytest.mark.parametrize("size", [1, 4, 100])
    @pytest.mark.parametrize(("number", "offset", "rest"), [(1, 4, 2), (2, 8, 1), (3, 14, 0)])
    async def test_going_on_from_the_end_of_a_line(self, size: int, number: int, offset: int, rest: int) -> None:
        text = b"one\ntwo\nthree\n"
        chunks = [text[i : i + size] for i in range(0, len(text), size)]
        whole = await self.read(chunks)
        assert await self.read(chunks, offset=offset, number=number) == whole[3 - rest :]

    async def test_a_line_too_long_is_passed_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lines, "MAX_LINE", 3)
        found = [(1, 4, b"abc"), (2, 9, None), (3, 12, b"gh"), (4, 17, None)]
        assert await self.read([b"abc\nab", b"cd\ngh\nabcde"]) == found


class TestTheJob:
    async def test_resources_are_written_and_counted(self, calling: Calling, server: Server) -> None:
        server.sources = {URL: [patients("1", "2")], "o": [encode({"resourceType": "Organization", "id": "3"})]}
        manifest = await running.run(calling(), given(("Patient", URL), ("Organization", "o")), Progress())
        assert manifest == {
            "transactionTime": "2023-11-14T22:13:20.000+00:00",
            "request": f"{BASE}/$import",
            "output": [
                {"type": "Patient", "inputUrl": URL, "count": 2},
                {"type": "Organization", "inputUrl": "o", "count": 1},
            ],
            "error": [],
        }
        assert [r["id"] for r in server.put] == ["1", "2", "3"]

    async def test_lines_that_are_wrong_are_listed_and_stop_nothing(
        self, calling: Calling, server: Server, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(lines, "MAX_LINE", 60)
        server.refused["bad"] = [Issue("value", "no such code", "Patient.gender")]
        rows = [
            patients("1"),
            b"{not json}\n",
            b'{"resourceType":"Patient","id":"2","id":"3"}\n',
            b'{"resourceType":"Organization","id":"4"}\n',
            b"[]\n\n",
            patients("bad"),
            patients("x" * 60),
            patients("5"),
        ]
        server.sources[URL] = [b"".join(rows)]
        manifest = await running.run(calling(), given(("Patient", URL)), Progress())
        assert manifest["output"] == [{"type": "Patient", "inputUrl": URL, "count": 2}]
        (row,) = manifest["error"]
        assert {name: row[name] for name in ("type", "inputUrl", "count")} == {
            "type": "OperationOutcome",
            "inputUrl": URL,
            "count": 6,
        }
        assert sorted(errors(records, row)) == [
            ("invalid", "line 4"),
            ("invalid", "line 5"),
            ("structure", "line 2"),
            ("structure", "line 3"),
            ("too-long", "line 8"),
            ("value", "line 7"),
        ]
        assert {"Patient/1", "Patient/5"} < set(records.by_key)

    async def test_a_source_that_fails_ends_its_file_only(
        self, calling: Calling, server: Server, records: Records
    ) -> None:
        server.sources["o"] = [encode({"resourceType": "Organization", "id": "3"})]

        async def failing() -> AsyncGenerator[bytes, None]:
            yield patients("1")
            raise InvalidRequest("The gzip file is damaged.")

        opened = server.open_source
        server.open_source = lambda url: failing() if url == URL else opened(url)  # type: ignore[method-assign]
        manifest = await running.run(calling(), given(("Patient", URL), ("Organization", "o")), Progress())
        assert [row["count"] for row in manifest["output"]] == [1, 1]
        assert errors(records, manifest["error"][0]) == [("invalid", "")]

    async def test_too_many_wrong_lines_end_the_file(
        self, calling: Calling, server: Server, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running, "MAX_ERRORS", 3)
        server.sources[URL] = [b"{\n" * 5 + patients("1")]
        manifest = await running.run(calling(), given(("Patient", URL)), Progress())
        assert manifest["output"][0]["count"] == 0
        found = errors(records, manifest["error"][0])
        assert found == [("structure", "line 1"), ("structure", "line 2"), ("structure", "line 3"), ("too-costly", "")]

    async def test_many_errors_make_several_files(
        self, calling: Calling, server: Server, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(running, "ERRORS_IN_FILE", 2)
        monkeypatch.setattr(running, "BATCH_LINES", 1)
        server.sources[URL] = [b"{\n{\n" + patients("1") + b"{\n"]
        manifest = await running.run(calling(), given(("Patient", URL)), Progress())
        assert [row["count"] for row in manifest["error"]] == [2, 1]
        assert errors(records, manifest["error"][1]) == [("structure", "line 4")]


class TestTakingUpAgain:
    @pytest.fixture(autouse=True)
    def small_batches(self, monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
        monkeypatch.setattr(running, "BATCH_LINES", 2)
        server.sources = {
            URL: [patients("1", "2", "3"), b"{\n", patients("4", "5")],
            "o": [encode({"resourceType": "Organization", "id": "6"})],
        }

    @pytest.mark.parametrize("stop_at", [1, 2, 3, 4])
    async def test_goes_on_where_it_was(self, calling: Calling, server: Server, records: Records, stop_at: int) -> None:
        asked = given(("Patient", URL), ("Organization", "o"))
        first = Progress(stop_at=stop_at)
        with pytest.raises(JobCancelled):
            await running.run(calling(), asked, first)
        done = len(server.put)
        manifest = await running.run(calling(), asked, Progress(first.checkpoint))
        resources = [r["id"] for r in server.put if r["resourceType"] != "Binary"]
        assert resources == ["1", "2", "3", "4", "5", "6"]
        assert [row["count"] for row in manifest["output"]] == [5, 1]
        assert [errors(records, row) for row in manifest["error"]] == [[("structure", "line 4")]]
        assert done == [2, 4, 6, 7][stop_at - 1]

    async def test_says_how_far_it_is(self, calling: Calling) -> None:
        progress = Progress()
        await running.run(calling(), given(("Patient", URL), ("Organization", "o")), progress)
        assert progress.messages == [
            "file 1 of 2, line 2: 2 resources",
            "file 1 of 2, line 5: 4 resources",
            "1 of 2 files",
            "2 of 2 files",
        ]
        assert progress.checkpoint["input"] == 2

    async def test_what_is_finished_is_not_read_again(self, calling: Calling, server: Server) -> None:
        progress = Progress()
        asked = given(("Patient", URL), ("Organization", "o"))
        manifest = await running.run(calling(), asked, progress)
        server.sources.clear()
        assert await running.run(calling(), asked, Progress(progress.checkpoint)) == manifest
