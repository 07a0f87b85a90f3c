"""What `_filter` can ask of a parameter that no other search can. https://hl7.org/fhir/R4/search_filter.html"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.fhirpath import Node
from fhir_server.search.filtering import Test, as_filter, located, wider_filter
from fhir_server.search.matching import Predicate, matcher, nodes_test, predicate
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked
from fhir_server.search.matching.date import asked_date
from fhir_server.search.matching.missing import has_value
from fhir_server.search.matching.string import asked_string
from fhir_server.search.matching.token import asked_token, held_tokens, implied_system
from fhir_server.search.matching.uri import asked_uri
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.query import Filter
from fhir_server.search.terms import fold
from fhir_server.search.values import texts, times


def matcher_of(test: Test, parameter: Parameter, parameters: Parameters, setting: Setting) -> Predicate:
    """Return the predicate of a test, for the parameter its path ends with.

    Case never counts but in systems and whole URIs, accents do not count in strings. `ne` is true of a value
    that differs, so of none where there is no value. Raises InvalidRequest for a value the parameter cannot have and
    for an operator that cannot be asked of it.
    """
    try:
        same = as_filter(test, parameter)
        if same is not None:
            return matcher(same, parameters, setting)
        return predicate(parameter, _comparison(test, parameter, parameters, setting))
    except InvalidRequest as refused:
        raise located(refused, test) from None


def _comparison(test: Test, parameter: Parameter, parameters: Parameters, setting: Setting) -> NodesTest:
    if parameter.type == "date":
        return _timed(test, parameter)
    equal = as_filter(replace(test, operator="eq"), parameter)
    if test.operator == "ne" and equal is not None:
        same = nodes_test(equal, parameters, setting)
        return lambda nodes, resource: any(has_value((n,)) and not same((n,), resource) for n in nodes)
    return _textual(test, parameter)


def _timed(test: Test, parameter: Parameter) -> NodesTest:
    near = wider_filter(test, parameter)
    date = asked(near, asked_date, near.values[0])
    low, high = date.low, date.high
    hold: Callable[[int, int], bool] = {
        "po": lambda start, end: start < high and end > low,
        "co": lambda start, end: start <= low and high <= end,
    }[test.operator]

    def timed(nodes: Sequence[Node], resource: Json) -> bool:
        return any(hold(start, end) for node in nodes for start, end in times(node.value, node.type))

    return timed


def _textual(test: Test, parameter: Parameter) -> NodesTest:
    read, wanted = _READERS[parameter.type](wider_filter(replace(test, operator="eq"), parameter))
    hold = _HOLDS[test.operator]
    return lambda nodes, resource: any(hold(text, wanted) for node in nodes for text in read(node))


_Reader = Callable[[Node], Iterator[str]]


def _strings(one: Filter) -> tuple[_Reader, str]:
    return lambda node: map(fold, texts(node.value, node.type)), asked(one, asked_string, one.values[0])


def _codes(one: Filter) -> tuple[_Reader, str]:
    system, code = asked(one, asked_token, one.values[0])
    implied = implied_system(one.parameter.resource_type, one.parameter.expression)
    return lambda node: (c for s, c in held_tokens(node, implied) if system in (None, s)), code or ""


def _uris(one: Filter) -> tuple[_Reader, str]:
    wanted = asked(one, asked_uri, one.values[0]).casefold()
    return lambda node: iter((node.value.casefold(),) if type(node.value) is str else ()), wanted


_READERS: dict[str, Callable[[Filter], tuple[_Reader, str]]] = {"string": _strings, "token": _codes, "uri": _uris}
_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda text, wanted: text == wanted,
    "ne": lambda text, wanted: text != wanted,
    "co": lambda text, wanted: wanted in text,
    "sw": lambda text, wanted: text.startswith(wanted),
    "ew": lambda text, wanted: text.endswith(wanted),
    "gt": lambda text, wanted: text > wanted,
    "lt": lambda text, wanted: text < wanted,
    "ge": lambda text, wanted: text >= wanted,
    "le": lambda text, wanted: text <= wanted,
}
