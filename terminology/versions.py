"""Canonical URLs with versions, and which of several versions is meant. https://hl7.org/fhir/R4/references.html#canonical"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

_T = TypeVar("_T")

_PARTS = re.compile(r"\d+|[^\d.\-_+]+")


def split(canonical: str) -> tuple[str, str]:
    """Return the URL and the version of `url|version`; without one the version is empty."""
    url, _, version = canonical.partition("|")
    return url, version


def order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts versions as people count: 1.9 before 1.10, 2023-04 before 2024-01, 1.0-rc before 1.0."""
    parts = [(1, int(p), "") if p.isdecimal() and p.isascii() else (-1, 0, p) for p in _PARTS.findall(version)]
    return (*parts, (0, 0, ""))


def fits(version: str, wanted: str) -> bool:
    """Whether a version is the wanted one; an `x` in it stands for any part (`1.x`, `1.x.x`), nothing for any version.

    http://hl7.org/fhir/uv/tx-ecosystem has the wildcards; R4 has exact versions alone.
    """
    if not wanted or version == wanted:
        return True
    if version.startswith(f"{wanted}/version/"):  # of SNOMED CT, for which an edition alone means any version of it
        return True
    asked = wanted.split(".")
    if asked[-1] not in ("x", "*"):
        return False
    has = version.split(".")
    while len(asked) > 1 and asked[-1] in ("x", "*"):
        asked.pop()
    return len(has) > len(asked) and all(a in ("x", "*", h) for a, h in zip(asked, has, strict=False))


def latest(candidates: Iterable[tuple[str, _T]], wanted: str = "") -> _T | None:
    """Return the latest of (version, thing) that fits, or None."""
    fitting = [(version, thing) for version, thing in candidates if fits(version, wanted)]
    return max(fitting, key=lambda row: order(row[0]))[1] if fitting else None
