"""The terminology server elsewhere: what it is asked, what its answers mean, and what happens when it gives none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from fhir_server.api import Coding, Membership, NotFound, RemoteServer, TooCostly, Unavailable
from terminology.remote import FAILURES, PAUSE, Remote
from terminology.service import LocalTerminology
from tests.unit.terminology.shelf import ANIMALS, SET, Json, Shelf, animals, filtered, of, value_set

FAR = "http://example.org/far"
BASE = "http://elsewhere.test/fhir"
FHIR = "application/fhir+json"
GENDER = "http://hl7.org/fhir/ValueSet/observation-codes"


def parameters(**values: Any) -> Json:
    kinds = {bool: "valueBoolean", str: "valueString"}
    rows = [
        {"name": n, "resource": v} if isinstance(v, dict) else {"name": n, kinds[type(v)]: v} for n, v in values.items()
    ]
    return {"resourceType": "Parameters", "parameter": rows}


def outcome(code: str) -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


class Elsewhere:
    """A server that answers with what it was told to, and remembers what it was asked."""

    def __init__(self, answer: Json | bytes | Exception | Callable[[Json], Json], status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.asked: list[tuple[str, Json]] = []
        self.now = 0.0
        self.headers: httpx.Headers | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else {}
        self.asked.append((str(request.url).removeprefix(BASE), body))
        self.headers = request.headers
        made = self.answer(body) if callable(self.answer) else self.answer
        if isinstance(made, Exception):
            raise made
        return httpx.Response(self.status, content=made if isinstance(made, bytes) else json.dumps(made).encode())

    def service(self, **more: Any) -> LocalTerminology:
        remote = Remote(RemoteServer(BASE, **more), lambda: self.now, httpx.MockTransport(self))
        return LocalTerminology(remote=remote)

    def sent(self) -> Json:
        """Return the values of the last question by name."""
        rows = self.asked[-1][1]["parameter"]
        return {r["name"]: next(v for k, v in r.items() if k != "name") for r in rows}


YES = parameters(result=True, display="Far away")
NO = parameters(result=False, message="No such code.", issues=outcome("code-invalid"))
FAR_CODE = Coding(FAR, "x", "1", "John Smith, my patient")


async def check(there: Elsewhere, *shelf: Json, name: str = "", coding: Coding = FAR_CODE, **more: Any) -> Membership:
    return await there.service(**more).check(Shelf(*shelf), coding, name)


async def test_what_is_known_here_is_never_asked() -> None:
    there = Elsewhere(YES)
    owl = Coding(ANIMALS, "owl")
    assert await check(there, animals(), coding=owl) == Membership(True)
    assert (await check(there, animals(), coding=Coding(ANIMALS, "unicorn"))).holds is False
    few = value_set("x", of(ANIMALS, "eel"))
    assert (await check(there, animals(), few, name=SET + "x", coding=owl)).holds is False
    assert (await there.service().contains(Shelf(animals(), value_set("x", of())), SET + "x", ANIMALS, "owl")) is True
    assert (await check(there, value_set("x", {"valueSet": [SET + "x"]}), name=SET + "x")).holds is None
    assert there.asked == []


async def test_only_codes_and_names_are_sent() -> None:
    there = Elsewhere(YES)
    assert await check(there, name="http://example.org/vs|3") == Membership(True)
    assert there.asked[-1][0] == "/ValueSet/$validate-code"
    assert there.sent() == {
        "code": "x", "system": FAR, "systemVersion": "1", "url": "http://example.org/vs", "valueSetVersion": "3",
    }  # fmt: skip
    assert await check(there) == Membership(True)
    assert there.asked[-1][0] == "/CodeSystem/$validate-code"
    assert there.sent() == {"code": "x", "url": FAR, "version": "1"}
    assert "John" not in json.dumps(there.asked)


async def test_a_no_is_a_no_with_its_reason() -> None:
    assert await check(Elsewhere(NO)) == Membership(False, "No such code.")


@pytest.mark.parametrize("code", ["not-found", "not-supported", "too-costly"])
async def test_a_no_for_lack_of_knowledge_is_no_answer(code: str) -> None:
    assert (await check(Elsewhere(parameters(result=False, message="?", issues=outcome(code))))).holds is None
    unknown = {"x-unknown-system": FAR, "result": False}
    assert (await check(Elsewhere(parameters(**unknown)))).holds is None


async def test_a_no_without_issues_counts_where_the_server_has_the_code_system() -> None:
    def knows(content: str) -> Callable[[Json], Json]:
        row = {"resource": {"resourceType": "CodeSystem", "url": FAR, "content": content}}
        bundle = {"resourceType": "Bundle", "entry": [row] if content else []}
        return lambda asked: parameters(result=False, message="No.") if asked else bundle

    for content, holds in (("complete", False), ("not-present", None), ("", None)):
        there = Elsewhere(knows(content))
        assert (await check(there)).holds is holds
        assert there.asked[-1][0] == "/CodeSystem?url=http%3A%2F%2Fexample.org%2Ffar&_elements=content&_count=1"


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_refusal_leaves_the_question_open(status: int) -> None:
    there = Elsewhere(outcome("not-found"), status)
    assert await check(there) == await LocalTerminology().check(Shelf(), FAR_CODE)


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (httpx.ConnectError("refused"), 200, "could not be reached"),
        (httpx.ReadTimeout("slow"), 200, "could not be reached"),
        (outcome("exception"), 500, "status 500"),
        (outcome("login"), 401, "status 401"),
        (b"", 302, "status 302"),
        (b"<html>", 200, "no FHIR resource"),
        (b"[1]", 200, "no FHIR resource"),
        (b'{"resourceType": 5}', 200, "no FHIR resource"),
        (b"[" * 200_000, 200, "no FHIR resource"),
        (outcome("informational"), 200, "no Parameters"),
        (b" " * 8_000_001, 200, "more than 8000000 bytes"),
    ],
)
async def test_no_answer_is_never_a_no(answer: Any, status: int, text: str) -> None:
    said = await check(Elsewhere(answer, status))
    assert said.holds is None
    assert text in said.text
    assert FAR in said.text
    with pytest.raises(Unavailable, match=text):
        await Elsewhere(answer, status).service().contains(Shelf(), SET + "x", FAR, "x")


@pytest.mark.parametrize("rows", [None, 5, [5, {"name": 5}], [{"name": "result", "valueString": "true"}]])
async def test_parameters_of_any_shape_are_read(rows: Any) -> None:
    assert (await check(Elsewhere({"resourceType": "Parameters", "parameter": rows}))).holds is None


async def test_it_is_left_alone_after_failures_and_tried_again_later() -> None:
    there = Elsewhere(httpx.ConnectError("refused"))
    service = there.service()
    for n in range(FAILURES + 3):
        assert (await service.check(Shelf(), Coding(FAR, str(n)))).holds is None
    assert len(there.asked) == FAILURES
    there.now += PAUSE + 1
    await asyncio.gather(*(service.check(Shelf(), Coding(FAR, f"again{n}")) for n in range(5)))
    assert len(there.asked) == FAILURES + 1
    there.now += PAUSE + 1
    there.answer = YES
    for n in range(3):
        assert (await service.check(Shelf(), Coding(FAR, f"back{n}"))).holds is True


async def test_a_refusal_is_an_answer_and_ends_a_row_of_failures() -> None:
    there = Elsewhere(outcome("exception"), 500)
    service = there.service()
    for n in range(3 * FAILURES):
        there.status = 404 if n % FAILURES == FAILURES - 1 else 500
        assert (await service.check(Shelf(), Coding(FAR, str(n)))).holds is None
    assert len(there.asked) == 3 * FAILURES


class Endless(httpx.AsyncByteStream):
    """An answer that has no end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1_000_000


async def test_an_endless_answer_is_cut_off_by_its_size() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    remote = Remote(RemoteServer(BASE, timeout=30.0), transport=httpx.MockTransport(answer))
    said = await LocalTerminology(remote=remote).check(Shelf(), FAR_CODE)
    assert (said.holds, "more than 8000000 bytes" in said.text) == (None, True)


async def test_answers_are_remembered_for_a_time_and_refusals_shorter() -> None:
    there = Elsewhere(YES)
    service = there.service(cache_seconds=600.0)
    for _ in range(3):
        assert await service.check(Shelf(), FAR_CODE) == Membership(True)
    assert len(there.asked) == 1
    there.now += 601
    there.status = 404
    for _ in range(3):
        assert (await service.check(Shelf(), FAR_CODE)).holds is None
    assert len(there.asked) == 2
    there.now += 61
    there.status = 200
    assert (await service.check(Shelf(), FAR_CODE)).holds is True


async def test_failures_are_not_remembered() -> None:
    there = Elsewhere(httpx.ConnectError("refused"))
    service = there.service()
    assert (await service.check(Shelf(), FAR_CODE)).holds is None
    there.answer = YES
    assert (await service.check(Shelf(), FAR_CODE)).holds is True


async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terminology.remote.MAX_QUESTIONS", 10)
    there = Elsewhere(YES)
    service = there.service()
    for n in [*range(11), 10, 0]:
        await service.check(Shelf(), Coding(FAR, str(n)))
    assert len(there.asked) == 12
    monkeypatch.setattr("terminology.remote.MAX_REMEMBERED", 1)
    await service.check(Shelf(), Coding(FAR, "new"))
    await service.check(Shelf(), Coding(FAR, "new"))
    assert len(there.asked) == 14


async def test_only_the_systems_of_the_settings_are_asked_about() -> None:
    there = Elsewhere(YES)
    assert (await check(there, systems=("http://snomed.info/",))).holds is None
    assert there.asked == []
    assert (await check(there, systems=("http://snomed.info/", FAR))).holds is True


async def test_headers_go_to_it() -> None:
    there = Elsewhere(YES)
    await check(there, headers=(("authorization", "Bearer abc"),))
    assert there.headers is not None
    assert (there.headers["authorization"], there.headers["content-type"]) == ("Bearer abc", FHIR)


OWN = value_set("x", {"system": FAR, "filter": [{"property": "concept", "op": "is-a", "value": "y"}]}, publisher="Me")


async def test_value_sets_of_a_tenant_are_sent_where_that_is_allowed() -> None:
    there = Elsewhere(YES)
    assert (await check(there, OWN, name=SET + "x")).holds is None
    assert there.asked == []
    outer = value_set("z", {"valueSet": [SET + "x"]})
    assert (await check(there, OWN, outer, name=SET + "z", sends_value_sets=True)).holds is True
    sent = there.asked[-1][1]["parameter"]
    assert [(r["name"], r["resource"]["url"]) for r in sent if "resource" in r] == [
        ("valueSet", SET + "z"),
        ("tx-resource", SET + "x"),
    ]
    assert "publisher" not in json.dumps(sent)
    assert not {"url", "valueSetVersion"} & {r["name"] for r in sent}


async def test_value_sets_of_fhir_itself_are_asked_by_their_url() -> None:
    there = Elsewhere(YES)
    loinc = Coding("http://loinc.org", "8867-4")
    assert (await check(there, name=GENDER, coding=loinc)).holds is True
    assert there.sent() == {"code": "8867-4", "system": "http://loinc.org", "url": GENDER}


async def test_a_supplement_that_is_missing_cannot_be_done_without() -> None:
    there = Elsewhere(YES)
    extension = {"url": "http://hl7.org/fhir/StructureDefinition/valueset-supplement", "valueCanonical": FAR + "/more"}
    needy = value_set("x", of(ANIMALS, "owl"), extension=[extension])
    said = await check(there, animals(), needy, name=SET + "x", coding=Coding(ANIMALS, "owl"), sends_value_sets=True)
    assert (said.holds, there.asked) == (None, [])


def pages(asked: Json) -> Json:
    said = {r["name"]: next(v for k, v in r.items() if k != "name") for r in asked["parameter"]}
    rows = [{"system": FAR, "code": f"c{n}", "display": f"C{n}"} for n in range(2_500)]
    page = rows[said["offset"] : said["offset"] + said["count"]]
    return {"resourceType": "ValueSet", "status": "active", "expansion": {"total": 2_500, "contains": page}}


async def test_an_expansion_is_fetched_page_by_page() -> None:
    there = Elsewhere(pages)
    found = await there.service().expand(Shelf(), "http://example.org/vs")
    assert (len(found.concepts), found.concepts[-1].code, len(there.asked)) == (2_500, "c2499", 3)
    with pytest.raises(TooCostly):
        await there.service().expand(Shelf(), "http://example.org/vs", 2_499)


@pytest.mark.parametrize(
    "expansion",
    [None, {"total": 5, "contains": []}, {"total": 5, "contains": [{"code": 5}]}, {"contains": "x"}, {"total": 10**9}],
)
async def test_an_expansion_that_cannot_be_read_is_no_answer(expansion: Any) -> None:
    made = {"resourceType": "ValueSet", "status": "active", **({"expansion": expansion} if expansion else {})}
    with pytest.raises((Unavailable, TooCostly)):
        await Elsewhere(made).service().expand(Shelf(), "http://example.org/vs")


async def test_codes_above_and_below_are_asked_as_a_value_set() -> None:
    made = {"resourceType": "ValueSet", "expansion": {"contains": [{"system": FAR, "code": c} for c in "ab"]}}
    there = Elsewhere(made)
    assert await there.service().below(Shelf(), FAR, "a") == {"a", "b"}
    assert there.sent()["valueSet"]["compose"]["include"] == [
        {"system": FAR, "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}
    ]
    assert await there.service().above(Shelf(), FAR, "b") == {"a", "b"}
    with pytest.raises(NotFound):
        await Elsewhere(outcome("not-found"), 404).service().below(Shelf(), FAR, "a")
    assert await Elsewhere(made).service().below(Shelf(animals()), ANIMALS, "bird") == {"bird", "duck", "owl"}


@pytest.fixture
async def slow() -> AsyncIterator[str]:
    """A server on the loopback that sends a byte now and then, and never ends."""
    halted = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/fhir+json\r\n\r\n{")
        while not halted.is_set():
            writer.write(b" ")
            await asyncio.sleep(0.01)
            if writer.is_closing():
                break
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    halted.set()
    server.close()


async def test_an_answer_that_never_ends_is_given_up(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # nothing of the environment is used
    service = LocalTerminology().with_remote(RemoteServer(slow, timeout=0.3))
    began = asyncio.get_running_loop().time()
    said = await service.check(Shelf(), FAR_CODE)
    assert asyncio.get_running_loop().time() - began < 1.5
    assert (said.holds, "did not answer within 0.3 s" in said.text) == (None, True)
    await service.close()


async def test_filters_that_this_server_does_not_know_are_asked_where_allowed() -> None:
    there = Elsewhere(YES)
    odd = value_set("x", filtered("food", "is-a", "mice"))
    said = await check(there, animals(), odd, name=SET + "x", coding=Coding(ANIMALS, "owl"), sends_value_sets=True)
    assert said.holds is True
