"""$validation-policy and $set-validation-policy with a server in memory."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import InvalidRequest, Requirement, ValidationPolicy
from operations.conftest import Calling, Server
from operations.validation_policy import MAX_PROFILES, policy, set_policy

Json = dict[str, Any]
URL = "http://example.org/fhir/StructureDefinition/a"


def part(name: str, kind: str, value: str) -> Json:
    return {"name": name, f"value{kind}": value}


PATIENT = [part("type", "Code", "Patient"), part("profile", "Canonical", URL)]


async def test_the_policy_of_who_never_set_one(calling: Calling) -> None:
    assert await policy(calling()) == {
        "resourceType": "Parameters",
        "parameter": [{"name": "claimed", "valueCode": "strict"}],
    }


async def test_what_is_set_is_what_is_shown(calling: Calling, server: Server) -> None:
    warned = [*PATIENT, part("profile", "Canonical", f"{URL}|2"), part("match", "Code", "any")]
    given = {"claimed": "warn", "required": [PATIENT, [*warned, part("level", "Code", "warn")]]}
    shown = await set_policy(calling(**given))
    assert server.validation_policy == ValidationPolicy(
        "warn", (Requirement("Patient", (URL,)), Requirement("Patient", (URL, f"{URL}|2"), "any", "warn"))
    )
    assert shown == await policy(calling())
    again = {row["name"]: row["part"] for row in shown["parameter"] if row["name"] == "required"}
    await set_policy(calling(claimed="warn", required=[again["required"]]))
    assert server.validation_policy.required == (Requirement("Patient", (URL, f"{URL}|2"), "any", "warn"),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"claimed": "sometimes"}, "claimed must be one of strict, warn, ignore"),
        ({"required": [PATIENT] * (MAX_PROFILES + 1)}, "A policy may require 500 profiles"),
        ({"required": [[]]}, r"required\[0\] needs the part type"),
        ({"required": [[part("type", "Code", "Patient")]]}, r"required\[0\] needs the part profile"),
        ({"required": [PATIENT, [*PATIENT, part("level", "Code", "no")]]}, r"required\[1\].level must be one of"),
        ({"required": [[*PATIENT, part("match", "Code", "some")]]}, "match must be one of all, any"),
        ({"required": [[*PATIENT, part("type", "Code", "Group")]]}, "has the part type once"),
        ({"required": [[*PATIENT, part("profile", "Uri", URL)]]}, "The parts of required"),
        ({"required": [[*PATIENT, part("other", "Code", "x")]]}, "The parts of required"),
    ],
)
async def test_what_is_refused_changes_nothing(calling: Calling, server: Server, given: Json, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        await set_policy(calling(**given))
    assert server.validation_policy == ValidationPolicy()
