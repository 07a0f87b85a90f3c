"""A server in memory for the tests of operations: records in a dict, criteria walked, what was written kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

import pytest

from fhir_server.api import (
    And,
    Criterion,
    Deleted,
    Everything,
    InvalidRequest,
    Issue,
    Key,
    Library,
    Moment,
    Not,
    NotFound,
    Nothing,
    OfType,
    OperationContext,
    Or,
    Order,
    Page,
    Parameters,
    Position,
    Stored,
    Terminology,
    Updated,
    ValidationPolicy,
    decode_stored,
    encode,
    local_reference,
    references,
)
from fhir_server.api.packages import Packaging
from fhir_server.api.records import Outline
from fhir_server.testing.client import FhirClient, fhir_client

Json = dict[str, Any]

NOW = 1_700_000_000_000
TYPES = frozenset(
    {"Binary", "Condition", "Device", "Encounter", "Observation", "Organization", "Patient", "Practitioner"}
    | {"Provenance", "Specimen"}
)
BASE = "http://server.test/fhir"


def _holds(where: Criterion, record: Stored) -> bool:
    match where:
        case Everything():
            return True
        case Nothing():
            return False
        case Key(any_of):
            return record.key in any_of
        case OfType(any_of):
            return record.type in any_of
        case Updated(low, high):
            return (low is None or record.updated >= low) and (high is None or record.updated < high)
        case Moment(low, high):
            return (low is None or record.moment >= low) and (high is None or record.moment < high)
        case And(conditions):
            return all(_holds(c, record) for c in conditions)
        case Or(conditions):
            return any(_holds(c, record) for c in conditions)
        case Not(condition):
            return not _holds(condition, record)
        case _:
            raise AssertionError(f"the server in memory has no index for {where}")


class Records:
    """api.Reading over a dict."""

    def __init__(self) -> None:
        self.by_key: dict[str, Stored] = {}
        self.searches = 0

    def add(self, resource: Json, *, moment: int = 0, updated: int = NOW, version: int = 1) -> Stored:
        """Store a resource as it is, with a meta that says its version."""
        meta = {"versionId": str(version), **resource.get("meta", {})}
        whole = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta, **resource}
        whole["meta"] = meta
        record = Stored(f"{resource['resourceType']}/{resource['id']}", version, updated, encode(whole), moment=moment)
        self.by_key[record.key] = record
        return record

    def delete(self, key: str) -> None:
        """Put a tombstone in the place of a resource."""
        self.by_key[key] = Stored(key, self.by_key[key].version + 1, NOW, b"", "DELETE", deleted=True)

    def json(self, key: str) -> Json:
        """Return a stored resource as JSON."""
        found: Json = decode_stored(self.by_key[key].raw)
        return found

    def of_type(self, resource_type: str) -> list[Json]:
        """Return the live resources of a type."""
        return [self.json(r.key) for r in self.by_key.values() if r.type == resource_type and not r.deleted]

    async def read(self, key: str) -> Stored | None:
        return self.by_key.get(key)

    async def read_many(self, keys: Sequence[str]) -> dict[str, Stored]:
        return {k: self.by_key[k] for k in keys if k in self.by_key}

    async def vread(self, key: str, version: int) -> Stored | None:
        found = self.by_key.get(key)
        return found if found is not None and found.version == version else None

    async def search(self, where: Criterion, order: Order, limit: int, after: Position | None = None) -> Page:
        self.searches += 1

        def place(value: int, key: str) -> tuple[int, str]:
            return (0 if order.by == "key" else -value if order.descending else value, key)

        def value(record: Stored) -> int:
            return record.updated if order.by == "updated" else record.moment

        live = [r for r in self.by_key.values() if not r.deleted and _holds(where, r)]
        live.sort(key=lambda r: place(value(r), r.key))
        if after is not None:
            live = [r for r in live if place(value(r), r.key) > place(after.value, after.key)]
        return Page(tuple(live[:limit]), more=len(live) > limit)

    async def outlines(
        self, where: Criterion, limit: int, *, terms: bool = False, ranges: bool = False
    ) -> list[Outline]:
        assert not terms, "the server in memory has no index"
        assert not ranges, "the server in memory has no index"
        live = [r for r in self.by_key.values() if not r.deleted and _holds(where, r)]
        return [Outline(r.key, r.updated, r.moment) for r in live[:limit]]

    async def count(self, where: Criterion, cap: int = 0) -> int:
        found = sum(not r.deleted and _holds(where, r) for r in self.by_key.values())
        return min(found, cap) if cap else found

    async def history(self, of: object, limit: int, after: Position | None = None) -> Page:
        raise AssertionError("no operation here reads the history")


@dataclass
class Server:
    """api.Server over these records. A resource is in a patient's compartment when it refers to the patient."""

    records: Records
    base_url: str = BASE
    resource_types: frozenset[str] = frozenset(
        [
            "Binary",
            "Condition",
            "Device",
            "Encounter",
            "Observation",
            "Organization",
            "Patient",
            "Practitioner",
            "Provenance",
            "Specimen",
        ]
    )
    refused: dict[str, list[Issue]] = field(default_factory=dict)
    executed: list[Json] = field(default_factory=list)
    put: list[Json] = field(default_factory=list)
    searched: list[tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=list)
    sources: dict[str, list[bytes]] = field(default_factory=dict)
    profiles: list[str] = field(default_factory=list)
    validation_policy: ValidationPolicy = field(default_factory=ValidationPolicy)
    ids: int = 0

    async def set_validation_policy(self, policy: ValidationPolicy) -> None:
        self.validation_policy = policy

    @property
    def packages(self) -> Packaging:
        raise AssertionError("no operation that is tested in memory has packages")

    def now(self) -> int:
        return NOW

    def new_id(self) -> str:
        self.ids += 1
        return f"new-{self.ids}"

    async def validate(
        self, resource: Json, *, references_open: bool = False, advice: bool = False, profiles: Sequence[str] = ()
    ) -> list[Issue]:
        self.profiles += profiles
        found = self.refused.get(resource.get("id", ""), [])
        return found if advice else [issue for issue in found if issue.severity == "error"]

    def compartment(self, patient_id: str, types: Sequence[str] = ()) -> Criterion:
        patient = f"Patient/{patient_id}"
        inside = [
            r.key
            for r in self.records.by_key.values()
            if r.key == patient or (r.type not in ("Device", "Provenance") and patient in self.references_of(r.raw))
        ]
        member = Key(tuple(inside))
        return And((member, OfType(tuple(types)))) if types else member

    def care_dates(self, low: int | None, high: int | None) -> Criterion:
        return Or((Moment(0, 1), Moment(low, high)))

    def references_of(self, raw: bytes) -> set[str]:
        found = [text for line in raw.split(b"\n") if line for _, text in references(decode_stored(line))]
        return {text for text in found if local_reference(text)}

    async def criterion(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Criterion:
        keys = [r["id"] for r in self.records.of_type(resource_type) if _matches(r, query)]
        return Key(tuple(f"{resource_type}/{i}" for i in keys))

    async def search(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Json:
        """Match `_id` and references by any parameter, in the order of ids; the cursor of a page is a number."""
        self.searched.append((resource_type, tuple(query)))
        control = {n: v for n, v in query if n in ("_count", "_cursor", "_summary")}
        asked = [(n, set(v.split(","))) for n, v in query if n not in control]
        found = [r for r in self.records.of_type(resource_type) if all(self._has(r, n, v) for n, v in asked)]
        if control.get("_summary") == "count":
            return {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        found.sort(key=lambda r: str(r["id"]))
        start = int(control.get("_cursor", 0))
        end = start + int(control.get("_count", 50))
        entries = [{"resource": r, "search": {"mode": "match"}} for r in found[start:end]]
        more = [{"relation": "next", "url": f"{BASE}/{resource_type}?_cursor={end}"}] if end < len(found) else []
        return {"resourceType": "Bundle", "type": "searchset", "link": more, "entry": entries}

    def _has(self, resource: Json, name: str, wanted: set[str]) -> bool:
        return resource["id"] in wanted if name == "_id" else bool(self.referred("", name, resource) & wanted)

    def referred(self, resource_type: str, code: str, resource: Json) -> set[str]:
        if code not in ("patient", "subject", "encounter", "organization"):
            raise InvalidRequest(f"no parameter {code}")
        return self.references_of(encode(resource))

    @property
    def library(self) -> Library:
        return Shelf(self.records)

    @property
    def terminology(self) -> Terminology:
        raise NotImplementedError("no operation here asks about codes")

    async def execute(self, bundle: Json) -> Json:
        self.executed.append(bundle)
        for entry in bundle["entry"]:
            key = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            old = self.records.by_key.get(key)
            self.records.add(entry["resource"], version=old.version + 1 if old else 1)
        return {"resourceType": "Bundle", "type": "transaction-response"}

    async def put_all(self, resources: Sequence[Json]) -> list[Issue | None]:
        issues: list[Issue | None] = []
        for resource in resources:
            refused = self.refused.get(resource["id"])
            issues.append(refused[0] if refused else None)
            if not refused:
                self.put.append(resource)
                self.records.add(resource)
        return issues

    async def change_meta(self, key: str, change: Callable[[Json], Json]) -> Json:
        found = self.records.by_key.get(key)
        if found is None:
            raise NotFound(f"There is no {key}.")
        if found.deleted:
            raise Deleted(f"{key} was deleted.", version=found.version)
        resource = self.records.json(key)
        self.records.add({**resource, "meta": change(resource["meta"])}, version=found.version + 1)
        new: Json = self.records.json(key)["meta"]
        return new

    async def reindex(self, key: str) -> Json:
        return {"resourceType": "Parameters", "id": key}

    def sign(self, fields: tuple[str | int, ...], *bound_to: str) -> str:
        return encode([list(fields), list(bound_to)]).hex()

    def unsign(self, cursor: str, *bound_to: str) -> list[str | int]:
        try:
            fields, bound = decode_stored(bytes.fromhex(cursor))
        except ValueError:
            raise InvalidRequest("not a cursor") from None
        if bound != list(bound_to):
            raise InvalidRequest("a cursor of something else")
        return list(fields)

    def open_source(self, url: str) -> AsyncGenerator[bytes, None]:
        if url not in self.sources:
            raise InvalidRequest(f"{url} may not be fetched.")
        return self._chunks(url)

    async def _chunks(self, url: str) -> AsyncGenerator[bytes, None]:
        for chunk in self.sources[url]:
            yield chunk


@dataclass(frozen=True)
class Shelf:
    """api.Library over the records in memory."""

    records: Records

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        live = (record for record in self.records.by_key.values() if not record.deleted)
        of_type = [record.raw for record in live if record.key.startswith(resource_type + "/")]
        return [raw for raw in of_type if decode_stored(raw).get("url") == url]


def _matches(resource: Json, query: Sequence[tuple[str, str]]) -> bool:
    """Whether one of `identifier=system|value,...` is the resource's; no query matches all."""
    if not query:
        return True
    ((name, wanted),) = query
    assert name == "identifier"
    own = {f"{i.get('system')}|{i.get('value')}" for i in resource.get("identifier", ())}
    return bool(own & set(wanted.split(",")))


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def server(records: Records) -> Server:
    return Server(records)


Calling = Callable[..., OperationContext]


@pytest.fixture
def calling(server: Server) -> Calling:
    """Return a maker of contexts: `calling("Patient/1", _count=2)`; `cursor` is the one of a next link."""

    def make(on: str = "", *, cursor: str = "", **parameters: Any) -> OperationContext:
        kind, _, name = on.partition("/")
        values = {n: v if isinstance(v, list) else [v] for n, v in parameters.items()}
        query = [("_cursor", cursor)] if cursor else []
        return OperationContext(kind, name, Parameters(values), server.records, server, query)

    return make


@pytest.fixture(scope="session")
async def http() -> AsyncGenerator[FhirClient, None]:
    """A whole server with what is installed, for tests that do not mind each other's resources."""
    _need_installation()
    async with fhir_client() as client:
        yield client


@pytest.fixture
def starting() -> Callable[..., AbstractAsyncContextManager[FhirClient]]:
    """Return what starts a server of its own: `async with starting(import_dir=...) as http`."""
    _need_installation()
    return fhir_client


def _need_installation() -> None:
    installed = {entry.name for entry in entry_points(group="fhir_server.operations")}
    if "import-bulk" not in installed:
        pytest.skip("the operations are not installed: pip install -e .")
