"""How long a text has to be: read from the constraint, or left to FHIRPath."""

from __future__ import annotations

import pytest

from fhir_server.fhir import fhirpath
from fhir_server.validation.profiles.lengths import enough

DAY = "($this as dateTime).toString().length() >= 8"


@pytest.mark.parametrize(
    ("expression", "length"),
    [
        (DAY, 8),
        ("$this.toString().length() >= 4", 4),
        (f"$this.ofType(dateTime).empty() or {DAY}", 8),
        ("($this as date).toString().length() >= 8", None),
        ("$this.length() >= 8", None),
        ("$this.toString().length() > 8", None),
        ("$this.toString().length() >= '8'", None),
        ("value.toString().length() >= 8", None),
        (f"{DAY} and $this.exists()", None),
    ],
)
def test_only_a_least_length_of_the_text_itself_is_told(expression: str, length: int | None) -> None:
    assert enough(expression, "dateTime") == length


@pytest.mark.parametrize("text", ["2024-03-01", "2024-03-01T09:30:00Z", "no time at all"])
def test_what_is_long_enough_keeps_the_constraint_by_fhirpath_too(text: str) -> None:
    assert len(text) >= 8
    assert fhirpath.compile(DAY).boolean(fhirpath.Node(text, "dateTime")) is True
