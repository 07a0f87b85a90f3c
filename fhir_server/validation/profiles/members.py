"""The members of an object against a profile: how many there are, of which types, and each of them.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.min
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

from fhir_server.validation.findings import Findings, below, is_full, refuse
from fhir_server.validation.profiles.occurrences import Kind, Occurrence, occurrences, several
from fhir_server.validation.profiles.rules import Advice, Rule
from fhir_server.validation.profiles.run import Run

Json = dict[str, Any]

Ask = Callable[[Json, Run], Findings | None]


class Slicing(NamedTuple):
    """What is asked of all the values of a sliced element, of no values too where one of the slices `is_needed`."""

    ask: Callable[[Sequence[Occurrence], Run], Findings | None]
    is_needed: bool


@dataclass(slots=True)
class Member:
    """What a profile says of one element. `low` and `high` are None where it adds nothing to the base definition.

    `kinds` are the JSON names it may have, `banned` those that the base definition allows and the profile does not.
    """

    step: str
    title: str
    by: str
    kinds: dict[str, Kind] = field(default_factory=dict)
    banned: dict[str, str] = field(default_factory=dict)
    low: int | None = None
    high: int | None = None
    is_resource: bool = False
    slicing: Slicing | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Return how many there may be, where nothing is said from none to any number."""
        return self.low or 0, inf if self.high is None else self.high

    def counted(self, count: int) -> Findings | None:
        """Return what is wrong with there being so many."""
        if self.low is not None and count < self.low:
            return refuse("required", f"{self.title}: at least {self.low} required, found {count}{self.by}")
        if self.high is not None and count > self.high:
            if self.high == 0:
                return refuse("structure", f"{self.title} is not allowed{self.by}")
            return refuse("structure", f"{self.title}: at most {self.high} allowed, found {count}{self.by}")
        return None


class Check(NamedTuple):
    """What is asked of an object about one of its members, where one of its JSON `names` is there.

    Those are None where that none of them is there may be wrong. Some checks are only advice: they find no errors.
    """

    ask: Ask
    names: frozenset[str] | None
    is_advice: bool


def check_of(member: Member) -> Check:
    """Return the check of an object for this member; the quick one where values are objects without slices."""
    plain = [name for name, kind in member.kinds.items() if kind.is_primitive]
    names = frozenset((*member.kinds, *member.banned, *("_" + name for name in (*plain, *member.banned))))
    rules = [kind.rule for kind in member.kinds.values()]
    only_rules = member.low is None and member.high is None and not member.banned and member.slicing is None
    is_advice = only_rules and all(rule is None or isinstance(rule, Advice) for rule in rules)
    is_needed = member.low is not None or (member.slicing is not None and member.slicing.is_needed)
    return Check(_ask(member), None if is_needed else names, is_advice)


def _ask(member: Member) -> Ask:
    if len(member.kinds) == 1 and not member.banned and member.slicing is None:
        name, kind = next(iter(member.kinds.items()))
        return _primitive(member, name, kind) if kind.is_primitive else _objects(member, name, kind)
    return _general(member)


def _objects(member: Member, name: str, kind: Kind) -> Ask:
    rule, step, is_resource = kind.rule, member.step, member.is_resource
    least, most = member.bounds

    def check(holder: Json, run: Run) -> Findings | None:
        value = holder.get(name)
        if value is None:
            return below(step, problems, None) if least and (problems := member.counted(0)) else None
        found: Findings | None = None
        rows = value if type(value) is list else None
        count = 1 if rows is None else len(rows)
        if not least <= count <= most and (problems := member.counted(count)):
            found = below(step, problems, found)
        if rule is None:
            return found
        for index, one in enumerate((value,) if rows is None else rows):
            problems = rule(one, None, inner(holder, one, run) if is_resource else run)
            if problems is not None:
                found = below(step if rows is None else f"{step}[{index}]", problems, found)
                if is_full(found):
                    break
        return found

    return check


def _primitive(member: Member, name: str, kind: Kind) -> Ask:
    rule, step, sibling = kind.rule, member.step, "_" + name
    least, most = member.bounds
    arrays = _general(member)

    def check(holder: Json, run: Run) -> Findings | None:
        value, beside = holder.get(name), holder.get(sibling)
        if type(value) is list or type(beside) is list:
            return arrays(holder, run)
        if value is None and type(beside) is not dict:
            return below(step, problems, None) if least and (problems := member.counted(0)) else None
        found = below(step, problems, None) if not least <= 1 <= most and (problems := member.counted(1)) else None
        problems = None if rule is None else rule(value, beside if type(beside) is dict else None, run)
        return found if problems is None else below(step, problems, found)

    return check


def _general(member: Member) -> Ask:
    kinds, step, slicing = member.kinds, member.step, member.slicing
    barred = {key: text for name, text in member.banned.items() for key in (name, "_" + name)}
    names = {name: name for name in kinds} | {"_" + name: name for name, kind in kinds.items() if kind.is_primitive}
    rules = {kind.code: kind.rule for kind in kinds.values() if kind.rule is not None}
    plain = {code: rule for code, rule in rules.items() if not isinstance(rule, Advice)}
    only = next(iter(kinds.items())) if len(kinds) == 1 else None
    least, most = member.bounds

    def check(holder: Json, run: Run) -> Findings | None:
        if barred and not barred.keys().isdisjoint(holder):
            text = next(barred[key] for key in holder if key in barred)
            return below(step, refuse("structure", text), None)
        rows = occurrences(holder, *only) if only is not None else several(holder, names, kinds)
        found: Findings | None = None
        if not least <= len(rows) <= most and (problems := member.counted(len(rows))):
            found = below(step, problems, found)
        asked = rules if run.advice else plain
        for row in rows if asked else ():
            problems = checked(row, asked.get(row[2]), member.is_resource, holder, run)
            if problems is not None:
                found = below(step, problems, found)
                if is_full(found):
                    return found
        if slicing is not None and (problems := slicing.ask(rows, _inside(holder, run) if member.is_resource else run)):
            found = below(step, problems, found)
        return found

    return check


def checked(row: Occurrence, rule: Rule | None, is_resource: bool, holder: Json, run: Run) -> Findings | None:
    """Return what a rule finds in one of the values, with its place in the array."""
    value, beside, _, index = row
    problems = None if rule is None else rule(value, beside, inner(holder, value, run) if is_resource else run)
    return problems if problems is None or index < 0 else below(f"[{index}]", problems, None)


def _inside(holder: Json, run: Run) -> Run:
    """Return the run of the slices of a resource in an entry, of which there is one; else the run itself."""
    resource = holder.get("resource")
    return inner(holder, resource, run) if type(resource) is dict else run


def inner(holder: Json, resource: Any, run: Run) -> Run:
    """Return the run of a resource that is in another: an entry's, a parameter's, or a contained one."""
    if type(resource) is not dict:
        return run
    if holder is run.resource:  # `contained` is the only member of a resource that holds resources
        return run.within(resource, root=run.root, bundle=run.bundle, full_url=run.full_url)
    if run.resource.get("resourceType") == "Bundle":
        url = holder.get("fullUrl")
        return run.within(resource, bundle=run.resource, full_url=url if type(url) is str else "")
    return run.within(resource, bundle=run.bundle, full_url=run.full_url)


def object_rule(checks: Sequence[Check], *, is_primitive: bool) -> Rule:
    """Return the rule of a value all of whose members are checked; those of a primitive are beside it."""
    plain = [one for one in checks if not one.is_advice]

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        holder = (beside or {}) if is_primitive else value
        if type(holder) is not dict:
            return None
        found: Findings | None = None
        there = holder.keys()
        for ask, names, _ in checks if run.advice else plain:
            if names is not None and there.isdisjoint(names):
                continue
            problems = ask(holder, run)
            if problems is not None:
                found = problems if found is None else found + problems
        return found

    return check if plain else Advice(check)


def all_rules(rules: Sequence[Rule]) -> Rule | None:
    """Return the rules as one, None where there are none."""
    if len(rules) < 2:
        return rules[0] if rules else None
    plain = [rule for rule in rules if not isinstance(rule, Advice)]

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        found: Findings | None = None
        for rule in rules if run.advice else plain:
            problems = rule(value, beside, run)
            if problems is not None:
                found = problems if found is None else found + problems
        return found

    return check if plain else Advice(check)
