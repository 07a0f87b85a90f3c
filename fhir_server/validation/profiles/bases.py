"""What the base definition says of an element: what a profile repeats of it is not checked a second time.

https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.definitions import Definitions, Element
from fhir_server.validation.profiles.bindings import maximum
from fhir_server.validation.profiles.constraints import keys
from fhir_server.validation.profiles.slots import ProfileError, Slot

Json = dict[str, Any]

_SYSTEM = "http://hl7.org/fhirpath/"


def element_of(definitions: Definitions, slot: Slot, owner: str) -> Element | None:
    """Return the element of a type that a profile means; a choice may be written with its type, `valueQuantity`."""
    definition = definitions.types[owner]
    base = definition.element(slot.name.removesuffix("[x]"))
    if base is None:
        base = next((row for row in definition.elements if row.choice and slot.name in row.json_names()), None)
    return base


def base_of(definitions: Definitions, slot: Slot, owner: str) -> Element:
    """Return the element of a type that a profile means. Raises ProfileError where it has none."""
    base = element_of(definitions, slot, owner)
    if base is None:
        raise ProfileError(slot.id, f"{owner} has no element {slot.name}.")
    return base


def codes_of(slot: Slot, base: Element) -> list[str]:
    """Return the types that a profile allows; those of FHIRPath are what primitives are made of."""
    if base.choice and not slot.name.endswith("[x]") and slot.name in base.json_names():
        return [base.json_names()[slot.name].code]
    listed = [code for row in slot.types() if not (code := str(row.get("code"))).startswith(_SYSTEM)]
    return [ref.code for ref in base.types] if not listed or "*" in listed else listed


def is_bound_already(definition: Json, base: Element | None, others: list[Json]) -> bool:
    """Whether an element has no binding, or that of the base definition or of one of the others."""
    binding = definition.get("binding")
    if type(binding) is not dict or any(row.get("binding") == binding for row in others):
        return True
    own = (binding.get("strength"), str(binding.get("valueSet")).partition("|")[0])
    return base is not None and base.binding == own and not maximum(binding)


def known_keys(definitions: Definitions, kind: str, base: Element | None, others: list[Json]) -> frozenset[str]:
    """Return the keys of the constraints that values of a type keep there anyway."""
    types = definitions.types
    known = {row.key for row in base.constraints} if base is not None else set()
    for name in definitions.ancestors(kind):
        known |= {row.key for row in types[name].constraints}
    parent, _, last = kind.rpartition(".")
    element = types[parent].element(last) if parent in types else None
    known |= {row.key for row in element.constraints} if element is not None else set()
    return frozenset(known).union(*map(keys, others))
