"""References: by id, by type and id, by URL, by the target's type or identifier.

https://hl7.org/fhir/R4/search.html#reference. A literal reference is found without regard to its version, a canonical
one by its URL with or without.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.references import is_id
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, unsupported
from fhir_server.search.matching.token import asked_token
from fhir_server.search.query import Filter, unescape
from fhir_server.search.values import reference_key, tokens

WANTED = "an id, a Type/id or a URL"

_TYPED = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class ReferenceAsked:
    """A parsed reference: `key` is `Type/id`, an id alone (`is_id`), or the URL as it is; a version is left out."""

    key: str
    is_id: bool


def asked_reference(text: str, base_url: str = "") -> ReferenceAsked:
    """Return the reference of a search value, still escaped. Raises ValueError with what was wanted."""
    key = reference_key(unescape(text), base_url)
    if not key or any(c.isspace() for c in key):
        raise ValueError(WANTED)
    return ReferenceAsked(key, is_id(key))


def type_of(key: str) -> str:
    """Return the resource type that a reference names, or '' where it names none."""
    match = _TYPED.fullmatch(key)
    return match[1] if match and match[1] in r4().resource_types else ""


def reference_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a reference filter. Raises InvalidRequest."""
    if one.modifier == "identifier":
        return _identifier(one)
    target = one.parameter.target_type
    if one.modifier:
        if one.modifier not in r4().resource_types:
            raise unsupported(one)
        check_target(one)
        target = one.modifier
    return _literal(one, setting, target)


def check_target(one: Filter) -> None:
    """Refuse a type that the parameter never refers to. Raises InvalidRequest."""
    targets = one.parameter.targets
    allowed = (one.parameter.target_type,) if one.parameter.target_type else targets
    if allowed and one.modifier not in allowed:
        raise InvalidRequest(
            f"{one.parameter.code} never refers to a {one.modifier}; it refers to {', '.join(allowed)}.",
            location=one.location,
        )


def _literal(one: Filter, setting: Setting, target: str) -> NodesTest:
    base_url = setting.base_url
    wanted = [asked(one, lambda text: asked_reference(text, base_url), value) for value in one.values]
    ids = {a.key for a in wanted if a.is_id}
    keys = {a.key for a in wanted if not (a.is_id and target)}
    types = frozenset((target,) if target else one.parameter.targets)

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            literal = _literal_of(node.value)
            if literal is None:
                continue
            key = reference_key(literal, base_url)
            if key in keys or (type(node.value) is str and key.partition("|")[0] in keys):
                if not target or _may_be(key, node.value, target):
                    return True
            elif ids and "://" not in key:
                kind, _, own = key.rpartition("/")
                if own in ids and kind and (not types or kind in types):
                    return True
        return False

    return test


def _literal_of(value: Any) -> str | None:
    if type(value) is dict:
        literal = value.get("reference")
        return literal if type(literal) is str and literal[:1] != "#" else None
    return value if type(value) is str else None


def _may_be(key: str, value: Any, target: str) -> bool:
    """Whether a reference may be to the type: what it says itself decides, and a URN says nothing."""
    said = type_of(key) or (value.get("type") if type(value) is dict else "")
    return not said or said == target


def _identifier(one: Filter) -> NodesTest:
    wanted = [asked(one, asked_token, value) for value in one.values]

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            if type(node.value) is dict:
                for system, code in tokens(node.value.get("identifier"), "Identifier"):
                    folded = code.casefold()
                    if any(s in (None, system) and c in (None, folded) for s, c in wanted):
                        return True
        return False

    return test
