"""The `_filter` language: tests joined by and, or, not. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fhir_server.fhir.fhirpath import Node
from tests.conformance.search.defined import BadQuery, parameter
from tests.conformance.search.elements import Place, fold, texts, time_of, times
from tests.conformance.search.rules import holds

if TYPE_CHECKING:
    from tests.conformance.search.oracle import Oracle

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)')
_NAMES = {
    "loinc|": "http://loinc.org|",
    "snomed|": "http://snomed.info/sct|",
    "rxnorm|": "http://www.nlm.nih.gov/research/umls/rxnorm|",
    "ucum|": "http://unitsofmeasure.org|",
}


def filtered(oracle: Oracle, place: Place, text: str) -> bool:
    """Whether a resource passes a filter. Logical words are read from left to right, none before the other."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != "".join(_unquoted_spaces(text)):
        raise BadQuery(text)
    answer = _logical(oracle, place, tokens)
    if tokens:
        raise BadQuery(" ".join(tokens))
    return answer


def _unquoted_spaces(text: str) -> Iterator[str]:
    yield from re.findall(r'"(?:[^"\\]|\\.)*"|\S', text)


def _logical(oracle: Oracle, place: Place, tokens: list[str]) -> bool:
    answer = _single(oracle, place, tokens)
    while tokens and tokens[0] in ("and", "or"):
        word = tokens.pop(0)
        other = _single(oracle, place, tokens)
        answer = (answer and other) if word == "and" else (answer or other)
    return answer


def _single(oracle: Oracle, place: Place, tokens: list[str]) -> bool:
    if not tokens:
        raise BadQuery("the filter ends too early")
    if tokens[0] == "not":
        tokens.pop(0)
        return not _single(oracle, place, tokens)
    if tokens[0] == "(":
        tokens.pop(0)
        answer = _logical(oracle, place, tokens)
        if not tokens or tokens.pop(0) != ")":
            raise BadQuery("a parenthesis is not closed")
        return answer
    if len(tokens) < 3:
        raise BadQuery(" ".join(tokens))
    path, word, value = tokens.pop(0), tokens.pop(0), tokens.pop(0)
    value = json.loads(value) if value.startswith('"') else value
    return _tested(oracle, place, path, word, value)


def _tested(oracle: Oracle, place: Place, path: str, word: str, value: str) -> bool:
    head, dot, rest = path.partition(".")
    code, _, modifier = head.partition(":")
    if dot:
        return any(_tested(oracle, target, rest, word, value) for target in oracle._targets(place, code, modifier))
    nodes = oracle.nodes(place, code)
    if word == "pr":
        return bool(nodes) is (value == "true")
    kind = parameter(place.type, code).type
    return any(_holds(oracle, place, code, kind, node, word, value) for node in nodes)


def _holds(oracle: Oracle, place: Place, code: str, kind: str, node: Node, word: str, value: str) -> bool:
    """Whether one value of the set is to the given value what the operator says: the table of operators by type."""
    if kind == "string":
        return any(_text(word, fold(own), fold(value)) for own in texts(node))
    if kind == "date":
        return _date(oracle, place, code, node, word, value)
    if kind in ("number", "quantity"):
        if word == "co":
            raise BadQuery(word)
        return oracle.answers(place, code, node, "", word + value)
    if kind == "token":
        value = next((url + value.removeprefix(name) for name, url in _NAMES.items() if value.startswith(name)), value)
        if word == "ne":
            return not oracle.answers(place, code, node, "", value)
        if word == "eq":
            return oracle.answers(place, code, node, "", value)
    if kind in ("reference", "uri") and word in ("re", "eq"):
        return oracle.answers(place, code, node, "", value)
    if kind in ("reference", "uri") and word == "ne":
        return not oracle.answers(place, code, node, "", value)
    raise BadQuery(f"{kind} {word}")


def _text(word: str, own: str, value: str) -> bool:
    return {
        "eq": own == value,
        "ne": own != value,
        "co": value in own,
        "sw": own.startswith(value),
        "ew": own.endswith(value),
        "gt": own > value,
        "lt": own < value,
        "ge": own >= value,
        "le": own <= value,
    }[word]


def _date(oracle: Oracle, place: Place, code: str, node: Node, word: str, value: str) -> bool:
    if word == "po":
        low, high = time_of(value)
        return any(first < high and last > low for first, last in times(node))
    if word == "co":
        low, high = time_of(value)
        return any(holds("eq", first, last, low, high, is_point=False) for first, last in times(node))
    return oracle.answers(place, code, node, "", word + value)
