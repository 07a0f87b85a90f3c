"""Queries for what is there: the values of resources, written as a search asks for them.

Values drawn at random seldom meet at the borders of precision; a day that a resource has, asked for with any prefix,
does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from fhir_server.fhir.fhirpath import Node, compile
from tests.conformance.search.defined import parameters
from tests.conformance.search.elements import Json, Place, codes, texts
from tests.conformance.search.oracle import Oracle

ORDERED = frozenset({"date", "number", "quantity"})


def asked_last(kind: str, name: str) -> tuple[str, str, str]:
    """Return (type, code, modifier) of the parameter that a chain, forward or in reverse, ends with."""
    if name.startswith("_has:"):
        _, source, _, rest = name.split(":", 3)
        return asked_last(source, rest)
    head, dot, rest = name.partition(".")
    code, _, modifier = head.partition(":")
    if dot:
        return asked_last(modifier or "Patient", rest)
    return kind, code, modifier


def echoes(oracle: Oracle, kind: str, code: str) -> list[str]:
    """Return the values that resources of a type have for a parameter, without prefixes."""
    defined = parameters(kind).get(code)
    if defined is None or not defined.expression:
        return []
    own = [Place(r, r) for r in oracle.resources.values() if r["resourceType"] == kind]
    found = (text for place in own for node in oracle.nodes(place, code) for text in _written(place, code, node))
    return list(dict.fromkeys(text for text in found if text))


def _written(place: Place, code: str, node: Node) -> Iterator[str]:
    defined = parameters(place.type)[code]
    if defined.type == "composite":
        parts = [list(_part(place, url, expression, node)) for url, expression in defined.components]
        if all(parts):
            yield "$".join(part[0] for part in parts)
    else:
        yield from _of_type(defined.type, node)


def _part(place: Place, url: str, expression: str, node: Node) -> Iterator[str]:
    own = next(p for p in parameters(place.type).values() if p.url == url)
    for found in compile(expression, node.type).evaluate(node, resource=place.resource):
        yield from _of_type(own.type, found)


def _of_type(kind: str, node: Node) -> Iterator[str]:
    value = node.value
    match kind:
        case "date" if isinstance(value, str):
            yield value
        case "date":
            yield from _dates(value)
        case "number" | "quantity" if isinstance(value, dict):
            amounts = [q for q in (value, value.get("low"), value.get("high")) if q and "value" in q]
            yield from (_quantity(q) if kind == "quantity" else str(q["value"]) for q in amounts)
        case "number":
            yield str(value)
        case "token":
            for own in codes(node):
                yield from (escaped(own.code), f"{own.system}|{escaped(own.code)}")
        case "string":
            yield from (escaped(text) for text in texts(node))
        case "reference" if isinstance(value, dict):
            yield value.get("reference", "")
        case "special":
            yield f"{value['latitude']}|{value['longitude']}|1|km"
        case _ if isinstance(value, str):
            yield value


def _dates(value: Json) -> Sequence[str]:
    return [*value.get("event", ()), *(value[end] for end in ("start", "end") if end in value)]


def _quantity(value: Json) -> str:
    number = str(Decimal(value["value"]))
    if "currency" in value:
        return f"{number}||{value['currency']}"
    if "system" in value:
        return f"{number}|{value['system']}|{value['code']}"
    return f"{number}||{value['unit']}" if "unit" in value else number


def escaped(text: str) -> str:
    r"""Return a text with `\` before what would separate values."""
    return "".join("\\" + c if c in "\\,$|" else c for c in text)
