"""A profile that is ready to check values; the same for all tenants and threads, because it holds no answers.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.fhir.definitions import Definitions, r4
from fhir_server.validation.findings import Finding, Findings
from fhir_server.validation.profiles.compiler import Compiler
from fhir_server.validation.profiles.conditions import Condition
from fhir_server.validation.profiles.discriminators import condition_of
from fhir_server.validation.profiles.run import MAX_NESTING, Run, TooMuch
from fhir_server.validation.profiles.slots import ProfileError, Slot, tree
from fhir_server.validation.profiles.steps import urls_of

Json = dict[str, Any]

MAX_ELEMENTS = 10_000

_TOO_DEEP = f"Profiles of profiles are checked {MAX_NESTING} deep; here it is deeper, and was not checked"
_TOO_MUCH = "The resource takes more work to check than is allowed, so it was not checked to the end"


class Profile:
    """What one StructureDefinition adds to its base type.

    `warnings` tell what of it cannot be decided, `must_support` has the ids of the elements that are to be supported.
    Of an extension `contexts` are the (type, expression) pairs of where it may stand, with `context_invariants`, and
    `parts` the urls of what is nested in it; None where nothing is, or closed slices say so anyway.
    """

    __slots__ = (
        "_by",
        "_conditions",
        "_root",
        "_rule",
        "context_invariants",
        "contexts",
        "must_support",
        "parts",
        "type",
        "url",
        "version",
        "warnings",
    )

    def __init__(self, structure: Json, root: Slot, compiler: Compiler, by: str) -> None:
        self.url: str = structure["url"]
        self.version: str = str(structure.get("version", ""))
        self.type: str = structure["type"]
        self.contexts = _rows(structure, "context")
        self.context_invariants = tuple(map(str, structure.get("contextInvariant") or ()))
        self.must_support = tuple(slot.id for slot in root.rows() if slot.definition.get("mustSupport") is True)
        self._root = root
        self._by = by
        self.parts = _parts(root.children.get("extension"))
        self._rule = compiler.rule(root, self.type, None)
        self.warnings = tuple(compiler.warnings)
        self._conditions: dict[tuple[str, str], Condition | None] = {}

    @property
    def is_modifier(self) -> bool:
        """Whether an extension changes the meaning of what it stands on."""
        return self._root.definition.get("isModifier") is True

    @property
    def most(self) -> int | None:
        """How often an extension may be given in one place; None where that is not limited."""
        most = self._root.definition.get("max")
        return int(most) if type(most) is str and most.isdigit() else None

    def check(self, item: Any, run: Run) -> Findings | None:
        """Return what is wrong with a value of the profile's type, None where nothing is. Never raises.

        Paths start at the value. A resource of another type is wrong, and nothing else is said of it.
        """
        if type(item) is not dict:
            return None
        kind = item.get("resourceType")
        if type(kind) is str and kind != self.type and self.type not in r4().ancestors(kind):
            return [Finding("structure", f"The profile is about {self.type}, and this is of another type{self._by}")]
        if self._rule is None:
            return None
        if not run.enter(self, item):
            deep = Finding("too-costly", _TOO_DEEP + self._by, severity="warning")
            return [deep] if run.is_deep and run.advice else None
        try:
            run.spend(1)
            return self._rule(item, None, run)
        except (TooMuch, RecursionError):
            if run.is_inner:
                raise
            return [Finding("too-costly", _TOO_MUCH + self._by)]
        finally:
            run.leave(self, item)

    def condition(self, kind: str, path: str) -> Condition | None:
        """Return what a discriminator asks of values that have this profile; None where the profile does not say."""
        key = (kind, path)
        if key not in self._conditions:
            self._conditions[key] = condition_of(self._root, kind, path)
        return self._conditions[key]

    def __repr__(self) -> str:
        return f"Profile({self.url}|{self.version})"


def compile_profile(structure: Json, snapshot: Sequence[Json], definitions: Definitions | None = None) -> Profile:
    """Return the profile of a StructureDefinition with its snapshot.

    Raises ProfileError, which names the element, where it cannot be checked: no URL, a type that FHIR has not, an
    element out of place, a discriminator that leads nowhere.
    """
    known = definitions or r4()
    url, kind = structure.get("url"), structure.get("type")
    if type(url) is not str or not url:
        raise ProfileError("", "A profile has a url.")
    if type(kind) is not str or kind not in known.types:
        raise ProfileError("", f"The type of the profile {url} is none of FHIR R4.")
    if len(snapshot) > MAX_ELEMENTS:
        raise ProfileError("", f"The profile {url} has more than {MAX_ELEMENTS} elements.")
    root = tree(snapshot)
    by = f" (profile {url})."
    return Profile(structure, root, Compiler(known, root, by), by)


def _rows(structure: Json, name: str) -> tuple[tuple[str, str], ...]:
    rows = [row for row in structure.get(name) or () if type(row) is dict]
    return tuple((str(row.get("type")), str(row.get("expression"))) for row in rows)


def _parts(nested: Slot | None) -> frozenset[str] | None:
    slicing = nested.definition.get("slicing") if nested is not None else None
    if nested is None or not nested.slices or (type(slicing) is dict and slicing.get("rules") == "closed"):
        return None
    return frozenset(url for one in nested.slices for url in urls_of(one))
