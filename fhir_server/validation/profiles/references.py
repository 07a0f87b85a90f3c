"""References against a profile: what they may lead to, how, and whether to a version.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.type.targetProfile
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.references import target_type
from fhir_server.validation.findings import Finding, Findings, refuse, shown
from fhir_server.validation.profiles.rules import Rule
from fhir_server.validation.profiles.run import Run, Target
from fhir_server.validation.profiles.types import base_type, core_type

Json = dict[str, Any]

_HOW = {"contained": ("contained",), "bundled": ("bundled", "referenced"), "referenced": ("referenced",)}


def reference_rules(row: Json, base: tuple[str, ...], title: str, by: str) -> list[Rule]:
    """Return the rules of the References of an element; `base` are the types that the base definition allows."""
    rules: list[Rule] = []
    urls = tuple(row.get("targetProfile", ()))
    names = [core_type(url) for url in urls]
    if urls and "Resource" not in names and set(names) != set(base):
        rules.append(_targets(urls, title, by))
    modes = row.get("aggregation")
    if modes and not {"contained", "referenced"} <= set(modes):
        rules.append(_aggregated(tuple(modes), title, by))
    if row.get("versioning") in ("specific", "independent"):
        rules.append(_versioned(row["versioning"] == "specific", title, by))
    return rules


def _targets(urls: tuple[str, ...], title: str, by: str) -> Rule:
    listed = ", ".join(core_type(url) or url for url in urls)

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if type(value) is not dict:
            return None
        text = value.get("reference")
        target = run.find(text) if type(text) is str else None
        kind = target.resource.get("resourceType") if target is not None else target_type(value, run.root)
        if type(kind) is not str or kind not in r4().types:
            return None
        fitting = [url for url in urls if (name := base_type(url, run)) is None or name in r4().ancestors(kind)]
        if not fitting:
            return refuse("value", f"{title} refers to {shown(kind)}; allowed: {listed}{by}")
        return None if target is None else _conforming(target, fitting, title, by, run)

    return check


def _conforming(target: Target, urls: list[str], title: str, by: str, run: Run) -> Findings | None:
    """Return whether a resource that is here conforms to one of the profiles."""
    if any(core_type(url) for url in urls):
        return None
    profiles = [run.answers.profile(url) for url in urls]
    at = run.at(target)
    if any(profile is not None and at.verdict(profile, target.resource) for profile in profiles):
        return None
    if None in profiles:
        if not run.advice:
            return None
        unknown = ", ".join(url for url, profile in zip(urls, profiles, strict=True) if profile is None)
        text = f"{title} was not checked against {unknown}: nobody knows that profile{by}"
        return [Finding("not-found", text, severity="warning")]
    text = (
        f"{title} refers to a resource that conforms to none of {', '.join(urls)}; validate it by itself to see why{by}"
    )
    return refuse("structure", text)


def _aggregated(modes: tuple[str, ...], title: str, by: str) -> Rule:
    listed = " or ".join(modes)

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        text = value.get("reference") if type(value) is dict else None
        if type(text) is not str:
            return None
        target = run.find(text)
        how = "contained" if text[:1] == "#" else "referenced" if target is None else target.how
        if not set(_HOW[how]).isdisjoint(modes) or (how == "referenced" and run.bundle is None and "bundled" in modes):
            return None
        return refuse("value", f"{title} leads to a resource that is {how}; it has to be {listed}{by}")

    return check


def _versioned(is_specific: bool, title: str, by: str) -> Rule:
    wanted = "to a version (Type/id/_history/version)" if is_specific else "to no version"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        text = value.get("reference") if type(value) is dict else None
        if type(text) is not str or text[:1] == "#" or ("/_history/" in text) is is_specific:
            return None
        return refuse("value", f"{title} has to refer {wanted}{by}")

    return check
