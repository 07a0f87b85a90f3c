"""JSON for comparing: a decimal keeps its text, so that 1.0 and 1.00 differ. https://hl7.org/fhir/R4/json.html#decimal"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Number:
    """A number with a fraction or an exponent, as it was written."""

    text: str


def plain(raw: bytes) -> Any:
    """Return JSON that compares equal only where every digit is the same."""
    return json.loads(raw, parse_float=Number)


def without_stamp(resource: Json) -> Json:
    """Return the resource without what a server writes into it by itself: version and time."""
    rest = {name: value for name, value in resource.items() if name != "meta"}
    meta = {n: v for n, v in resource.get("meta", {}).items() if n not in ("versionId", "lastUpdated")}
    return {**rest, "meta": meta} if meta else rest
