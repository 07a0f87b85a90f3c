"""Strings: the beginning of any part of the text, unless asked otherwise. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, unsupported
from fhir_server.search.query import Filter, unescape
from fhir_server.search.terms import fold
from fhir_server.search.values import texts

WANTED = "a text"


def asked_string(text: str) -> str:
    """Return the folded text of a search value, still escaped. Raises ValueError with what was wanted."""
    wanted = fold(unescape(text))
    if not wanted:
        raise ValueError(WANTED)
    return wanted


def begins(one: Filter) -> Callable[[str], bool]:
    """Return the test whether a folded text begins with one of the filter's values. Raises InvalidRequest."""
    wanted = tuple(asked(one, asked_string, value) for value in one.values)
    return lambda text: text.startswith(wanted)


def string_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a string filter. Raises InvalidRequest."""
    if one.modifier == "exact":
        return _exact(one)
    if one.modifier == "":
        return _folded(begins(one))
    if one.modifier == "contains":
        wanted = [asked(one, asked_string, value) for value in one.values]
        return _folded(lambda text: any(w in text for w in wanted))
    raise unsupported(one)


def _exact(one: Filter) -> NodesTest:
    wanted = {unescape(value) for value in one.values if asked(one, asked_string, value)}

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(text in wanted for node in nodes for text in texts(node.value, node.type))

    return test


def _folded(hold: Callable[[str], bool]) -> NodesTest:
    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(hold(fold(text)) for node in nodes for text in texts(node.value, node.type))

    return test
