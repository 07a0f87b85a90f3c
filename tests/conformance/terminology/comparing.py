"""Compares an answer with the one a terminology test expects, wildcards and optional parts honoured.

https://build.fhir.org/ig/HL7/fhir-tx-ecosystem-ig/testing.html. What the expected file may say:

    "$optional$": true                  this object may be missing; "!tx.fhir.org" and "warning:version" say so too
    "$optional-properties$": [names]    these members may be missing, or be there unasked
    "$count-arrays$": [names]           of these arrays the length alone counts
    $id$ $uuid$ $instant$ $version$ $$  any text of that form
    $choice:a|b$                        one of these
    $fragments:a|b$  $external:n:a$     any text with these pieces

Arrays are compared without regard to order, as the reference runner does by sorting both. `location` of an issue is
not compared: it is the old spelling of `expression`, and the tests do not agree on whether it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

Json = dict[str, Any]

_FORMS = {
    "$id$": re.compile(r"[A-Za-z0-9\-.]{1,64}"),
    "$uuid$": re.compile(r"urn:uuid:[0-9a-f-]{36}"),
    "$instant$": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    "$version$": re.compile(r".+"),
    "$$": re.compile(r".*", re.DOTALL),
}
_IGNORED = {"location", "meta"}
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[str]:
    """Yield what is not as expected, each with its path."""
    if isinstance(expected, dict):
        if isinstance(actual, dict):
            yield from _object(expected, actual, where)
        else:
            yield f"{where}: an object was expected, there is {actual!r}"
    elif isinstance(expected, list):
        if isinstance(actual, list):
            yield from _array(expected, actual, where)
        else:
            yield f"{where}: an array was expected, there is {actual!r}"
    elif isinstance(expected, str) and expected.endswith("|$version$"):
        if not (isinstance(actual, str) and actual.startswith(expected.removesuffix("$version$"))):
            yield f"{where}: {expected} was expected, there is {actual!r}"
    elif isinstance(expected, str) and expected.startswith("$") and expected.endswith("$"):
        if not (isinstance(actual, str) and _fits(expected, actual)):
            yield f"{where}: {expected} was expected, there is {actual!r}"
    elif expected != actual or type(expected) is not type(actual):
        yield f"{where}: {expected!r} was expected, there is {actual!r}"


def _object(expected: Json, actual: Json, where: str) -> Iterator[str]:
    optional = {*expected.get("$optional-properties$", ()), *_IGNORED}
    counted = expected.get("$count-arrays$", ())
    wanted = {k: v for k, v in expected.items() if not k.startswith("$")}
    for name, value in wanted.items():
        if name in counted:
            if len(value) != len(actual.get(name, ())):
                yield f"{where}.{name}: {len(value)} items were expected, there are {len(actual.get(name, ()))}"
        elif name in actual:
            if name not in _IGNORED:
                yield from differences(value, actual[name], f"{where}.{name}")
        elif name not in optional and not _may_be_missing(value):
            yield f"{where}.{name}: is missing"
    for name in actual.keys() - wanted.keys() - optional:
        yield f"{where}.{name}: was not expected: {str(actual[name])[:200]}"


def _may_be_missing(value: Any) -> bool:
    if isinstance(value, list):
        return all(_may_be_missing(item) for item in value)
    return isinstance(value, dict) and "$optional$" in value


def _array(expected: Sequence[Any], actual: Sequence[Any], where: str) -> Iterator[str]:
    left = list(expected)
    unmatched = []
    for item in actual:
        found = next((i for i, e in enumerate(left) if not any(differences(e, item))), None)
        if found is None:
            unmatched.append(item)
        else:
            del left[found]
    missing = [e for e in left if not _may_be_missing(e)]
    for item in unmatched:
        nearest = min(missing or left, key=lambda e: len(list(differences(e, item))), default=None)
        if nearest is None:
            yield f"{where}: was not expected: {str(item)[:300]}"
        else:
            yield from differences(nearest, item, f"{where}[{_name(item)}]")
            missing = [e for e in missing if e is not nearest]
            left = [e for e in left if e is not nearest]
    for item in missing:
        yield f"{where}: is missing: {str(item)[:300]}"


def _name(item: Any) -> str:
    return str(item.get("name") or item.get("code") or item.get("url") or "") if isinstance(item, dict) else ""


def _fits(pattern: str, text: str) -> bool:
    if pattern in _FORMS:
        return _FORMS[pattern].fullmatch(text) is not None
    kind, _, rest = pattern.strip("$").partition(":")
    if kind == "choice":
        return text in rest.split("|")
    if kind == "fragments":
        return all(piece.lower() in text.lower() for piece in rest.split("|"))
    if kind == "external":
        return rest.partition(":")[2] in text
    return False


def as_r5(resource: Any) -> Any:
    """Return an answer of R4 as the tests write it: properties in an expansion are extensions in R4, members in R5."""
    if isinstance(resource, list):
        return [as_r5(item) for item in resource]
    if not isinstance(resource, dict):
        return resource
    made = {k: as_r5(v) for k, v in resource.items() if k != "extension"}
    rest = []
    for row in resource.get("extension", ()):
        if row.get("url") in (R5 + "property", R5 + "contains.property"):
            parts = {p["url"]: p for p in row["extension"]}
            entry = {"code": parts["code"]["valueCode"]}
            if "uri" in parts:
                entry["uri"] = parts["uri"]["valueUri"]
            entry.update({k: v for k, v in parts.get("value", {}).items() if k.startswith("value")})
            made.setdefault("property", []).append(entry)
        else:
            rest.append(as_r5(row))
    return {**made, "extension": rest} if rest else made
