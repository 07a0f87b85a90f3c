"""What a reference points to, as far as its text tells. https://hl7.org/fhir/R4/references.html#literal"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhir_server.fhir.definitions import r4


def literal_target(reference: str) -> tuple[str, str] | None:
    """Return (resource type, id) of `Patient/1`, `http://x/fhir/Patient/1/_history/2` or `Patient?identifier=1`.

    The id of a conditional reference is empty. None for fragments, URNs and everything else.
    """
    types = r4().resource_types
    head, slash, rest = reference.partition("/")
    if slash and head in types:
        return head, rest.partition("/")[0].partition("#")[0]
    head, question, _ = reference.partition("?")
    if question and head in types:
        return head, ""
    if ":" not in reference:
        return None
    parts = reference.partition("?")[0].partition("#")[0].split("/")
    if len(parts) > 4 and parts[-2] == "_history":
        del parts[-2:]
    if len(parts) > 2 and parts[-2] in types and reference.startswith(("http:", "https:")):
        return parts[-2], parts[-1]
    return None


def stated_type(reference: dict[str, Any]) -> str | None:
    """Return the resource type that Reference.type states, a canonical of the base definition included."""
    stated = reference.get("type")
    if type(stated) is not str:
        return None
    name = stated.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    return name if name in r4().resource_types else None


def contained_resource(container: dict[str, Any], fragment: str) -> dict[str, Any] | None:
    """Return what `#id` means inside a container: one of its contained resources, or itself for `#`."""
    if fragment == "#":
        return container
    for resource in _contained(container):
        if resource.get("id") == fragment[1:]:
            return resource
    return None


def contained_resources(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return {`#id`: what it means inside a container}, for who has many references to look up."""
    found = {"#": container}
    for resource in _contained(container):
        own = resource.get("id")
        if type(own) is str:
            found.setdefault("#" + own, resource)
    return found


def _contained(container: dict[str, Any]) -> list[dict[str, Any]]:
    contained = container.get("contained")
    return [row for row in contained if type(row) is dict] if type(contained) is list else []


def target_type(
    reference: Any, container: dict[str, Any], contained: Callable[[str], dict[str, Any] | None] | None = None
) -> str | None:
    """Return the type of resource a Reference points to, without reading it; None if nothing tells.

    `contained` gives what `#id` means; without it the container is searched.
    """
    if type(reference) is not dict:
        return None
    text = reference.get("reference")
    if type(text) is str:
        if text[:1] == "#":
            resource = contained(text) if contained is not None else contained_resource(container, text)
            return resource.get("resourceType") if resource is not None else stated_type(reference)
        target = literal_target(text)
        if target is not None:
            return target[0]
    return stated_type(reference)
