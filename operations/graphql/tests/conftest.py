"""What the tests of $graphql share: a query run on the server in memory, and what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from fhir_server.api import Reading, Stored, decode_stored
from operations.conftest import Calling, Records
from operations.graphql import graphql

Json = dict[str, Any]


@dataclass
class Counted:
    """Counts the commands of reading; each entry says for how many keys."""

    records: Records
    reads: list[int] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.records, name)

    async def read(self, key: str) -> Stored | None:
        self.reads.append(1)
        return await self.records.read(key)

    async def read_many(self, keys: Sequence[str]) -> dict[str, Stored]:
        self.reads.append(len(keys))
        return await self.records.read_many(keys)


@dataclass
class Ran:
    """The answer to a query."""

    body: Json
    reads: list[int]
    code: str

    @property
    def data(self) -> Json:
        assert "errors" not in self.body, self.body
        found: Json = self.body["data"]
        return found

    @property
    def error(self) -> str:
        """The message of the only error, which its OperationOutcome says too."""
        assert self.body["data"] is None
        (error,) = self.body["errors"]
        (issue,) = error["extensions"]["resource"]["issue"]
        assert (issue["severity"], issue["diagnostics"]) == ("error", error["message"])
        assert issue["code"] == self.code
        message: str = error["message"]
        return message

    @property
    def place(self) -> tuple[int, int]:
        """The line and column of the only error."""
        ((place,),) = [error["locations"] for error in self.body["errors"]]
        return place["line"], place["column"]


Run = Callable[..., Awaitable[Ran]]


@pytest.fixture
def run(calling: Calling, records: Records) -> Run:
    """Return what runs a query: `await run("Patient/1", "{ id }", name="x")`; names are variables."""

    async def running(on: str, query: str, *, operation: str = "", **variables: Any) -> Ran:
        base = calling(on)
        counted = Counted(records)
        body = {"query": query, "variables": variables, "operationName": operation}
        context = replace(base, records=cast(Reading, counted), body=body)
        content = await graphql(context)
        assert content.media_type == "application/json; charset=utf-8"
        answer = decode_stored(content.body)
        assert ("errors" in answer) == (content.failure is not None)
        return Ran(answer, counted.reads, content.failure.code if content.failure else "")

    return running
