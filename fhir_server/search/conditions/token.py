"""Tokens in the index. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.search.conditions.condition import Condition, Index, either, negated, present
from fhir_server.search.indexing import of_type_text
from fhir_server.search.matching.asking import asked, codes_of, unsupported
from fhir_server.search.matching.token import (
    BOOLEANS,
    TokenAsked,
    asked_of_type,
    asked_token,
    implied_system,
)
from fhir_server.search.parameters import Parameter
from fhir_server.search.query import Filter
from fhir_server.search.terms import ANY_SYSTEM, SEPARATOR

# Tokens that few resources share; of all others many may have the same.
NARROW = frozenset(
    {"identifier", "_id", "email", "phone", "telecom", "url", "udi-carrier", "udi-di", "confidentiality"}
)
_SETS = ("in", "not-in", "above", "below")
_NEGATIONS = ("not", "not-in")


def token(one: Filter, index: Index) -> Condition:
    """Return the condition of a token filter; raises InvalidRequest."""
    if one.modifier == "text":
        return Condition(present(one.parameter, index).where, exact=False)
    broad = one.parameter.code not in NARROW
    if one.modifier in _SETS:
        found = _of_sets(one, index)
    elif one.modifier == "of-type":
        name = index.name(one.parameter)
        asks = [asked(one, asked_of_type, value) for value in one.values]
        found = Condition(index.texts(of_type_text(name, *ask) for ask in asks))
    elif one.modifier in ("", "not"):
        found = either(_equal(one, value, index, broad=broad) for value in one.values)
    else:
        raise unsupported(one)
    return negated(found) if one.modifier in _NEGATIONS else found


def _equal(one: Filter, value: str, index: Index, *, broad: bool) -> Condition:
    ask = asked(one, asked_token, value)
    name = index.name(one.parameter)
    texts = (f"{name}{SEPARATOR}{form}" for form in forms(one.parameter, ask))
    found = Condition(index.texts(texts, broad=broad), exact=ask[0] != BOOLEANS)
    if ask[1] is None and _is_implied(one.parameter, ask[0]):  # any code at all
        return either((found, present(one.parameter, index)))
    return found


def forms(parameter: Parameter, ask: TokenAsked) -> Iterator[str]:
    """Yield the texts, after the parameter's name, of which a resource that matches has one."""
    system, code = ask
    yield f"{ANY_SYSTEM if system is None else system}{SEPARATOR}{code or ''}"
    if code and _is_implied(parameter, system):
        yield f"{SEPARATOR}{code}"


def _is_implied(parameter: Parameter, system: str | None) -> bool:
    """Whether values that name no system can be of this one."""
    return bool(system) and system in (BOOLEANS, implied_system(parameter.resource_type, parameter.expression))


def _of_sets(one: Filter, index: Index) -> Condition:
    name = index.name(one.parameter)
    pairs = {pair for value in one.values for pair in codes_of(one, value, index.setting)}
    implied = implied_system(one.parameter.resource_type, one.parameter.expression)
    texts = [f"{name}{SEPARATOR}{system}{SEPARATOR}{code.casefold()}" for system, code in pairs]
    # A code without a system of its own is one of the set by its code alone, unless its system is known.
    bare = {code.casefold() for system, code in pairs if implied in ("", system)}
    texts += [f"{name}{SEPARATOR}{SEPARATOR}{code}" for code in bare]
    return Condition(index.texts(texts, broad=True), exact=False)
