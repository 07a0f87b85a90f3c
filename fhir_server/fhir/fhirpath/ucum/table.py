"""The units of UCUM 2.2 and its prefixes, as facts. https://ucum.org/ucum#section-Tables-of-Terminal-Symbols

A row says what a unit is by other units, so that factors are exact. Units that are no ratios (degrees, levels, pH) are
a factor and an offset on a scale, where they can be compared with each other: `dB[mV]` with `dB[V]`, not with `V`.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import msgspec


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A unit: it is `value` times the unit `of`."""

    value: str
    of: str
    name: str


class SpecialRow(msgspec.Struct, frozen=True, array_like=True):
    """A unit whose zero is not nothing: (x + `offset`) times `value` on the scale `of`; scales are in back quotes."""

    value: str
    of: str
    offset: str
    name: str


class Table(msgspec.Struct, frozen=True):
    """The tables of the specification. `meant` has what is often written, in small letters, and what it should be."""

    version: str
    prefixes: dict[str, tuple[str, str]]
    base: dict[str, str]
    metric: dict[str, Row]
    plain: dict[str, Row]
    metric_special: dict[str, SpecialRow]
    plain_special: dict[str, SpecialRow]
    metric_arbitrary: dict[str, str]
    plain_arbitrary: dict[str, str]
    meant: dict[str, str]

    def name(self, atom: str) -> str:
        """Return the name of a unit that has no prefix."""
        if atom in self.base:
            return self.base[atom]
        for arbitrary in (self.metric_arbitrary, self.plain_arbitrary):
            if atom in arbitrary:
                return arbitrary[atom]
        return (self.defined(atom) or self.special(atom) or _NO_ROW).name

    def defined(self, atom: str) -> Row | None:
        """Return the row of a unit that other units define."""
        return self.metric.get(atom) or self.plain.get(atom)

    def special(self, atom: str) -> SpecialRow | None:
        """Return the row of a unit that is on a scale of its own."""
        return self.metric_special.get(atom) or self.plain_special.get(atom)

    def is_metric(self, atom: str) -> bool:
        """Whether a unit there is takes a prefix."""
        return atom in self.base or atom in self.metric or atom in self.metric_special or atom in self.metric_arbitrary

    def is_unit(self, atom: str) -> bool:
        """Whether there is this unit, which has no prefix."""
        return self.is_metric(atom) or atom in self.plain or atom in self.plain_special or atom in self.plain_arbitrary

    def split(self, symbol: str) -> tuple[str, str] | None:
        """Return prefix and unit of a symbol, the prefix '' where there is none; None if it is no unit.

        A whole unit comes first: `cd` is the candela and no hundredth of a day.
        """
        if self.is_unit(symbol):
            return "", symbol
        for length in (2, 1):
            prefix, atom = symbol[:length], symbol[length:]
            if prefix in self.prefixes and self.is_metric(atom):
                return prefix, atom
        return None

    def atoms(self) -> list[str]:
        """Return every unit without prefixes."""
        return [
            *self.base, *self.metric, *self.plain, *self.metric_special, *self.plain_special,
            *self.metric_arbitrary, *self.plain_arbitrary,
        ]  # fmt: skip


_NO_ROW = Row("1", "1", "")


@lru_cache(maxsize=1)
def table() -> Table:
    """Return the table, read once."""
    return msgspec.json.decode((files(__package__) / "table.json").read_bytes(), type=Table)
