"""Shipments are posted, patiently, and their answers read. https://hl7.org/fhir/R4/http.html#transaction-response

A server that is busy (429, 503) is asked again after the time it names, or after pauses that double. What may have
arrived before the connection broke is sent again only if that does no harm.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx

from fhir_server.cli.failing import CommandError
from fhir_server.cli.importing.report import CREATED, OTHER, Report
from fhir_server.cli.importing.shipments import Record, Refusal, Shipment, together
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.outcomes import Issue

FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json", "Prefer": "return=minimal"}
TRIES = 6
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 120.0
BUSY = (429, 503)
TOO_LONG = 413
# One wrong resource refuses a transaction; without it, or sent entry by entry, the others get through.
ABOUT_CONTENT = (400, 404, 409, 412, 422)
WRONG_RESOURCE = 422

Sleep = Callable[[float], Awaitable[None]]

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\](?:\.resource)?(.*)")


class Sender:
    """Sends shipments to one server and tells a report what became of each record."""

    def __init__(self, http: httpx.AsyncClient, server: str, report: Report, sleep: Sleep = asyncio.sleep) -> None:
        self._http = http
        self._server = server.rstrip("/")
        self._report = report
        self._sleep = sleep

    async def greet(self) -> None:
        """Make sure that a FHIR server is there. Raises CommandError with the way out if not."""
        try:
            answer = await self._http.get(f"{self._server}/metadata", headers=FHIR_JSON)
        except httpx.TransportError as error:
            raise self._silent(error) from None
        body = _json(answer)
        if body.get("resourceType") != "CapabilityStatement":
            raise CommandError(
                f"{self._server}/metadata is no CapabilityStatement (status {answer.status_code}), "
                "so this is no FHIR server; name one with --server, as in --server http://127.0.0.1:8000/fhir"
            )

    async def send(self, shipment: Shipment, *, sifts: bool = True) -> None:
        """Store a shipment. One that can be divided is, when it is too long or something in it is refused.

        `sifts`: whether to leave out what the server finds wrong and send the rest together again. It is done once,
        for a server that names one thing at a time would be asked as often as there are wrong ones.
        """
        answer = await self._post(shipment.body, shipment.is_repeatable)
        if answer is None:
            self._refuse(shipment, [_lost()])
        elif (rows := _rows(answer, shipment)) is not None:
            await self._tell(shipment, rows)
        elif not shipment.is_whole and len(shipment.records) > 1 and answer.status_code == TOO_LONG:
            half = len(shipment.records) // 2
            for part in (shipment.records[:half], shipment.records[half:]):
                await self.send(together(part, shipment.kind))
        elif not shipment.is_whole and shipment.kind == "transaction" and answer.status_code in ABOUT_CONTENT:
            wrong = _by_entry(answer, shipment.records) if sifts and answer.status_code == WRONG_RESOURCE else {}
            for index, issues in wrong.items():
                self._report.refuse(Refusal(shipment.records[index].place, issues, (shipment.records[index].type,)))
            rest = [record for index, record in enumerate(shipment.records) if index not in wrong]
            if rest:
                await self.send(together(rest, "transaction" if wrong else "batch"), sifts=False)
        else:
            self._refuse(shipment, _issues(_json(answer)) or [_unexplained(answer)])

    async def _post(self, body: bytes, is_repeatable: bool) -> httpx.Response | None:
        """Return the answer, None if the connection broke and it is not known what the server did."""
        for attempt in range(TRIES):
            is_last = attempt == TRIES - 1
            pause = FIRST_PAUSE * 2**attempt
            try:
                answer = await self._http.post(self._server, content=body, headers=FHIR_JSON)
            except httpx.TransportError as error:
                if not is_repeatable and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    return None
                if is_last:
                    raise self._silent(error) from None
            else:
                if is_last or not _is_for_now(answer):
                    return answer
                pause = max(pause, _asked_pause(answer))
            await self._sleep(min(pause, LONGEST_PAUSE))
        raise AssertionError("the last try returns or raises")

    async def _tell(self, shipment: Shipment, rows: Sequence[Any]) -> None:
        again: list[Record] = []
        for record, row in zip(shipment.records, rows, strict=True):
            response = row.get("response") if isinstance(row, dict) else None
            response = response if isinstance(response, dict) else {}
            status = str(response.get("status", ""))[:3]
            if status.startswith("2"):
                self._report.count(record.type, CREATED if status == "201" else OTHER)
            elif record.entry and len(rows) > 1 and status in map(str, BUSY):
                again.append(record)
            else:
                issues = _issues(response.get("outcome")) or [Issue("processing", f"Refused with status {status}.")]
                self._report.refuse(Refusal(record.place, tuple(issues), (record.type,)))
        if again:
            await self._sleep(FIRST_PAUSE)
            half = (len(again) + 1) // 2 if len(again) == len(rows) else len(again)
            for part in filter(None, (again[:half], again[half:])):
                await self.send(together(part, "batch"))

    def _refuse(self, shipment: Shipment, issues: list[Issue]) -> None:
        self._report.refuse(Refusal(shipment.place, tuple(issues), tuple(record.type for record in shipment.records)))

    def _silent(self, error: Exception) -> CommandError:
        return CommandError(
            f"{self._server} does not answer ({type(error).__name__}); "
            "start a server with `fhir-server serve`, or name another with --server URL"
        )


def _rows(answer: httpx.Response, shipment: Shipment) -> list[Any] | None:
    """Return the entries of a response Bundle, None if the answer is not one that fits."""
    rows = _json(answer).get("entry", []) if answer.is_success else None
    return rows if isinstance(rows, list) and len(rows) == len(shipment.records) else None


def _is_for_now(answer: httpx.Response) -> bool:
    """Whether the same request may succeed in a moment: the server is busy, or somebody else was faster."""
    if answer.status_code == 409:
        return any(issue.code == "conflict" for issue in _issues(_json(answer)))
    return answer.status_code in BUSY


def _asked_pause(answer: httpx.Response) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = decode(answer.content)
    except JsonError:
        return {}
    return body if isinstance(body, dict) else {}


def _issues(outcome: Any) -> list[Issue]:
    rows = outcome.get("issue") if isinstance(outcome, dict) else None
    found = [_issue(row) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [issue for issue in found if issue.severity in ("error", "fatal")]


def _by_entry(answer: httpx.Response, records: Sequence[Record]) -> dict[int, tuple[Issue, ...]]:
    """Return what is wrong with which entry, as if each had been sent alone; nothing unless every issue names one."""
    found: dict[int, tuple[Issue, ...]] = {}
    for issue in _issues(_json(answer)):
        named = _ENTRY.fullmatch(issue.expression)
        index = int(named[1]) if named else len(records)
        if not named or index >= len(records):
            return {}
        found[index] = (*found.get(index, ()), replace(issue, expression=records[index].type + named[2]))
    return found


def _issue(row: dict[str, Any]) -> Issue:
    details = row.get("details")
    text = row.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None) or "no reason given"
    where = row.get("expression")
    expression = str(where[0]) if isinstance(where, list) and where else ""
    return Issue(str(row.get("code", "processing")), str(text), expression, str(row.get("severity", "error")))


def _lost() -> Issue:
    text = (
        "The connection broke before the answer came, so this may be stored or not. "
        "Look before you send it again: it would create its resources a second time."
    )
    return Issue("incomplete", text)


def _unexplained(answer: httpx.Response) -> Issue:
    if answer.is_success:
        return Issue("processing", "The answer is not a Bundle with one entry for each that was sent.")
    return Issue("processing", f"Refused with status {answer.status_code} {answer.reason_phrase}.")
