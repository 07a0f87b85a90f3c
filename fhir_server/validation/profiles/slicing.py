"""Slices: each value goes to the slice it belongs to, is checked by it and counted. https://hl7.org/fhir/R4/profiling.html#slicing"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_server.fhir.fhirpath import Node
from fhir_server.validation.findings import Finding, Findings, below, is_full, refuse
from fhir_server.validation.profiles.conditions import Condition
from fhir_server.validation.profiles.members import Member, Slicing
from fhir_server.validation.profiles.occurrences import Occurrence
from fhir_server.validation.profiles.rules import Rule
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.values import Test

Json = dict[str, Any]

DEFAULT = "@default"  # the slice of what belongs to no other


@dataclass(slots=True)
class Slice:
    """One slice: how values are told to belong to it, how many there may be, and what each of them has to be.

    `rules` are by type. `belongs` is None for a slice that nothing can be told to belong to; `tests` are what it comes
    to for types whose values show it. `urls` are those of an extension slice, which need no asking.
    """

    name: str
    count: Member
    rules: dict[str, Rule]
    belongs: Condition | None = None
    tests: dict[str, Test] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    slicing: Slicing | None = None


@dataclass(slots=True)
class Slices:
    """The slices of one element and their order. `rules` is open, closed or openAtEnd."""

    title: str
    by: str
    rules: str
    is_ordered: bool
    slices: list[Slice] = field(default_factory=list)


class _Sorted:
    """Where the values went: to slices, maybe to some (`unsure`, how many), to none (`rest`).

    `order` has the slice of each value, -1 for none and -2 where that cannot be told.
    """

    __slots__ = ("order", "rest", "taken", "unsure")

    def __init__(self) -> None:
        self.taken: dict[int, list[Occurrence]] = {}
        self.unsure: dict[int, int] = {}
        self.rest: list[Occurrence] = []
        self.order: list[int] = []

    def put(self, row: Occurrence, index: int) -> None:
        """Put a value into a slice, or into none."""
        self.order.append(index)
        if index < 0:
            self.rest.append(row)
        elif index in self.taken:
            self.taken[index].append(row)
        else:
            self.taken[index] = [row]


def slicing_of(slices: Slices) -> Slicing:
    """Return the check of all the values of a sliced element."""
    named = [one for one in slices.slices if one.name != DEFAULT]
    default = next((one for one in slices.slices if one.name == DEFAULT), None)
    by_url = {url: index for index, one in enumerate(named) for url in one.urls}
    has_urls = all(one.urls for one in named)
    has_places = slices.is_ordered or slices.rules != "open"
    asked = list(enumerate(named))
    needed = frozenset(index for index, one in asked if one.count.low is not None)

    def check(rows: Sequence[Occurrence], run: Run) -> Findings | None:
        run.spend(len(rows) * len(named))
        sort = _by_url(rows, by_url) if has_urls else _by_condition(rows, asked, run)
        found = _placed(slices, named, default, sort) if has_places else None
        for index, one in asked:
            if index in sort.taken or index in needed or index in sort.unsure:
                problems = _slice(one, sort.taken.get(index, ()), sort.unsure.get(index, 0), run)
                found = problems if found is None else _joined(found, problems)
                if found is not None and is_full(found):
                    break
        return found if default is None else _joined(found, _each(default, sort.rest, run))

    return Slicing(check, bool(needed))


def _by_url(rows: Sequence[Occurrence], by_url: dict[str, int]) -> _Sorted:
    sort = _Sorted()
    for row in rows:
        url = row[0].get("url") if type(row[0]) is dict else None
        sort.put(row, by_url.get(url, -1) if type(url) is str else -1)
    return sort


def _by_condition(rows: Sequence[Occurrence], asked: Sequence[tuple[int, Slice]], run: Run) -> _Sorted:
    sort = _Sorted()
    for row in rows:
        maybe: list[int] = []
        for index, one in asked:
            answer = _belongs(row, one, run)
            if answer:
                sort.put(row, index)
                break
            if answer is None:
                maybe.append(index)
        else:
            if maybe:
                sort.order.append(-2)
                sort.unsure |= {index: sort.unsure.get(index, 0) + 1 for index in maybe}
            else:
                sort.put(row, -1)
    return sort


def _belongs(row: Occurrence, one: Slice, run: Run) -> bool | None:
    value, beside, kind, _ = row
    test = one.tests.get(kind)
    if test is not None:
        return test(value)
    return None if one.belongs is None else one.belongs(Node(value, kind, beside), run)


def _slice(one: Slice, taken: Sequence[Occurrence], unsure: int, run: Run) -> Findings | None:
    """Return what is wrong with the values of one slice and with how many there are."""
    least, most = one.count.bounds
    found = None if least <= len(taken) <= most and not unsure else _counted(one.count, len(taken), unsure)
    if taken and (problems := _each(one, taken, run)):
        found = _joined(found, problems)
    return _joined(found, _unsure(one.count)) if unsure and run.advice else found


def _counted(count: Member, sure: int, unsure: int) -> Findings | None:
    """What may belong counts for the least there has to be, and not against the most."""
    if count.low is not None and sure < count.low <= sure + unsure:
        return None
    return count.counted(sure + (unsure if count.low is not None and sure < count.low else 0))


def _each(one: Slice, taken: Sequence[Occurrence], run: Run) -> Findings | None:
    found: Findings | None = None
    for value, beside, kind, index in taken:
        rule = one.rules.get(kind)
        problems = None if rule is None else rule(value, beside, run)
        if problems is not None:
            found = _joined(found, problems if index < 0 else below(f"[{index}]", problems, None))
            if found is not None and is_full(found):
                return found
    return found if one.slicing is None else _joined(found, one.slicing.ask(taken, run))


def _placed(slices: Slices, named: list[Slice], default: Slice | None, sort: _Sorted) -> Findings | None:
    """Return what is wrong with values that belong to no slice, and with the order of those that do."""
    found: Findings | None = None
    if slices.rules == "closed" and default is None:
        names = ", ".join(one.name for one in named)
        for row in sort.rest:
            text = f"{slices.title}: a value belongs to no slice; there are only {names}{slices.by}"
            found = _joined(found, below("" if row[3] < 0 else f"[{row[3]}]", refuse("structure", text), None))
    if slices.rules == "openAtEnd" and -1 in sort.order:
        first = sort.order.index(-1)
        if any(index >= 0 for index in sort.order[first:]):
            text = f"{slices.title}: values that belong to no slice come after those that do{slices.by}"
            found = _joined(found, refuse("structure", text))
    places = [index for index in sort.order if index >= 0]
    if slices.is_ordered and places != sorted(places):
        names = ", ".join(one.name for one in named)
        text = f"{slices.title}: the slices have an order, which is {names}{slices.by}"
        found = _joined(found, refuse("structure", text))
    return found


def _unsure(count: Member) -> Findings:
    text = f"{count.title}: it cannot be told whether a value belongs to this slice{count.by}"
    return [Finding("informational", text, severity="information")]


def _joined(found: Findings | None, more: Findings | None) -> Findings | None:
    if found is None or more is None:
        return more if found is None else found
    return found + more
