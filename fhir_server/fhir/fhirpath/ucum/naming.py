"""Units for people: a code spelled out, and what somebody may have meant by one that is no unit. https://ucum.org/ucum"""

from __future__ import annotations

from difflib import get_close_matches

from fhir_server.fhir.fhirpath.ucum.errors import UcumError
from fhir_server.fhir.fhirpath.ucum.grammar import Component, Number, Term, parse
from fhir_server.fhir.fhirpath.ucum.table import table
from fhir_server.fhir.fhirpath.ucum.units import read

_LONGEST_SYMBOL = 24
_DIGITS = "0123456789"
_OPERATORS = {1: " * ", -1: " / "}


def spelled_out(code: str) -> str:
    """Return a code in words: `mg/dL` is `(milligram) / (deciliter)`. Raises UcumError."""
    read(code)
    return _term(parse(code))


def _term(term: Term) -> str:
    first, *others = term.components
    text = ("/ " if first[0] < 0 else "") + _component(first[1])
    return text + "".join(_OPERATORS[sign] + _component(one) for sign, one in others)


def _component(component: Component) -> str:
    if isinstance(component, Number):
        return str(component.value)
    if isinstance(component, Term):
        return f"({_term(component)})"
    prefix, atom = table().split(component.symbol) or ("", component.symbol)
    name = (table().prefixes[prefix][1] if prefix else "") + table().name(atom)
    return f"({name})" if component.exponent == 1 else f"({name} ^ {component.exponent})"


def complaint(code: str) -> str | None:
    """Return what is wrong with a code, where, and what may be meant instead; None for a unit."""
    try:
        read(code)
    except UcumError as error:
        symbol = error.symbol if error.symbol.isprintable() and len(error.symbol) <= _LONGEST_SYMBOL else ""
        if error.symbol:
            text = f"UCUM has no unit {symbol}" if symbol else "UCUM has no such unit"
            return f"{text} (position {error.position}).{_advice(symbol)}"
        return f"Not a unit of UCUM (position {error.position}): {error.reason}"
    return None


def _advice(symbol: str) -> str:
    """Return the units that are near; what is counted and not measured is written in braces."""
    near = near_units(symbol)
    if near:
        return f" Did you mean {' or '.join(near)}?"
    if " " in symbol:
        return " Units have no spaces."
    return " What is counted is written in braces, such as {tablet}."


def near_units(symbol: str) -> list[str]:
    """Return up to three units that a symbol may stand for, the likeliest first."""
    meant = table().meant.get(symbol.lower())
    digits = symbol[: len(symbol) - len(symbol.lstrip(_DIGITS))]
    found = [meant] if meant else [f"{digits}.{symbol[len(digits) :]}"] if _is_count_of(symbol, digits) else []
    if not symbol or (meant and meant[0] == "{"):
        return found
    atoms = table().atoms()
    found += [atom for atom in atoms if atom.strip("[]").lower() == symbol.lower()]
    found += [prefix + rest for prefix, rest in _other_case(symbol)]
    if not found:
        found = get_close_matches(symbol, [atom for atom in atoms if len(atom) > 2], n=2, cutoff=0.75)
    return list(dict.fromkeys(found))[:3]


def _is_count_of(symbol: str, digits: str) -> bool:
    return bool(digits) and table().split(symbol[len(digits) :]) is not None


def _other_case(symbol: str) -> list[tuple[str, str]]:
    """Return prefix and unit where only the case of the letters is wrong, as in `mEq` or `ML`."""
    lowered = symbol.lower()
    return [
        (prefix, atom)
        for prefix in ("m", "u", "n", "k", "d", "c", "p", "")
        for atom in table().atoms()
        if (prefix + atom).lower() == lowered and table().split(prefix + atom)
    ]
