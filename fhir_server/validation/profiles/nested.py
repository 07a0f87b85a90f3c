"""Profiles of values: each conforms to at least one of those that its type names.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.type.profile
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.validation.findings import Finding, Findings, refuse
from fhir_server.validation.profiles.rules import Rule
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.types import core_type

Json = dict[str, Any]


def resource_rule(rows: list[Json], title: str, by: str) -> Rule:
    """Return the rule of a place for resources: of which types they may be, and with which profiles."""
    codes = [str(row.get("code")) for row in rows]
    rules = [_of_type(row, title, by) for row in rows]
    text = f"{title} is a resource of type {' or '.join(codes)}{by}"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        kind = value.get("resourceType") if type(value) is dict else None
        if type(kind) is not str:
            return None
        lineage = (*r4().ancestors(kind), "Resource")
        fitting = [rule for code, rule in zip(codes, rules, strict=True) if code in lineage]
        if not fitting:
            return refuse("structure", text)
        if len(fitting) == 1:
            return None if fitting[0] is None else fitting[0](value, beside, run)
        quiet = run.quietly()
        found = [None if rule is None else rule(value, beside, quiet) for rule in fitting]
        return None if None in found else refuse("structure", f"{title} conforms to no profile that may stand here{by}")

    return check


def profile_rules(row: Json, title: str, by: str) -> list[Rule]:
    """Return the rule of the profiles of one type of an element; none where a type of FHIR itself is among them."""
    urls = list(row.get("profile", ()))
    if not urls or any(core_type(url) for url in urls):
        return []
    return [_one(urls[0], title, by) if len(urls) == 1 else _one_of(urls, title, by)]


def _one(url: str, title: str, by: str) -> Rule:
    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if type(value) is not dict:
            return None
        profile = run.answers.profile(url)
        if profile is None:
            return _unknown([url], title, by) if run.advice else None
        return profile.check(value, run) if run.first_report(profile, value) else None

    return check


def _one_of(urls: list[str], title: str, by: str) -> Rule:
    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if type(value) is not dict:
            return None
        profiles = [run.answers.profile(url) for url in urls]
        if any(profile is not None and run.verdict(profile, value) for profile in profiles):
            return None
        if None in profiles:
            missing = [url for url, profile in zip(urls, profiles, strict=True) if profile is None]
            return _unknown(missing, title, by) if run.advice else None
        return refuse("structure", f"{title} conforms to none of {', '.join(urls)}{by}")

    return check


def _unknown(urls: list[str], title: str, by: str) -> Findings:
    text = f"{title} was not checked against {', '.join(urls)}: nobody knows that profile{by}"
    return [Finding("not-found", text, severity="warning")]


def _of_type(row: Json, title: str, by: str) -> Rule | None:
    """Return the rule of the profiles of one type, None where it has none."""
    return next(iter(profile_rules(row, title, by)), None)
