"""References in the index. https://hl7.org/fhir/R4/search.html#reference"""

from __future__ import annotations

from fhir_server.fhir.definitions import r4
from fhir_server.search.conditions.condition import Condition, Index
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.reference import asked_reference, check_target
from fhir_server.search.matching.token import asked_token
from fhir_server.search.query import Filter
from fhir_server.search.terms import ANY_SYSTEM, SEPARATOR

# What a handful of resources refer to, so that the others need not be looked for in windows of time.
NARROW_TARGETS = ("Patient/", "Encounter/", "EpisodeOfCare/", "Observation/", "Specimen/", "Composition/")


def reference(one: Filter, index: Index) -> Condition:
    """Return the condition of a reference filter; raises InvalidRequest."""
    name = index.name(one.parameter)
    if one.modifier == "identifier":
        asks = [asked(one, asked_token, value) for value in one.values]
        texts = [
            f"{name}:identifier{SEPARATOR}{ANY_SYSTEM if system is None else system}{SEPARATOR}{code or ''}"
            for system, code in asks
        ]
        return Condition(index.texts(texts), exact=not one.parameter.target_type)
    if one.modifier:
        if one.modifier not in r4().resource_types:
            raise unsupported(one)
        check_target(one)
    keys = [key for value in one.values for key in reference_keys(one, value, index.setting.base_url)]
    broad = not all(key.startswith(NARROW_TARGETS) for key in keys)
    said = one.modifier or one.parameter.target_type
    exact = not said or all(key.startswith(said + "/") for key in keys)
    return Condition(index.texts((name + SEPARATOR + key for key in keys), broad=broad), exact)


def reference_keys(one: Filter, value: str, base_url: str) -> list[str]:
    """Return the keys a reference value can mean: a bare id is tried with every type the parameter refers to."""
    parameter = one.parameter
    ask = asked(one, lambda text: asked_reference(text, base_url), value)
    said = one.modifier if one.modifier != "identifier" else ""
    said = said or parameter.target_type
    if ask.is_id:
        return [f"{said}/{ask.key}"] if said else [*(f"{target}/{ask.key}" for target in parameter.targets), ask.key]
    if said and "://" not in ask.key and not ask.key.startswith((said + "/", "urn:")):
        return []
    return [ask.key]
