"""Shortcuts say what FHIRPath says, or nothing: compared on objects made of what each invariant looks at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from fhir_server.validation import wholes
from fhir_server.validation.findings import Shortcut
from fhir_server.validation.presence import shortcut, unknown
from fhir_server.validation.shortcuts import BY_KEY
from tests.unit.validation.breaking import CASES, Case, by_fhirpath, made_of

Json = dict[str, Any]


def compared(case: Case, quick: Shortcut, examples: int) -> dict[bool | None, int]:
    """Compare on many objects, and return how often the shortcut said what."""
    said: dict[bool | None, int] = {True: 0, False: 0, None: 0}

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(made_of(case))
    def check(item: Json) -> None:
        answer = quick(item)
        said[answer] += 1
        if answer is not None:
            assert by_fhirpath(case, item) is answer

    check()
    return said


@pytest.mark.parametrize("case", [case for case in CASES if case.row.key not in wholes.BY_KEY], ids=str)
def test_a_shortcut_says_what_fhirpath_says(case: Case) -> None:
    quick = shortcut(case.row.expression, case.own)
    if quick is not unknown:
        said = compared(case, quick, 40)

        assert said[True] + said[False] > 0


@pytest.mark.parametrize(("own", "key"), BY_KEY)
def test_a_shortcut_by_hand_says_what_fhirpath_says(own: str, key: str) -> None:
    [case] = [case for case in CASES if (case.own, case.row.key) == (own, key)]

    assert compared(case, BY_KEY[own, key], 400)[True] > 0


def test_most_invariants_have_a_shortcut() -> None:
    without = {
        case.row.key
        for case in CASES
        if case.row.severity == "error"
        and case.row.key not in wholes.BY_KEY
        and (case.own, case.row.key) not in BY_KEY
        and shortcut(case.row.expression, case.own) is unknown
    }

    assert sorted(without) == [
        "cpb-2", "csd-1", "eld-19", "ipn-1", "lnk-1", "msq-3", "msq-6", "que-2", "ras-2", "sdf-9", "tcp-2",
    ]  # fmt: skip
