"""What an element of a differential makes of the element it constrains. https://hl7.org/fhir/R4/elementdefinition.html

A profile may only narrow; what it does not mention stays. https://hl7.org/fhir/R4/profiling.html#cardinality
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.snapshots.errors import SnapshotError
from fhir_server.fhir.snapshots.tree import PLACE

Json = dict[str, Any]

_VALUES = ("fixed", "pattern")
_BINDABLE = {"code", "Coding", "CodeableConcept", "Quantity", "string", "uri"}
MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
SYSTEM_TYPES = "http://hl7.org/fhirpath/System."


def merged(base: Json, change: Json, where: str) -> Json:
    """Return the facts of an element after a change. Raises SnapshotError for what widens or contradicts the base."""
    facts = dict(base)
    for name, value in sorted(change.items(), key=lambda item: item[0] != "type"):
        if name in PLACE or name == "base":
            continue
        if name.startswith(_VALUES):
            _put_value(facts, name, value, where)
        elif name in _RULES:
            _RULES[name](facts, value, where)
        else:
            facts[name] = value
    _check_cardinality(facts, where)
    return facts


def _put_min(facts: Json, value: int, where: str) -> None:
    if value < 0:
        raise SnapshotError("min must be a whole number from 0", element=where, code="value")
    if value < facts.get("min", 0):
        raise SnapshotError(
            f"min {value} would allow less than the base, which asks for {facts['min']}; a profile may only narrow",
            element=where,
            code="business-rule",
        )
    facts["min"] = value


def _put_max(facts: Json, value: str, where: str) -> None:
    if upper(value, where) > upper(facts.get("max", "*"), where):
        raise SnapshotError(
            f"max {value} would allow more than the base, which allows {facts['max']}; a profile may only narrow",
            element=where,
            code="business-rule",
        )
    facts["max"] = value


def upper(text: str, where: str) -> float:
    """Return the number that a max means; `*` is infinite."""
    if text == "*":
        return float("inf")
    if not text.isascii() or not text.isdigit():
        raise SnapshotError("max must be a number or *", element=where, code="value")
    return int(text)


def _check_cardinality(facts: Json, where: str) -> None:
    if facts.get("min", 0) > upper(facts.get("max", "*"), where):
        raise SnapshotError(f"min {facts['min']} is more than max {facts['max']}", element=where, code="business-rule")


def _put_value(facts: Json, name: str, value: Any, where: str) -> None:
    """Fix a value, or the pattern of one: it stands for what the base fixed, and may not differ from it."""
    code = name.removeprefix("fixed").removeprefix("pattern")
    types = [str(row.get("code", "")) for row in facts.get("type", [])]
    if types and not any(_can_be_written(code, allowed) for allowed in types):
        raise SnapshotError(
            f"{name} has another type than the element ({', '.join(types)})", element=where, code="business-rule"
        )
    for old in [key for key in facts if key.startswith(_VALUES)]:
        if old.startswith("fixed") and (old != name or facts[old] != value):
            raise SnapshotError(
                f"{name} is not the {old} of the base, which no profile may change", element=where, code="business-rule"
            )
        del facts[old]
    facts[name] = value


def _can_be_written(suffix: str, code: str) -> bool:
    """Whether a value of a type is written with the suffix: an Age also as a Quantity, a bare value as anything."""
    known = r4().types.get(code)
    names = r4().ancestors(code) if known and known.kind == "complex" else (code,)
    return code.startswith(SYSTEM_TYPES) or suffix in {name[:1].upper() + name[1:] for name in names}


def _put_types(facts: Json, value: list[Json], where: str) -> None:
    base: list[Json] = facts.get("type", [])
    facts["type"] = [_narrowed(row, base, where) for row in value]


def _narrowed(row: Json, base: list[Json], where: str) -> Json:
    code = str(row.get("code", ""))
    for allowed in base:
        if allowed.get("code") == code:
            kept = {name: allowed[name] for name in ("extension",) if name in allowed and name not in row}
            return kept | row
    if not base or any(is_kind_of(code, allowed.get("code", "")) for allowed in base):
        return row
    allowed_codes = ", ".join(str(allowed.get("code")) for allowed in base)
    raise SnapshotError(f"type {code} is none the base allows ({allowed_codes})", element=where, code="business-rule")


def is_kind_of(code: str, other: str) -> bool:
    """Whether every value of one type is a value of another: the same, one it specializes, or its bare value."""
    if other.startswith(SYSTEM_TYPES):
        return code in r4().types and r4().types[code].kind == "primitive"
    return other in r4().ancestors(code)


def _put_constraints(facts: Json, value: list[Json], where: str) -> None:
    """Add invariants; one with the key of an older one stands for it."""
    keys = {row.get("key") for row in value}
    facts["constraint"] = [row for row in facts.get("constraint", []) if row.get("key") not in keys] + value


def _put_conditions(facts: Json, value: list[str], where: str) -> None:
    facts["condition"] = list(dict.fromkeys([*facts.get("condition", []), *value]))


def _put_mappings(facts: Json, value: list[Json], where: str) -> None:
    facts["mapping"] = facts.get("mapping", []) + value


def _put_extensions(facts: Json, value: list[Json], where: str) -> None:
    urls = {row.get("url") for row in value}
    facts["extension"] = [row for row in facts.get("extension", []) if row.get("url") not in urls] + value


def _put_content_reference(facts: Json, value: str, where: str) -> None:
    base = facts.get("contentReference", "")
    if base.rpartition("#")[2] != value.rpartition("#")[2]:
        raise SnapshotError(
            f"contentReference {value} is not that of the base ({base or 'none'})", element=where, code="business-rule"
        )


def _put_slicing(facts: Json, value: Json, where: str) -> None:
    if facts.get("slicing", {}).get("rules") == "closed" and value.get("rules") != "closed":
        raise SnapshotError("opens a slicing that the base closes", element=where, code="business-rule")
    facts["slicing"] = value


def _put_binding(facts: Json, value: Json, where: str) -> None:
    """Bind anew, keeping the value set where only the strength is said; what has no codes is bound to nothing.

    A weaker strength than the base has is taken: US Core does so to the vital signs.
    """
    types = [str(row.get("code", "")) for row in facts.get("type", [])]
    if types and not any(_BINDABLE.intersection(r4().ancestors(code)) or code not in r4().types for code in types):
        return
    old = facts.get("binding", {})
    kept = {"valueSet": old["valueSet"]} if "valueSet" in old else {}
    largest = [row for row in old.get("extension", []) if row["url"] == MAX_VALUE_SET]
    if largest and all(row["url"] != MAX_VALUE_SET for row in value.get("extension", [])):
        kept["extension"] = [*largest, *value.get("extension", [])]
        value = {name: content for name, content in value.items() if name != "extension"}
    facts["binding"] = kept | value


def _put_must_support(facts: Json, value: bool, where: str) -> None:
    facts["mustSupport"] = value or facts.get("mustSupport", False)


def _put_modifier(facts: Json, value: bool, where: str) -> None:
    facts["isModifier"] = value or facts.get("isModifier", False)


_RULES: dict[str, Callable[[Json, Any, str], None]] = {
    "min": _put_min,
    "max": _put_max,
    "type": _put_types,
    "constraint": _put_constraints,
    "condition": _put_conditions,
    "mapping": _put_mappings,
    "extension": _put_extensions,
    "contentReference": _put_content_reference,
    "slicing": _put_slicing,
    "binding": _put_binding,
    "mustSupport": _put_must_support,
    "isModifier": _put_modifier,
}
