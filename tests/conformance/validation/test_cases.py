"""Good resources, one defect put into each, and exactly the issues that it makes. https://hl7.org/fhir/R4/validation.html

A case changes a resource of resources.json (`set` and `drop` by JSON Pointer) and lists code and expression of every
issue; no case may cause a second issue.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode
from fhir_server.validation import Validator

HERE = Path(__file__).parent
RESOURCES = decode((HERE / "resources.json").read_bytes())
DEFECTS = decode((HERE / "defects.json").read_bytes())
ACCEPTED = decode((HERE / "accepted.json").read_bytes())
VALIDATOR = Validator(r4())


def changed(case: dict[str, Any]) -> Any:
    """Return the case's resource with its changes made."""
    resource = copy.deepcopy(RESOURCES[case["of"]])
    for pointer, value in case.get("set", {}).items():
        if not pointer:
            return value
        holder, name = _holder(resource, pointer)
        if isinstance(holder, list) and name == len(holder):
            holder.append(value)
        else:
            holder[name] = value
    for pointer in case.get("drop", ()):
        holder, name = _holder(resource, pointer)
        del holder[name]
    return resource


def _holder(resource: Any, pointer: str) -> tuple[Any, Any]:
    *path, last = pointer.split("/")[1:]
    holder = resource
    for step in path:
        holder = holder[int(step) if isinstance(holder, list) else step]
    return holder, int(last) if isinstance(holder, list) else last


def validate(case: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return severity, code and expression of every issue of the case."""
    issues = VALIDATOR.validate(
        changed(case), type_name=case.get("type"), allow_conditional_references=case.get("conditional", False)
    )
    return [(issue.severity, issue.code, issue.expression) for issue in issues]


@pytest.mark.parametrize("name", RESOURCES)
def test_the_resource_is_good_before_it_is_changed(name: str) -> None:
    assert VALIDATOR.validate(RESOURCES[name]) == []


@pytest.mark.parametrize("case", DEFECTS, ids=lambda case: case["case"])
def test_a_defect_makes_exactly_its_issues(case: dict[str, Any]) -> None:
    assert sorted(validate(case)) == sorted(("error", code, expression) for code, expression in case["issues"])


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case["case"])
def test_what_looks_odd_but_is_right_is_accepted(case: dict[str, Any]) -> None:
    assert validate(case) == []


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case["case"] for case in DEFECTS + ACCEPTED]

    assert sorted(set(names)) == sorted(names)
