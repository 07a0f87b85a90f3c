"""The filters of a value set: a property of a concept, an operator, a value. https://hl7.org/fhir/R4/valueset-filter-operator.html

`child-of` and `descendent-leaf` are of R5 and of value sets that tools carried back to R4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fhir_server.api import property_key
from terminology import patterns
from terminology.codesystem import CodeSystem, Node
from terminology.failures import Broken, Unsupported
from terminology.relations import SNOMED, Test, relation
from terminology.stored import StoredCodeSystem

Json = dict[str, Any]

MAX_VALUES = 10_000
# Properties that a code system need not declare. https://hl7.org/fhir/R4/codesystem-concept-properties.html
_OWN = frozenset({"code", "concept", "display", "definition", "designation", "parent", "child"})
MEMBER_OF = "memberOf"  # the reference sets of a concept of SNOMED CT
KNOWN = frozenset(
    {"inactive", "deprecated", "deprecationDate", "notSelectable", "parent", "child", "status", "abstract"}
)


def compile_filter(row: Json, system: CodeSystem, expression: str) -> Test:
    """Return the test that a filter makes of a concept.

    Raises Broken for a filter without a value, Unsupported for an operator or a property that neither FHIR nor the code
    system knows: to pass over it would give a wrong list of codes.
    """
    name, operator, value = (str(row.get(k, "")) for k in ("property", "op", "value"))
    if not value:
        raise Broken(
            f"The system {system.url} filter with property = {name}, op = {operator} has no value", expression, "filter"
        )
    special = _of_snomed(name, operator, value) if system.url == SNOMED else None
    if special is not None:
        return special
    related = relation(name, operator, value, system)
    if related is not None:
        return related.test
    if operator not in _VALUES:
        raise Unsupported(f"The filter {name} {operator} on {system.url} is not supported.")
    read = _reader(name, system)
    if operator == "=" and name in ("concept", "code"):
        known = system.get(value)
        return lambda node: known is not None and known.code == node.code
    return _VALUES[operator](read, value)


def keys_of(row: Json, system: CodeSystem) -> list[str]:
    """Return the keys, one of which every concept that passes a filter has; none where that cannot be said."""
    name, operator, value = (str(row.get(k, "")) for k in ("property", "op", "value"))
    if system.url == SNOMED and name in ("concept", "code") and operator == "in":
        return [property_key(MEMBER_OF, value)]
    if name in _OWN:
        return []
    declared = {p.get("code") for p in system.head.get("property", ())}
    names = (name,) if name in declared else system.property_names(name)
    if operator == "exists" and value == "true":
        return [property_key(n) for n in names]
    values = {"=": frozenset((value,)), "in": _values(value)}.get(operator, frozenset())
    return [property_key(n, v) for n in names for v in values]


def codes_of(row: Json, system: CodeSystem) -> list[str] | None:
    """Return the codes that a filter lists, or None where it says something else."""
    name, operator, value = (str(row.get(k, "")) for k in ("property", "op", "value"))
    if name not in ("concept", "code") or operator not in ("=", "in") or (system.url, operator) == (SNOMED, "in"):
        return None
    return [value] if operator == "=" else list(_values(value))


def _of_snomed(name: str, operator: str, value: str) -> Test | None:
    """Return the test of a filter that is SNOMED CT's own. https://hl7.org/fhir/R4/snomedct.html#4.3.1.0.6"""
    if name == "constraint":
        raise Unsupported("Expression constraints (ECL) of SNOMED CT are not supported.")
    if name == "expressions" and operator == "=":
        return lambda _: True  # whether there are expressions besides concepts, of which nothing is stored
    if name == "concept" and operator == "in":
        return lambda node: value in node.texts((MEMBER_OF,))
    return None


Read = Callable[[Node], Iterator[str]]


def _reader(name: str, system: CodeSystem) -> Read:
    """Return what reads a property of a concept as texts."""
    if name in ("code", "concept"):
        return lambda node: iter((node.code,))
    if name == "display":
        return lambda node: iter((node.display,))
    if name == "definition":
        return lambda node: iter((node.definition,))
    if name == "designation":
        return lambda node: (str(d.get("value", "")) for d in node.designations)
    if name == "parent":
        return lambda node: iter(node.parents)
    if name == "child":
        if isinstance(system, StoredCodeSystem):
            raise Unsupported(f"The children of {system.url} can be asked for with the operator = only.")
        return lambda node: iter(node.children)
    declared = {p.get("code") for p in system.head.get("property", ())}
    if name not in declared and name not in KNOWN:
        raise Unsupported(f"{system.url} has no property {name[:64]!r} to filter by.")
    names = (name,) if name in declared else system.property_names(name)
    return lambda node: node.texts(names)


def _equal(read: Read, value: str) -> Test:
    return lambda node: value in read(node)


def _regex(read: Read, value: str) -> Test:
    pattern = patterns.whole(value)
    return lambda node: any(pattern.fullmatch(text) is not None for text in read(node))


def _values(value: str) -> frozenset[str]:
    found = frozenset(part.strip() for part in value.split(","))
    if len(found) > MAX_VALUES:
        raise Broken(f"A filter may list {MAX_VALUES} values; this lists {len(found)}.")
    return found


def _in(read: Read, value: str) -> Test:
    values = _values(value)
    return lambda node: any(text in values for text in read(node))


def _not_in(read: Read, value: str) -> Test:
    values = _values(value)
    return lambda node: not any(text in values for text in read(node))


def _exists(read: Read, value: str) -> Test:
    if value not in ("true", "false"):
        raise Broken("The value of an exists filter is true or false.")
    return lambda node: any(True for _ in read(node)) is (value == "true")


_VALUES: dict[str, Callable[[Read, str], Test]] = {
    "=": _equal,
    "regex": _regex,
    "in": _in,
    "not-in": _not_in,
    "exists": _exists,
}
