"""The terminology tests of HL7: their suites, and how one of them is put to the operations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from fhir_server.api import Failure, Json, OperationContext, Server, Stored, Terminology, encode, operation_outcome
from fhir_server.api.concepts import Concepts
from fhir_server.fhir.definitions import r4
from fhir_server.http.errors import status_code
from fhir_server.interactions.operation import parameters
from fhir_server.interactions.request import Request
from fhir_server.interactions.services import Call
from fhir_server.kernel.registry import GROUP, Registered, build
from terminology import TERMINOLOGY

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "terminology"
OPERATIONS = {
    "expand": ("ValueSet", "expand"),
    "validate-code": ("ValueSet", "validate-code"),
    "batch-validate": ("ValueSet", "batch-validate-code"),
    "lookup": ("CodeSystem", "lookup"),
    "cs-validate-code": ("CodeSystem", "validate-code"),
}


def read(path: Path) -> Any:
    """Return the JSON of a file, which may begin with a byte order mark."""
    return json.loads(path.read_text(encoding="utf-8-sig"))


@dataclass(frozen=True)
class Case:
    """One test: what to ask, and which answers are right."""

    suite: str
    name: str
    operation: str
    mode: str
    request: Json
    answers: tuple[Json, ...]
    status: str
    languages: str
    setup: tuple[Json, ...]

    @property
    def id(self) -> str:
        """The name of the test with its suite."""
        return f"{self.suite}/{self.name}"


def cases(folder: Path = FOLDER) -> Iterator[Case]:
    """Yield every test of every suite; none where the folder is not there."""
    if not (folder / "test-cases.json").is_file():
        return
    for suite in read(folder / "test-cases.json")["suites"]:
        setup = tuple(read(folder / name) for name in suite["setup"])
        for row in suite["tests"]:
            answers = [row[key] for key in ("response", "response:flat") if key in row]
            yield Case(
                suite["name"],
                row["name"],
                row["operation"],
                row.get("mode", suite["mode"]),
                read(folder / row["request"]),
                tuple(read(folder / name) for name in answers if (folder / name).exists()),
                row.get("http-code", "2xx"),
                row.get("Accept-Language", ""),
                setup,
            )


@dataclass
class Setup:
    """What one test finds on the server: api.Server and api.Reading as far as terminology asks them."""

    resources: Sequence[Json]
    base_url: str = "http://server.test/fhir"
    concepts: Concepts | None = None

    def now(self) -> int:
        return 1_700_000_000_000

    def new_id(self) -> str:
        return "8acdbfdc-e9d2-11ed-a05b-0242ac120003"

    @property
    def library(self) -> Setup:
        return self

    @property
    def terminology(self) -> Terminology:
        return TERMINOLOGY

    async def find(self, resource_type: str, url: str) -> list[bytes]:
        return [encode(r) for r in self.resources if (r["resourceType"], r["url"]) == (resource_type, url)]

    async def read(self, key: str) -> Stored | None:
        found = [r for r in self.resources if f"{r['resourceType']}/{r.get('id')}" == key]
        return Stored(key, 1, 0, encode(found[0])) if found else None


def registered(case: Case) -> Registered:
    """Return the operation that a test calls, read by the kernel."""
    resource_type, code = OPERATIONS[case.operation]
    own = [(e.name, e.load()) for e in entry_points(group=GROUP) if e.value.startswith("terminology.")]
    found = build(own, r4().resource_types).find(code, "type", resource_type)
    assert found is not None, f"there is no ${code} on {resource_type}"
    return found


async def ask(case: Case, here: Setup | None = None) -> tuple[int, Json]:
    """Return the status and the answer of the server to a test, which finds what its suite sets up or what is here."""
    found = registered(case)
    request = Request("POST", (), body=case.request)
    here = here or Setup(case.setup)
    try:
        given = parameters(cast(Call, _Asked(request)), found)
        context = OperationContext(
            OPERATIONS[case.operation][0], "", given, cast(Any, here), cast(Server, here), languages=case.languages
        )
        handler = found.handler("type")
        assert handler is not None
        answer = await handler(context)
    except Failure as failure:
        return status_code(failure), operation_outcome(failure.issues)
    return 200, cast(Json, answer)


@dataclass(frozen=True)
class _Asked:
    request: Request
