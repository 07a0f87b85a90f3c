"""What one request carries: a Bundle as it was written, or a few hundred resources on their own.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue

Json = dict[str, Any]

SENT_AS_THEY_ARE = ("transaction", "batch")
UNPACKED = ("collection", "searchset", "document")
# What may be sent again when nobody knows whether it arrived: doing it twice is doing it once.
_REPEATABLE = ("PUT", "DELETE", "GET", "HEAD")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, a line of it, or an entry of its Bundle."""

    file: str
    line: int = 0
    entry: str = ""

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}{f' {self.entry}' if self.entry else ''}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`records` of a type that were not stored, and why. A type of '' is what could not be read at all."""

    place: Place
    issues: tuple[Issue, ...]
    types: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Record:
    """One entry: its type, whether it may be sent twice, and its JSON where it can be sent in other company."""

    place: Place
    type: str
    is_repeatable: bool
    entry: bytes = b""


@dataclass(frozen=True, slots=True)
class Shipment:
    """One request. A whole one is the file's own Bundle; others may be divided, and sent entry by entry."""

    place: Place
    kind: str
    body: bytes
    records: tuple[Record, ...]
    is_whole: bool

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows whether it arrived."""
        return all(record.is_repeatable for record in self.records)


def together(records: Sequence[Record], kind: str = "transaction") -> Shipment:
    """Return one request for resources that do not depend on each other."""
    body = b'{"resourceType":"Bundle","type":"%s","entry":[%s]}' % (kind.encode(), b",".join(r.entry for r in records))
    return Shipment(records[0].place, kind, body, tuple(records), is_whole=False)


def resource(place: Place, value: Any, raw: bytes) -> Record | Refusal:
    """Return the entry that stores one resource: under its own id, or under a new one if it has none."""
    kind, key = _key(value)
    if not kind:
        return _refused(place, "structure", "This is no FHIR resource: it has no resourceType.")
    if key is None:
        text = "An id is 1 to 64 letters, digits, '-' and '.'; correct it, or leave it out to be given one."
        return _refused(place, "value", text, f"{kind}.id", kind)
    method, url = ("PUT", f"{kind}/{key}") if key else ("POST", kind)
    entry = b'{"resource":%s,"request":{"method":"%s","url":"%s"}}' % (raw, method.encode(), url.encode())
    return Record(place, kind, bool(key), entry)


def of_bundle(place: Place, bundle: Json, raw: bytes) -> Shipment | Refusal | None:
    """Return the request that stores a Bundle, None where it is empty.

    A transaction or batch goes as it is. The entries of a collection, searchset or document are put under the ids they
    have, all or none, so that the links between them hold.
    """
    kind, rows = bundle.get("type"), bundle.get("entry", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return _refused(place, "structure", "Bundle.entry must be a list of objects.", "Bundle.entry", "Bundle")
    if kind in SENT_AS_THEY_ARE:
        records = [_asked(place, index, row) for index, row in enumerate(rows)]
        return Shipment(place, str(kind), raw, tuple(records), is_whole=True) if records else None
    if kind in UNPACKED:
        return _unpacked(place, rows)
    text = (
        f"A Bundle of type {str(kind)[:64]!r} cannot be imported; it can be {', '.join(SENT_AS_THEY_ARE + UNPACKED)}."
    )
    return _refused(place, "not-supported", text, "Bundle.type", "Bundle")


def _asked(place: Place, index: int, row: Json) -> Record:
    request = row.get("request")
    request = request if isinstance(request, dict) else {}
    kind = _key(row.get("resource"))[0] or re.split(r"[/?]", str(request.get("url", "")))[0]
    is_repeatable = request.get("method") in _REPEATABLE or "ifNoneExist" in request
    return Record(Place(place.file, place.line, f"Bundle.entry[{index}]"), kind, is_repeatable)


def _unpacked(place: Place, rows: list[Json]) -> Shipment | Refusal | None:
    entries: list[Json] = []
    records: list[Record] = []
    issues: list[Issue] = []
    for index, row in enumerate(rows):
        if _is_remark(row):
            continue
        where = f"Bundle.entry[{index}]"
        value = row.get("resource")
        kind, key = _key(value)
        if not (kind and key):
            issues.append(_why_not(where, kind))
        entries.append({"resource": value, "request": {"method": "PUT", "url": f"{kind}/{key}"}})
        if isinstance(row.get("fullUrl"), str):
            entries[-1]["fullUrl"] = row["fullUrl"]
        records.append(Record(Place(place.file, place.line, where), kind, is_repeatable=True))
    if issues:
        return Refusal(place, tuple(issues), tuple(record.type for record in records))
    body = encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    return Shipment(place, "transaction", body, tuple(records), is_whole=True) if records else None


def _is_remark(row: Json) -> bool:
    """Whether an entry tells about a search and is not one of its results."""
    search = row.get("search")
    return isinstance(search, dict) and search.get("mode") == "outcome"


def _why_not(where: str, kind: str) -> Issue:
    if not kind:
        return Issue("required", "The entry has no resource.", f"{where}.resource")
    text = (
        "The entries of this Bundle are stored under the ids of their resources, and this one has no valid id. "
        "Give it one, or make the Bundle a transaction that POSTs it."
    )
    return Issue("required", text, f"{where}.resource.id")


def _key(value: Any) -> tuple[str, str | None]:
    """Return the type ('' if it has none) and the id of a resource: '' if it has none, None if it is no valid one."""
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        return "", ""
    key = value.get("id", "")
    return kind, key if key == "" or (isinstance(key, str) and _ID.fullmatch(key)) else None


def _refused(place: Place, code: str, text: str, expression: str = "", kind: str = "") -> Refusal:
    return Refusal(place, (Issue(code, text, expression),), (kind,))
