"""A snapshot becomes the checks of what it adds to the base definition. https://hl7.org/fhir/R4/profiling.html

Rules that the base definition has too, and rules of a slice that all values keep anyway, are not compiled again.
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.definitions import Definitions, Element
from fhir_server.validation.profiles.bases import base_of, codes_of, element_of, is_bound_already, known_keys
from fhir_server.validation.profiles.bindings import binding_rules
from fhir_server.validation.profiles.conditions import Plain, together
from fhir_server.validation.profiles.constraints import constraint_rules
from fhir_server.validation.profiles.discriminators import KINDS, condition_of
from fhir_server.validation.profiles.limits import limit_rules
from fhir_server.validation.profiles.members import Check, Member, all_rules, check_of, inner, object_rule
from fhir_server.validation.profiles.nested import profile_rules, resource_rule
from fhir_server.validation.profiles.occurrences import Kind
from fhir_server.validation.profiles.references import reference_rules
from fhir_server.validation.profiles.rules import Rule, value_rules
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.slicing import DEFAULT, Slice, Slices, slicing_of
from fhir_server.validation.profiles.slots import ProfileError, Slot
from fhir_server.validation.profiles.steps import is_reachable, parsed, urls_of

Json = dict[str, Any]

_RESOURCES = ("Resource", "DomainResource")


class Compiler:
    """Compiles one profile; `warnings` says what of it cannot be decided."""

    def __init__(self, definitions: Definitions, root: Slot, by: str) -> None:
        self._definitions = definitions
        self._root = root
        self._by = by
        self._slots = {slot.id: slot for slot in root.rows()}
        self._started: dict[tuple[int, str], list[Rule]] = {}
        self.warnings: list[str] = []

    def rule(self, slot: Slot, kind: str, base: Element | None, above: tuple[Slot, ...] = ()) -> Rule | None:
        """Return the rule of the values of one type of an element; `above` are the elements whose rules they keep."""
        if kind not in self._definitions.types:
            raise ProfileError(slot.id, f"There is no type {kind}.")
        definition, title = slot.definition, slot.title
        others = [one.definition for one in above]
        rules = value_rules(definition, others, kind, title, self._by)
        rules += limit_rules(definition, others, title, self._by)
        if base is not None and base.types[0].code in _RESOURCES:
            rules += self._resource_rules(slot, above)
        else:
            for row in slot.types():
                if row.get("code") == kind:
                    rules += self._typed(slot, row, base, above)
        if not is_bound_already(definition, base, others):
            rules += binding_rules(definition, kind, title, self._by)
        rules += constraint_rules(definition, known_keys(self._definitions, kind, base, others), kind, self._by)
        members = self._below(slot, kind, above)
        return all_rules([*rules, *([members] if members is not None else [])])

    def _typed(self, slot: Slot, row: Json, base: Element | None, above: tuple[Slot, ...]) -> list[Rule]:
        if any(row in one.types() for one in above):
            return []
        refs = [ref for ref in base.types if ref.code == row.get("code")] if base is not None else []
        targets = refs[0].targets if refs else ()
        return profile_rules(row, slot.title, self._by) + (
            reference_rules(row, targets, slot.title, self._by) if row.get("code") == "Reference" else []
        )

    def _resource_rules(self, slot: Slot, above: tuple[Slot, ...]) -> list[Rule]:
        """Return the rules of a place for resources: which types may stand there, and with which profiles."""
        rows = slot.types()
        if rows in [one.types() for one in above]:
            return []
        is_any = not rows or any(row.get("code") in _RESOURCES and not row.get("profile") for row in rows)
        return [] if is_any else [resource_rule(rows, slot.title, self._by)]

    def _below(self, slot: Slot, kind: str, above: tuple[Slot, ...]) -> Rule | None:
        """Return the rule of the members of a value: those below the element, or below the one that it refers to."""
        reference = slot.definition.get("contentReference")
        if not slot.children and type(reference) is str and reference.startswith("#"):
            target = self._slots.get(reference[1:])
            if target is None:
                raise ProfileError(slot.id, f"There is no element {reference[1:]}, to which its content refers.")
            return self._again(target, kind)
        if not slot.children:
            return None
        key = (id(slot), kind)
        if key in self._started:
            return self._again(slot, kind)
        self._started[key] = []
        rule = self._object(slot, kind, above)
        self._started[key] += [rule] if rule is not None else []
        return rule

    def _again(self, target: Slot, kind: str) -> Rule:
        """Return the rule of the members of an element that may be being compiled just now."""
        made = self._started.get((id(target), kind))
        if made is None:
            self._below(target, kind, ())
            made = self._started.setdefault((id(target), kind), [])
        return lambda value, beside, run: made[0](value, beside, run) if made else None

    def _object(self, slot: Slot, kind: str, above: tuple[Slot, ...]) -> Rule | None:
        is_primitive = self._definitions.types[kind].kind == "primitive"
        checks: list[Check] = []
        for name, child in slot.children.items():
            if is_primitive and name not in ("id", "extension"):
                continue
            if (
                len(slot.types()) != 1
                and slot.name.endswith("[x]")
                and element_of(self._definitions, child, kind) is None
            ):
                continue  # it is an element of another type of the choice
            over = tuple(one.children[name] for one in above if name in one.children)
            check = self._member(child, "Element" if is_primitive else kind, over)
            if check is not None:
                checks.append(check)
        return object_rule(checks, is_primitive=is_primitive) if checks else None

    def _member(self, slot: Slot, owner: str, above: tuple[Slot, ...]) -> Check | None:
        base = base_of(self._definitions, slot, owner)
        member = self._counts(slot, base, above)
        names = base.json_names()
        listed = codes_of(slot, base)
        for name, ref in names.items():
            if base.choice and ref.code not in listed:
                banned = ", ".join(sorted(listed))
                member.banned[name] = f"{slot.title} cannot be of type {ref.code}; allowed: {banned}{self._by}"
                continue
            is_primitive = self._definitions.types[ref.code].kind == "primitive"
            code = listed[0] if ref.code in _RESOURCES and len(listed) == 1 else ref.code
            member.kinds[name] = Kind(code, is_primitive, self.rule(slot, code, base, above))
        member.is_resource = any(ref.code in _RESOURCES for ref in base.types)
        if above and all(set(listed) == set(codes_of(one, base)) for one in above):
            member.banned = {}
        if slot.slices:
            member.slicing = self._slicing(slot, member, base, above)
        has_rules = member.low is not None or member.high is not None or member.banned or member.slicing
        return check_of(member) if has_rules or any(kind.rule for kind in member.kinds.values()) else None

    def _counts(self, slot: Slot, base: Element | None, above: tuple[Slot, ...]) -> Member:
        member = Member("." + (base.name if base is not None else slot.name), slot.title, self._by)
        low, high = _number(slot, "min", 0), _number(slot, "max", None)
        floor = base.min if base is not None and not slot.slice_name else 0
        ceiling = base.max or None if base is not None and not slot.slice_name else None
        floor = max([floor, *(_number(one, "min", 0) or 0 for one in above)])
        if low is not None and low > floor:
            member.low = low
        if high is not None and (ceiling is None or high < ceiling):
            member.high = high
        return member

    def _slicing(self, slot: Slot, member: Member, base: Element, above: tuple[Slot, ...]) -> Any:
        slicing: Json = slot.definition.get("slicing", {})
        made = Slices(slot.title, self._by, str(slicing.get("rules", "open")), slicing.get("ordered") is True)
        for one in slot.slices:
            made.slices.append(self._slice(one, slot, slicing, member, base, above))
        if not any(one.rules or one.slicing or one.count.low or one.count.high is not None for one in made.slices) and (
            made.rules == "open" and not made.is_ordered
        ):
            return None
        return slicing_of(made)

    def _slice(
        self, slot: Slot, whole: Slot, slicing: Json, member: Member, base: Element, above: tuple[Slot, ...]
    ) -> Slice:
        over = (whole, *(up.named[slot.slice_name] for up in above if slot.slice_name in up.named))
        count = self._counts(slot, base, over[1:])
        count.step = ""
        codes = set(codes_of(slot, base))
        rules: dict[str, Rule] = {}
        for kind in member.kinds.values():
            if not base.choice or kind.code in codes:
                rule = self.rule(slot, kind.code, base, over)
                if rule is not None:
                    rules[kind.code] = _in_resource(rule) if member.is_resource else rule
        made = Slice(slot.slice_name, count, rules)
        made.urls = (
            urls_of(slot)
            if [k.code for k in member.kinds.values()] == ["Extension"]
            and (
                [(row.get("type"), row.get("path")) for row in slicing.get("discriminator", ())]
                in ([("value", "url")], [])
            )
            else ()
        )
        if not made.urls and slot.slice_name != DEFAULT:
            self._discriminate(made, slot, slicing, member, base)
        if slot.slices:
            made.slicing = self._slicing(slot, member, base, over[1:])
        return made

    def _discriminate(self, made: Slice, slot: Slot, slicing: Json, member: Member, base: Element) -> None:
        """Find out how values are told to belong to a slice; what cannot be found out is a warning of the profile."""
        rows = slicing.get("discriminator", [])
        if not rows and base.choice:
            rows = [{"type": "type", "path": "$this"}]
        found = []
        for row in rows:
            kind, path = str(row.get("type")), str(row.get("path"))
            if kind not in KINDS:
                raise ProfileError(slot.id, f"A discriminator is one of {', '.join(KINDS)}; {kind!r} is none.")
            if parsed(path) is None:
                raise ProfileError(slot.id, f"The path of a discriminator cannot be {path!r}.")
            if not any(is_reachable(one.code, path) for one in member.kinds.values()):
                raise ProfileError(slot.id, f"There is no {path}, which its discriminator names.")
            found.append(condition_of(slot, kind, path))
        made.belongs = together([one for one in found if one is not None])
        if isinstance(made.belongs, Plain):
            tests = {one.code: made.belongs.test_of(one.code) for one in member.kinds.values()}
            made.tests = {code: test for code, test in tests.items() if test is not None}
        if made.belongs is None:
            self.warnings.append(f"{slot.id}: nothing says which values belong to this slice, so it is not checked.")


def _number(slot: Slot, name: str, default: int | None) -> int | None:
    """Return min or max of an element; `*` is None."""
    value = slot.definition.get(name)
    if value is None or value == "*":
        return default
    if type(value) is str and value.isdigit() and value.isascii() and len(value) < 10:
        return int(value)
    if type(value) is int and value >= 0:
        return value
    raise ProfileError(slot.id, f"{name} is a number, or * as a maximum; it cannot be {str(value)[:20]!r}.")


def _in_resource(rule: Rule) -> Rule:
    """Return the rule of a contained resource that is in a slice."""

    def check(value: Any, beside: Json | None, run: Run) -> Any:
        return rule(value, beside, run if value is run.resource else inner(run.resource, value, run))

    return check
