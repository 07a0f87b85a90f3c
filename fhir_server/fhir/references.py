"""References: their literal forms, and where they stand in a resource. https://hl7.org/fhir/R4/references.html"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape, unescape
from typing import Any

from fhir_server.fhir.definitions import r4

Json = dict[str, Any]

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")

Change = Callable[[str], str | None]
# What to do with the members of an object, by their JSON names; those that are no links and lead to none are left out.
_Steps = dict[str, Any]

_LINK, _NARRATIVE, _RESOURCE = "link", "narrative", "resource"
_URIS = ("uri", "url", "oid", "uuid")
_LINKING = {"a": "href", "img": "src"}
# XML has no `<` inside a tag, not even in quotes; that also keeps the search from running on to the end every time.
_tag = re.compile(r"""<(a|img)(\s(?:[^<>"']|"[^<"]*"|'[^<']*')*)>""")
_attribute = re.compile(r"""(\s([^\s=]+)\s*=\s*)("[^"]*"|'[^']*')""")


def is_id(text: str) -> bool:
    """Whether the text is a logical id."""
    return ID.fullmatch(text) is not None


def local_reference(text: str) -> tuple[str, str, str] | None:
    """Return (type, id, version or '') of a relative literal reference, or None."""
    found = LOCAL.fullmatch(text)
    return (found[1], found[2], found[3] or "") if found else None


def references(node: Any) -> Iterator[tuple[Json, str]]:
    """Yield every element with a literal reference, and the literal, contained resources included."""
    if type(node) is dict:
        literal = node.get("reference")
        if type(literal) is str:
            yield node, literal
        for value in node.values():
            if type(value) is dict or type(value) is list:
                yield from references(value)
    elif type(node) is list:
        for value in node:
            if type(value) is dict or type(value) is list:
                yield from references(value)


def rewrite(resource: Json, change: Change) -> Json:
    """Return the resource with its links changed: `change` gets the text of each and returns another, or None.

    Links are the literals of References, elements of type uri, url, oid and uuid, and `<a href>` and `<img src>` in
    narratives. Canonicals are not, nor is any text that merely looks like a link, such as the value of an identifier.
    Parts without a change are the same objects as before; what R4 does not define is left as it is.
    https://hl7.org/fhir/R4/http.html#trules
    """
    name = resource.get("resourceType")
    steps = _steps().get(name) if type(name) is str and name in r4().resource_types else None
    return resource if steps is None else _object(resource, steps, change)


def _object(node: Json, steps: _Steps, change: Change) -> Json:
    changed: Json | None = None
    for name, value in node.items():
        step = steps.get(name)
        if step is None:
            continue
        new = _list(value, step, change) if type(value) is list else _value(value, step, change)
        if new is not value:
            if changed is None:
                changed = dict(node)
            changed[name] = new
    return node if changed is None else changed


def _list(values: list[Any], step: Any, change: Change) -> list[Any]:
    changed: list[Any] | None = None
    for position, value in enumerate(values):
        new = _value(value, step, change)
        if new is not value:
            if changed is None:
                changed = list(values)
            changed[position] = new
    return values if changed is None else changed


def _value(value: Any, step: Any, change: Change) -> Any:
    kind = type(value)
    if kind is str:
        if step is _LINK:
            new = change(value)
            return value if new is None else new
        return _narrative(value, change) if step is _NARRATIVE else value
    if kind is not dict:
        return value
    if step is _RESOURCE:
        return rewrite(value, change)
    return _object(value, step, change) if type(step) is dict else value


def _narrative(div: str, change: Change) -> str:
    if "href" not in div and "src" not in div:
        return div

    def tag(found: re.Match[str]) -> str:
        linking = _LINKING[found[1]]

        def attribute(one: re.Match[str]) -> str:
            new = change(unescape(one[3][1:-1])) if one[2] == linking else None
            return one[0] if new is None else f"{one[1]}{one[3][0]}{escape(new)}{one[3][0]}"

        return f"<{found[1]}{_attribute.sub(attribute, found[2])}>"

    new = _tag.sub(tag, div)
    return div if new == div else new


@lru_cache(maxsize=1)
def _steps() -> dict[str, _Steps]:
    """Return the steps of every type, which hold each other as the types do."""
    types = r4().types
    steps: dict[str, _Steps] = {name: {} for name, row in types.items() if row.kind != "primitive"}
    for kind, mine in steps.items():
        for element in types[kind].elements:
            for name, ref in element.json_names().items():
                if ref.code in steps:
                    mine[name] = _RESOURCE if ref.code == "Resource" else steps[ref.code]
                    continue
                mine["_" + name] = steps["Element"]
                if ref.code in _URIS or (kind, name) == ("Reference", "reference"):
                    mine[name] = _LINK
                elif ref.code == "xhtml":
                    mine[name] = _NARRATIVE
    return steps
