"""Every extension of a resource against its definition. https://hl7.org/fhir/R4/extensibility.html

A definition that nobody knows is information; of a modifier extension it is a warning, because who does not know it
must not process the element. What is nested in a known extension is its definition's business.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from fhir_server.fhir.definitions import Element, r4
from fhir_server.fhir.fhirpath.elements import resource_node
from fhir_server.validation.findings import Finding, Findings, below, is_full, refuse, shown, step
from fhir_server.validation.profiles.contexts import ANYWHERE, Contexts, Holder, broken_invariants, fits
from fhir_server.validation.profiles.profile import Profile
from fhir_server.validation.profiles.run import Run, TooMuch

Json = dict[str, Any]

_LISTS = ("extension", "modifierExtension")
_DEEPEST = 16  # extensions in extensions


def check_extensions(resource: Json, run: Run) -> Findings | None:
    """Return what is wrong with the extensions anywhere in a resource, the resources in it included. Never raises."""
    kind = resource_node(resource).type
    try:
        return _walk(resource, _Place(kind), run)
    except TooMuch:
        return [Finding("too-costly", "The extensions take more work to check than is allowed, so not all were.")]


class _Place:
    """Where the walk is: the type of the object there, what it is called in the object above, and that one's place."""

    __slots__ = ("above", "kind", "name")

    def __init__(self, kind: str, name: str = "", above: _Place | None = None) -> None:
        self.kind = kind
        self.name = name
        self.above = above

    def paths(self) -> frozenset[str]:
        """Return the ways to name it: from every type on the way, and by its own type."""
        found, tail, at = {self.kind}, "", self
        while at.above is not None:
            tail = f".{at.name}{tail}"
            at = at.above
            found.add(at.kind + tail)
        return frozenset(found)


class _Way(NamedTuple):
    """What is under a JSON name of a type: the element's name and the step to it, its type, and what kind that is."""

    name: str
    step: str
    kind: str
    is_resource: bool
    is_beside: bool


@lru_cache(maxsize=1024)
def _ways(kind: str) -> dict[str, _Way]:
    """Return what is under the JSON names of a type that may hold extensions."""
    found: dict[str, _Way] = {}
    definition = r4().types.get(kind)
    for element in definition.elements if definition is not None else ():
        if element.name not in (*_LISTS, "div"):
            _add(found, element)
    return found


def _add(found: dict[str, _Way], element: Element) -> None:
    at = step(element.name)
    for name, ref in element.json_names().items():
        if r4().types[ref.code].kind == "primitive":
            found["_" + name] = _Way(element.name, at, ref.code, False, True)
        else:
            found[name] = _Way(element.name, at, ref.code, ref.code in ("Resource", "DomainResource"), False)


def _walk(item: Json, place: _Place, run: Run) -> Findings | None:
    found: Findings | None = None
    for name in _LISTS:
        if name in item:
            holder = Holder(item, None, place.kind, place.paths())
            found = _joined(found, _extensions(item[name], name, holder, run))
    ways = _ways(place.kind)
    for name, value in item.items():
        way = ways.get(name)
        if way is None:
            continue
        if type(value) is dict:
            problems = _at(item, name, value, -1, way, place, run)
            found = found if problems is None else _joined(found, below(way.step, problems, None))
        elif type(value) is list:
            for index, one in enumerate(value):
                problems = _at(item, name, one, index, way, place, run) if type(one) is dict else None
                if problems is not None:
                    found = _joined(found, below(f"{way.step}[{index}]", problems, None))
        if found is not None and is_full(found):
            break
    return found


def _at(holder: Json, name: str, item: Json, index: int, way: _Way, place: _Place, run: Run) -> Findings | None:
    if way.is_beside:
        return _primitive(holder, name, item, index, way, place, run) if "extension" in item else None
    run.spend(1)
    if way.is_resource:
        kind = resource_node(item).type
        return _walk(item, _Place(kind), _inner(holder, item, run))
    return _walk(item, _Place(way.kind, way.name, place), run)


def _inner(holder: Json, resource: Json, run: Run) -> Run:
    if holder is run.resource:
        return run.within(resource, root=run.root, bundle=run.bundle, full_url=run.full_url)
    bundle = run.resource if run.resource.get("resourceType") == "Bundle" else run.bundle
    return run.within(resource, bundle=bundle, full_url=str(holder.get("fullUrl", "")))


def _primitive(item: Json, name: str, beside: Json, index: int, way: _Way, place: _Place, run: Run) -> Findings | None:
    value = item.get(name[1:])
    if index >= 0:
        value = value[index] if type(value) is list and index < len(value) else None
    holder = Holder(value, beside, way.kind, _Place(way.kind, way.name, place).paths())
    return _extensions(beside["extension"], "extension", holder, run)


def _extensions(rows: Any, name: str, holder: Holder, run: Run) -> Findings | None:
    found: Findings | None = None
    for index, row in enumerate(rows if type(rows) is list else ()):
        url = row.get("url") if type(row) is dict else None
        if type(url) is not str:
            continue
        run.spend(1)
        problems = _one(row, url, holder, name == "modifierExtension", run)
        if problems is not None:
            found = _joined(found, below(f".{name}[{index}]", problems, None))
    return _joined(found, _repeated(rows, name, run))


def _one(item: Json, url: str, holder: Holder, is_modifier: bool, run: Run) -> Findings | None:
    profile = run.answers.profile(url)
    if profile is None or profile.type != "Extension":
        return _unknown(item, url, holder, is_modifier, run)
    found: Findings = []
    if profile.is_modifier != is_modifier:
        wanted = "modifierExtension" if profile.is_modifier else "extension"
        found += refuse("extension", f"The extension {shown_url(url)} has to be a member of {wanted}.")
    if url not in ANYWHERE and not fits(profile.contexts, holder, run):
        found += refuse("extension", f"The extension {shown_url(url)} may not stand here; {_listed(profile.contexts)}.")
    for expression in broken_invariants(profile.context_invariants, holder, item, run):
        found += refuse("invariant", f"The extension {shown_url(url)} may stand here only where {expression}.")
    if run.first_report(profile, item):
        found += profile.check(item, run) or []
    if "extension" in item:
        found += _nested(item, holder, url, profile.parts, run) or []
    return found or None


def _listed(contexts: Contexts) -> str:
    names = [expression for _, expression in contexts]
    return "allowed: " + ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")


def _nested(item: Json, holder: Holder, url: str, parts: frozenset[str] | None, run: Run) -> Findings | None:
    """Look at the extensions in an extension: its parts have to be defined with it, others are on their own."""
    rows = item.get("extension")
    found: Findings | None = None
    at = Holder(item, None, "Extension", holder.paths | {"Extension"}, (*holder.urls, url))
    for index, row in enumerate(rows if type(rows) is list and len(holder.urls) < _DEEPEST else ()):
        name = row.get("url") if type(row) is dict else None
        if type(name) is not str or (parts is not None and name in parts):
            continue
        problems = None
        if ":" in name:
            problems = _one(row, name, at, False, run)
        elif parts is not None:
            text = f"The extension {shown_url(url)} has no part {shown(name)}; it has {', '.join(sorted(parts))}."
            problems = refuse("extension", text)
        found = _joined(found, below(f".extension[{index}]", problems, None) if problems else None)
    return found


def _unknown(item: Json, url: str, holder: Holder, is_modifier: bool, run: Run) -> Findings | None:
    """Say that nobody knows an extension, and look at those nested in it that have a definition of their own."""
    found = _nested(item, holder, url, None, run)
    if not run.advice:
        return found
    if is_modifier:
        text = (
            f"The modifier extension {shown_url(url)} is not known here; who does not know it must not use the element."
        )
        return _joined([Finding("extension", text, severity="warning")], found)
    text = f"The extension {shown_url(url)} is not known here, so it was not checked."
    return _joined([Finding("extension", text, severity="information")], found)


def _repeated(rows: Any, name: str, run: Run) -> Findings | None:
    """Return the extensions of which there are more than their definition allows in one place."""
    if type(rows) is not list or len(rows) < 2:
        return None
    counts: dict[str, int] = {}
    for row in rows:
        url = row.get("url") if type(row) is dict else None
        if type(url) is str:
            counts[url] = counts.get(url, 0) + 1
    found: Findings | None = None
    for url, count in counts.items():
        profile: Profile | None = run.answers.profile(url) if count > 1 else None
        if profile is not None and profile.most is not None and count > profile.most:
            text = (
                f"The extension {shown_url(url)} may be given {profile.most} times at most; it is given {count} times."
            )
            found = _joined(found, below(f".{name}", refuse("structure", text), None))
    return found


def shown_url(url: str) -> str:
    """Return a URL that a stranger chose, in a form that is safe to print."""
    return url if url.isprintable() and len(url) <= 200 else shown(url)


def _joined(found: Findings | None, more: Iterable[Finding] | None) -> Findings | None:
    if more is None:
        return found
    rows = list(more)
    if not rows:
        return found
    return rows if found is None else [*found, *rows]
