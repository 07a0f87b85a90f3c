"""$validation-policy and $set-validation-policy: which profiles a tenant's resources are held to when they are written.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fhir_server.api import InvalidRequest, Json, Operation, OperationContext, Requirement, ValidationPolicy

CLAIMED = ("strict", "warn", "ignore")
MATCH = ("all", "any")
LEVEL = ("strict", "warn")
MAX_PROFILES = 500  # every write of their types is held to them, and every worker keeps them
PARTS = {"type": "valueCode", "profile": "valueCanonical", "match": "valueCode", "level": "valueCode"}


async def policy(context: OperationContext) -> Json:
    """Answer with the policy in force."""
    return _shown(context.server.validation_policy)


async def set_policy(context: OperationContext) -> Json:
    """Replace the policy, which is short, as a whole: nobody has to know what was there to know what is.

    Raises InvalidRequest for words that it does not know and for more than 500 profiles, Unprocessable for types and
    profiles that are not known.
    """
    said = context.parameters
    claimed: Any = _one_of("claimed", said.one("claimed") or "strict", CLAIMED)
    required = tuple(_requirement(parts, place) for place, parts in enumerate(said.all("required")))
    if sum(len(one.profiles) for one in required) > MAX_PROFILES:
        raise InvalidRequest(f"A policy may require {MAX_PROFILES} profiles.", location="http.required")
    await context.server.set_validation_policy(ValidationPolicy(claimed, required))
    return _shown(context.server.validation_policy)


def _requirement(parts: Any, place: int) -> Requirement:
    where = f"required[{place}]"
    given: dict[str, list[str]] = {}
    for part in parts:
        name = part.get("name")
        if name not in PARTS or not isinstance(part.get(PARTS[name]), str):
            raise InvalidRequest(f"The parts of {where} are {_forms()}.", location=f"http.{where}")
        given.setdefault(name, []).append(part[PARTS[name]])
    for name in ("type", "profile"):
        if name not in given:
            raise InvalidRequest(f"{where} needs the part {name}.", location=f"http.{where}")
    for name in ("type", "match", "level"):
        if len(given.get(name, ())) > 1:
            raise InvalidRequest(f"{where} has the part {name} once.", location=f"http.{where}")
    match: Any = _one_of(f"{where}.match", given.get("match", ["all"])[0], MATCH)
    level: Any = _one_of(f"{where}.level", given.get("level", ["strict"])[0], LEVEL)
    return Requirement(given["type"][0], tuple(dict.fromkeys(given["profile"])), match, level)


def _forms() -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in PARTS.items())


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(allowed)}.", location=f"http.{name}")
    return value


def _shown(found: ValidationPolicy) -> Json:
    rows: list[Json] = [{"name": "claimed", "valueCode": found.claimed}]
    for one in found.required:
        parts: list[Json] = [{"name": "type", "valueCode": one.type}]
        parts += [{"name": "profile", "valueCanonical": url} for url in one.profiles]
        parts += [{"name": "match", "valueCode": one.match}, {"name": "level", "valueCode": one.level}]
        rows.append({"name": "required", "part": parts})
    return {"resourceType": "Parameters", "parameter": rows}


OPERATION = Operation(definition=files(__name__) / "asking.json", system=policy)
SETTING = Operation(definition=files(__name__) / "setting.json", system=set_policy)
