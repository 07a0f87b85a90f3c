"""References and canonicals: their form, and whether the type they name may stand there.

https://hl7.org/fhir/R4/references.html#literal
"""

from __future__ import annotations

import re

from fhir_server.validation.findings import (
    Checker,
    Findings,
    Held,
    Json,
    JsonValue,
    did_you_mean,
    refuse,
    wrong_kind,
)
from fhir_server.validation.primitives import uri

_ID = r"[A-Za-z0-9\-.]{1,64}"
_is_rest = re.compile(rf"{_ID}(?:/_history/{_ID})?").fullmatch
_is_urn = re.compile(
    r"urn:(?:uuid:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|oid:[0-2](?:\.(?:0|[1-9][0-9]*))+)"
).fullmatch
_is_url = re.compile(r"https?://[^\s/?#]+(?P<path>[^\s]*)", re.IGNORECASE).fullmatch
_ends_in_type = re.compile(rf"/(?P<type>[A-Za-z]+)/{_ID}(?:/_history/{_ID})?\Z").search
_is_condition = re.compile(r"(?P<type>[A-Za-z]+)\?[^\s]+").fullmatch
_is_canonical = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s|]+(?:\|[^\s|]+)?").fullmatch

_FORMS = "A reference is Type/id, an absolute URL, urn:uuid:, urn:oid: or #id of a contained resource."


class ReferenceRules:
    """Makes the checkers of `Reference.reference`, `Reference.type` and canonicals.

    Conditional references (`Patient?identifier=...`) are only right where the server resolves them: in a transaction.
    """

    def __init__(self, resource_types: frozenset[str], *, conditional: bool) -> None:
        self._types = resource_types
        self._conditional = conditional

    def targets(self, names: tuple[str, ...]) -> frozenset[str]:
        """Return the resource types an element may refer to; no names, or `Resource`, mean any."""
        if not names or "Resource" in names:
            return self._types
        return frozenset(names)

    def literal(self, allowed: frozenset[str]) -> Checker:
        """Return the checker of `Reference.reference` where it may point to these types."""

        def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
            if type(item) is not str:
                return wrong_kind("a string", item)
            kind, _, rest = item.partition("/")
            if kind in allowed and _is_rest(rest):
                return None
            return self._explain(item, allowed, held)

        return check

    def type_name(self, allowed: frozenset[str]) -> Checker:
        """Return the checker of `Reference.type`, which must agree with what `reference` says."""

        def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
            if type(item) is not str or item not in self._types:
                return uri(item, parent, depth, held)
            literal = parent.get("reference")
            named = literal.partition("/")[0] if type(literal) is str else ""
            if named in self._types and named != item:
                return refuse("value", f"The type says {item}, the reference says {named}.")
            return self._refuse_type(item, allowed)

        return check

    def _explain(self, item: str, allowed: frozenset[str], held: Held) -> Findings | None:
        """Look at everything that is not a plain Type/id of an allowed type."""
        if _is_urn(item):
            return None
        if item.startswith("#"):
            kind = held.get(item[1:])
            return self._refuse_type(kind, allowed) if kind in self._types else _local(item, held)
        if match := _is_url(item):
            end = _ends_in_type(match["path"])
            return self._refuse_type(end["type"], allowed) if end and end["type"] in self._types else None
        if match := _is_condition(item):
            if not self._conditional:
                return refuse("value", "Conditional references are resolved in transactions only; refer to Type/id.")
            return self._refuse_type(match["type"], allowed)
        kind, _, rest = item.partition("/")
        return self._refuse_type(kind, allowed) if _is_rest(rest) else refuse("value", _FORMS)

    def _refuse_type(self, kind: str, allowed: frozenset[str]) -> Findings | None:
        if kind in allowed:
            return None
        if kind not in self._types:
            return refuse("value", f"The reference names an unknown resource type.{did_you_mean(kind, self._types)}")
        return refuse("value", f"A reference to {kind} is not allowed here; allowed: {', '.join(sorted(allowed))}.")


def canonical(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept an absolute URI with an optional `|version`, or the `#id` of a contained resource."""
    if type(item) is not str:
        return wrong_kind("a string", item)
    if _is_canonical(item):
        return None
    if item.startswith("#"):
        return _local(item, held)
    return refuse("value", "A canonical is an absolute URI, with |version if one is meant, or #id.")


def _local(item: str, held: Held) -> Findings | None:
    """Check that `#id` leads to a contained resource, `#` to the resource that contains."""
    return None if item[1:] in held else refuse("not-found", "There is no contained resource with this id.")
