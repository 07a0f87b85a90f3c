"""Cases of profiles written short: elements by id, resources by what is changed, answers from lists of codes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from fhir_server.api import Coding, Membership
from fhir_server.validation.profiles import Profile, Run, check_extensions, compile_profile

Json = dict[str, Any]
BASE = "http://example.org/StructureDefinition/"


def structure(name: str, short: Json) -> Json:
    """Return a StructureDefinition with a sparse snapshot: the elements by id, and those above them."""
    facts = {short["type"]: {}} | short.get("elements", {})
    below: dict[str, list[str]] = {"": []}
    for key in facts:
        steps = key.split(".")
        for end in range(1, len(steps) + 1):
            own, parent = ".".join(steps[:end]), ".".join(steps[: end - 1])
            if own not in below:
                below[own] = []
                below[parent].append(own)
    more = {k: v for k, v in short.items() if k not in ("type", "elements")}
    head = {"resourceType": "StructureDefinition", "url": BASE + name, "type": short["type"], **more}
    rows = [element(key, facts.get(key, {})) for key in _in_order("", below)]
    return {**head, "derivation": "constraint", "snapshot": {"element": rows}}


def _in_order(key: str, below: Mapping[str, list[str]]) -> list[str]:
    return [one for child in below[key] for one in (child, *_in_order(child, below))]


def element(key: str, facts: Json) -> Json:
    """Return an ElementDefinition with path and slice name taken from its id."""
    path = ".".join(step.partition(":")[0] for step in key.split("."))
    slice_name = key.rpartition(".")[2].partition(":")[2]
    return {"id": key, "path": path, **({"sliceName": slice_name} if slice_name else {}), **facts}


class Shelf:
    """Answers from profiles and value sets at hand; value sets that are not at hand cannot be told."""

    def __init__(self, profiles: Mapping[str, Json], value_sets: Mapping[str, list[str]]) -> None:
        self._structures = {BASE + name: structure(name, short) for name, short in profiles.items()}
        self._profiles: dict[str, Profile | None] = {}
        self._value_sets = value_sets

    def profile(self, canonical: str) -> Profile | None:
        url = canonical.partition("|")[0]
        if url not in self._profiles:
            found = self._structures.get(url)
            self._profiles[url] = None if found is None else compile_profile(found, found["snapshot"]["element"])
        return self._profiles[url]

    def resource(self, kind: str, canonical: str) -> Json | None:
        return None

    def member(self, value_set: str, coding: Coding) -> Membership:
        codes = self._value_sets.get(value_set.partition("|")[0])
        if codes is None:
            return Membership(None, "The value set is not here.")
        for row in codes:
            key, _, display = row.partition(" ")
            system, _, code = key.rpartition("|")
            if code == coding.code and coding.system in ("", system):
                return Membership(True, display=display if coding.display not in ("", display) and display else "")
        return Membership(False)

    def concept(self, coding: Coding) -> Membership:
        return Membership(None)


def changed(resource: Json, case: Json) -> Json:
    """Return a resource with the changes of a case made: `set` and `drop` by JSON Pointer; `-` appends."""
    made = copy.deepcopy(resource)
    for pointer, value in case.get("set", {}).items():
        holder, name = _holder(made, pointer)
        if isinstance(holder, list) and name in ("-", len(holder)):
            holder.append(value)
        else:
            holder[name] = value
    for pointer in case.get("drop", ()):
        holder, name = _holder(made, pointer)
        del holder[name]
    return made


def _holder(made: Any, pointer: str) -> tuple[Any, Any]:
    *way, last = pointer.split("/")[1:]
    for name in way:
        made = made[int(name)] if isinstance(made, list) else made[name]
    return made, int(last) if isinstance(made, list) and last != "-" else last


def findings(shelf: Shelf, case: Json, resource: Json) -> list[list[str]]:
    """Return severity, code and path of all that is found: by the case's profile, or in the extensions."""
    bundle = case.get("in")
    run = Run(shelf, resource, bundle=bundle, full_url=case.get("as", ""), advice=case.get("advice", False))
    if "profile" in case:
        profile = shelf.profile(BASE + case["profile"])
        assert profile is not None, case["profile"]
        found = profile.check(resource, run)
    else:
        found = check_extensions(resource, run)
    return [[row.severity, row.code, row.path] for row in found or ()]
