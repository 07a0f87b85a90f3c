"""What the types of an element say: profiles of the value, profiles of what a reference leads to.

https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.type
"""

from __future__ import annotations

from fhir_server.fhir.definitions import r4
from fhir_server.validation.profiles.run import Run
from fhir_server.validation.profiles.slots import Slot

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def core_type(url: str) -> str | None:
    """Return the type of FHIR itself that a canonical names, None for profiles."""
    name = url.partition("|")[0].removeprefix(_DEFINITION)
    return name if name in r4().types else None


def base_type(url: str, run: Run | None) -> str | None:
    """Return the type that a profile is about; None where nobody knows the profile. Without a run: core types only."""
    name = core_type(url)
    if name is not None or run is None:
        return name
    profile = run.answers.profile(url)
    return None if profile is None else profile.type


def profiles_of(slot: Slot, code: str = "") -> tuple[str, ...]:
    """Return the profiles of the element's types (or of the one type): a value conforms to at least one of them."""
    return tuple(url for row in slot.types() if code in ("", row.get("code")) for url in row.get("profile", ()))


def target_profiles(slot: Slot) -> tuple[str, ...]:
    """Return the profiles of what the element's references lead to."""
    rows = [row for row in slot.types() if row.get("code") == "Reference"]
    return tuple(url for row in rows for url in row.get("targetProfile", ()))
