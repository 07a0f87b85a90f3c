"""$hello with records made by hand: a handler needs no server to be tested."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, cast

import pytest
from hello_operation import hello

from fhir_server.api import NotFound, OperationContext, Parameters, Reading, Server, Stored, encode
from fhir_server.testing.client import fhir_client


class OnePatient:
    """Records with nobody but Patient/1."""

    def __init__(self, **patient: Any) -> None:
        self._patient = Stored("Patient/1", 1, 0, encode({"resourceType": "Patient", "id": "1", **patient}))

    async def read(self, key: str) -> Stored | None:
        return self._patient if key == self._patient.key else None


async def greet(records: OnePatient, name: str = "1", **parameters: str) -> list[dict[str, Any]]:
    given = Parameters({key: [value] for key, value in parameters.items()})
    answer = await hello(OperationContext("Patient", name, given, cast(Reading, records), cast(Server, None)))
    return cast(list[dict[str, Any]], answer["parameter"])


async def test_by_given_name() -> None:
    records = OnePatient(name=[{"family": "Amsel"}, {"given": ["Ada", "Maria"]}])
    assert await greet(records) == [{"name": "message", "valueString": "Hello, Ada!"}]
    assert await greet(records, greeting="Namaste") == [{"name": "message", "valueString": "Namaste, Ada!"}]


async def test_without_a_name() -> None:
    assert await greet(OnePatient()) == [{"name": "message", "valueString": "Hello, stranger!"}]


async def test_nobody_to_greet() -> None:
    with pytest.raises(NotFound, match=r"There is no Patient/2 to greet\."):
        await greet(OnePatient(), name="2")


@pytest.mark.engine
@pytest.mark.skipif(
    "hello" not in {entry.name for entry in entry_points(group="fhir_server.operations")},
    reason="the example is not installed: pip install -e examples/hello_operation",
)
async def test_over_http() -> None:
    async with fhir_client() as http:
        await http.put("Patient/1", {"resourceType": "Patient", "id": "1", "name": [{"given": ["Ada"]}]})
        answer = await http.get("Patient/1/$hello?greeting=Namaste")
        assert answer.json()["parameter"] == [{"name": "message", "valueString": "Namaste, Ada!"}]
        assert (await http.get("Patient/2/$hello")).status_code == 404
