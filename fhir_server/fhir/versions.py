"""Versions of packages and of definitions: their order, and the ranges that dependencies name.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification, https://semver.org
"""

from __future__ import annotations

import re
from collections.abc import Iterable

WILDCARDS = ("x", "X", "*")
LATEST = "latest"

_PARTS = re.compile(r"[0-9]+|[^0-9.\-+]+", re.ASCII)
_MOST_DIGITS = 18

Order = tuple[tuple[tuple[int, int, str], ...], bool, tuple[tuple[int, int, str], ...]]


def order(version: str) -> Order:
    """Return what to sort a version by, ascending: numbers by value, a release after what leads up to it.

    Any text has its place, for versions of definitions need not follow a scheme.
    """
    main, _, label = version.partition("+")[0].partition("-")
    return _parts(main), not label, _parts(label)


def _parts(text: str) -> tuple[tuple[int, int, str], ...]:
    found = _PARTS.findall(text)
    numbers = [part.isdecimal() and len(part) <= _MOST_DIGITS for part in found]
    return tuple((1, int(p), "") if n else (0, 0, p) for p, n in zip(found, numbers, strict=True))


def is_exact(wanted: str) -> bool:
    """Whether a dependency names one version, and no range."""
    return bool(wanted) and wanted != LATEST and not any(part in WILDCARDS for part in wanted.split("."))


def fits(version: str, wanted: str) -> bool:
    """Whether a version is the one that is wanted, or in its range: `1.0.0`, `1.0.x`, `4.x`, `latest` or nothing."""
    if wanted in ("", LATEST):
        return True
    if is_exact(wanted):
        return version.partition("+")[0] == wanted.partition("+")[0]
    given = version.partition("+")[0].partition("-")[0].split(".")
    asked = wanted.split(".")
    while asked and asked[-1] in WILDCARDS:
        asked.pop()
    return len(given) >= len(asked) and all(a in WILDCARDS or a == g for a, g in zip(asked, given, strict=False))


def newest(versions: Iterable[str], wanted: str = "") -> str | None:
    """Return the newest version that fits; one that leads up to a release only where there is no release."""
    fitting = [version for version in versions if fits(version, wanted)]
    released = [version for version in fitting if order(version)[1]]
    return max(released or fitting, key=order, default=None)
