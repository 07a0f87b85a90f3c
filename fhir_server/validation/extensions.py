"""Extensions: a url, and either a value or further extensions. https://hl7.org/fhir/R4/extensibility.html#Extension"""

from __future__ import annotations

import re

from fhir_server.validation.elements import Shape, object_of
from fhir_server.validation.findings import Checker, Findings, Held, Json, JsonValue, refuse
from fhir_server.validation.primitives import uri

_is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f\x7f\ud800-\udfff]+").fullmatch


def extension_of(shape: Shape) -> Checker:
    """Return the checker of an Extension of this shape."""
    check_object = object_of(shape)

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        found = check_object(item, parent, depth, held)
        if found is not None and (type(item) is not dict or not item):
            return found
        has_value = not shape.choices["value"].isdisjoint(item)
        if has_value != ("extension" in item):
            return found
        if has_value:
            return (found or []) + refuse("structure", "An extension has either a value or extensions, not both.")
        return found or refuse("required", "An extension has a value or extensions; this one has neither.")

    return check


def url(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept the absolute URL that says what the extension means."""
    if type(item) is str and _is_absolute(item):
        return None
    return uri(item, parent, depth, held) or refuse("value", "The url of an extension is absolute.")


def nested_url(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept the name of a part of a complex extension, or an absolute URL."""
    return uri(item, parent, depth, held)
