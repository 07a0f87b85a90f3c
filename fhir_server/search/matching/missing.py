"""`:missing`: whether a resource has a value at all. https://hl7.org/fhir/R4/search.html#modifiers"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked
from fhir_server.search.query import Filter

WANTED = "true or false with :missing"


def asked_missing(text: str) -> bool:
    """Return what is asked. Raises ValueError with what was wanted."""
    if text not in ("true", "false"):
        raise ValueError(WANTED)
    return text == "true"


def has_value(nodes: Iterable[Node]) -> bool:
    """Whether a parameter has a value; an element that has only extensions (why it is absent, say) has none."""
    return any(_is_value(node.value) for node in nodes)


def _is_value(value: object) -> bool:
    return any(name not in ("id", "extension") for name in value) if type(value) is dict else value is not None


def missing_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a filter with :missing. Raises InvalidRequest."""
    wanted = {asked(one, asked_missing, value) for value in one.values}

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return (not has_value(nodes)) in wanted

    return test
