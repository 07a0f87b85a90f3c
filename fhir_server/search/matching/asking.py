"""What every kind of search value shares: how it is split, what it needs from outside, how a bad one is refused.

https://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.outcomes import Issue
from fhir_server.search.query import Filter, split

Json = dict[str, Any]
Codes = frozenset[tuple[str, str]]
# Whether the nodes a parameter selects match; the resource is there for what lies outside of them.
NodesTest = Callable[[Sequence[Node], Json], bool]

__all__ = ["Codes", "Json", "NodesTest", "Setting", "asked", "codes_of", "split", "unsupported"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a search knows besides its values.

    `now` is in milliseconds, for `ap`. `codes` are expanded value sets as (system, code) pairs, keyed by the raw value
    of the filter that names them: of `:in` and `:not-in`, and for `:above` and `:below` the concepts to be found.
    """

    now: int
    base_url: str = ""
    codes: Mapping[str, Codes] = field(default_factory=dict)


def asked(one: Filter, parse: Callable[[str], _T], value: str) -> _T:
    """Return the parsed value; the parser's ValueError says what was wanted. Raises InvalidRequest."""
    try:
        return parse(value)
    except ValueError as wanted:
        raise InvalidRequest(f"{one.parameter.code} must be {wanted}.", location=one.location) from None


def unsupported(one: Filter) -> InvalidRequest:
    """Return the refusal of a modifier: a search without it would answer something else.

    https://hl7.org/fhir/R4/search.html#modifiers
    """
    text = f"{one.parameter.code}:{one.modifier[:32]} is not supported; {one.parameter.code} is a {one.parameter.type}."
    return InvalidRequest(issues=[Issue("not-supported", text, location=one.location)])


def codes_of(one: Filter, value: str, setting: Setting) -> Codes:
    """Return the expanded value set or concepts of a value. Raises InvalidRequest if there is none."""
    known = setting.codes.get(value)
    if known is None:
        text = f"{one.parameter.code}:{one.modifier}: the value set or concept cannot be expanded here."
        raise InvalidRequest(issues=[Issue("not-found", text, location=one.location)])
    return known
