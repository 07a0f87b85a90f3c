"""Every contained resource is there because something refers to it (dom-3).

https://hl7.org/fhir/R4/references.html#contained. The specification's expression walks the resource several times for
each contained one; here it is walked once. Any text that is `#id` counts as a reference.
"""

from __future__ import annotations

from typing import Any

from fhir_server.validation.findings import Findings, Json, below, is_full, refuse

_UNUSED = "The invariant dom-3 is broken: nothing refers to this contained resource, nor does it refer to its holder."


def unused_of(resource: Json) -> Findings | None:
    """Return the contained resources that nobody needs; those without an id are somebody else's finding."""
    contained = resource["contained"]
    if type(contained) is not list:
        return None
    wanted = {"#" + item["id"] for item in contained if type(item) is dict and type(item.get("id")) is str}
    unused = _not_mentioned(wanted, resource)
    found: Findings | None = None
    for index, item in enumerate(contained):
        own = item.get("id") if type(item) is dict else None
        if type(own) is str and "#" + own in unused and _not_mentioned({"#"}, item):
            found = below(f".contained[{index}]", refuse("invariant", _UNUSED), found)
            if is_full(found):
                break
    return found


def _not_mentioned(wanted: set[str], resource: Json) -> set[str]:
    """Return which of the texts are no value anywhere in a resource; level by level, as references are high up."""
    todo: list[Any] = [resource]
    for value in todo:
        for item in value.values() if type(value) is dict else value:
            if type(item) is str:
                if item in wanted:
                    wanted = wanted - {item}
                    if not wanted:
                        return wanted
            elif type(item) is dict or type(item) is list:
                todo.append(item)
    return wanted
