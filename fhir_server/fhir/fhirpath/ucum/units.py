"""What a UCUM code measures: a factor of base units and their powers. https://ucum.org/ucum#section-Semantics"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import msgspec

from fhir_server.fhir.fhirpath.ucum.errors import UcumError
from fhir_server.fhir.fhirpath.ucum.grammar import MAX_LENGTH, Component, Number, Power, Term, parse
from fhir_server.fhir.fhirpath.ucum.table import table

_MAX_POWER = 999
_MAX_BITS = 2048
_LARGEST = Fraction(10**300)
_SMALLEST = 1 / _LARGEST
_SCALE = "`"

Dimensions = tuple[tuple[str, int], ...]


class Unit(msgspec.Struct, frozen=True):
    """A unit: x of it are x * `factor` + `offset` in base units of the `dimensions`, which are sorted by name."""

    factor: Fraction
    dimensions: Dimensions
    offset: Fraction = Fraction(0)


def read(code: str) -> Unit:
    """Return what a code measures. Raises UcumError, which says where and why it is no unit."""
    if len(code) > MAX_LENGTH:
        raise UcumError(f"A unit has at most {MAX_LENGTH} characters.", MAX_LENGTH)
    found = _read(code)
    if isinstance(found, Unit):
        return found
    raise UcumError(*found)


@lru_cache(maxsize=4096)
def _read(code: str) -> Unit | tuple[str, int, str]:
    """Return the unit, or what is wrong: both are remembered, because a wrong code is never sent only once."""
    try:
        found = _of_term(parse(code))
    except UcumError as error:
        return error.reason, error.position, error.symbol
    if not _SMALLEST <= found.factor <= _LARGEST:
        return "The unit is too large or too small to calculate with.", 0, ""
    return found


def _of_term(term: Term) -> Unit:
    """Multiply and divide. An offset is left where the rest is a number 1: a difference of degrees has none."""
    factor, offset, powers = Fraction(1), Fraction(0), dict[str, int]()
    measures = 0
    for sign, component in term.components:
        if isinstance(component, Number) and component.value == 1:
            continue
        one = _of(component)
        measures += 1
        offset = one.offset if measures == sign == 1 else Fraction(0)
        factor = _bounded(factor * one.factor**sign)
        for base, power in one.dimensions:
            powers[base] = powers.get(base, 0) + sign * power
            if abs(powers[base]) > _MAX_POWER:
                raise UcumError("The unit has too high a power to calculate with.", 0)
    return Unit(factor, tuple(sorted((base, power) for base, power in powers.items() if power)), offset)


def _of(component: Component) -> Unit:
    if isinstance(component, Number):
        return Unit(Fraction(component.value), ())
    return _of_power(component) if isinstance(component, Power) else _of_term(component)


def _of_power(component: Power) -> Unit:
    split = table().split(component.symbol)
    if split is None:
        raise UcumError(f"There is no unit {component.symbol}.", component.position, component.symbol)
    prefix, atom = split
    one, exponent = _of_atom(atom), component.exponent
    scale = Fraction(table().prefixes[prefix][0]) if prefix else Fraction(1)
    dimensions = tuple((base, power * exponent) for base, power in one.dimensions if exponent)
    factor = _bounded((one.factor * scale) ** exponent)
    return Unit(factor, dimensions, one.offset if exponent == 1 else Fraction(0))


@lru_cache(maxsize=1024)
def _of_atom(atom: str) -> Unit:
    """Return what a unit of the table measures. The table has no circles; a test walks all of it."""
    if atom in ("10*", "10^"):
        return Unit(Fraction(10), ())
    row = table().defined(atom)
    if row is not None:
        of = _of_term(parse(row.of))
        return Unit(Fraction(row.value) * of.factor, of.dimensions)
    special = table().special(atom)
    if special is None:
        return Unit(Fraction(1), ((atom, 1),))
    scale = special.of
    of = Unit(Fraction(1), ((scale.strip(_SCALE), 1),)) if scale[0] == _SCALE else _of_term(parse(scale))
    factor = Fraction(special.value) * of.factor
    return Unit(factor, of.dimensions, Fraction(special.offset) * factor)


def _bounded(factor: Fraction) -> Fraction:
    if factor.numerator.bit_length() + factor.denominator.bit_length() > 2 * _MAX_BITS:
        raise UcumError("The unit is too large or too small to calculate with.", 0)
    return factor


def written(dimensions: Dimensions) -> str:
    """Return base units as a code: `g.m-1.s-2`, or `1` where there are none."""
    return ".".join(base if power == 1 else f"{base}{power}" for base, power in dimensions) or "1"
