"""What a resource points to: its References, and every other text that may name an entry of the same Bundle."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from fhir_server.validation.findings import Json, step

# Other types have an element `reference` too, a uri: Expression, DetectedIssue, Immunization.education.
_OF_A_REFERENCE = frozenset({"id", "extension", "reference", "_reference", "type", "_type", "identifier"}) | {
    "display",
    "_display",
}
_linked = re.compile(r"""\s(?:href|src)\s*=\s*(?:"([^"<]*)"|'([^'<]*)')""").finditer


class Links:
    """The literal references of a resource with the elements they stand in, and all its other texts that are links.

    Resources that it contains belong to it. A Bundle points nowhere: what is in it is its own affair.
    """

    def __init__(self, resource: Json) -> None:
        self.references: list[tuple[Json, str]] = []
        self.texts: set[str] = set()
        self._resource = resource
        todo: list[Any] = [] if resource.get("resourceType") == "Bundle" else [resource]
        for node in todo:
            if type(node) is list:
                for value in node:
                    self._value("", value, node, todo)
                continue
            for name, value in node.items():
                self._value(name, value, node, todo)

    def path_of(self, element: Json) -> str:
        """Return the FHIRPath of an element below the resource."""
        return _path(self._resource, element) or ""

    def _value(self, name: str, value: Any, node: Any, todo: list[Any]) -> None:
        if type(value) is dict or type(value) is list:
            todo.append(value)
        elif type(value) is not str:
            return
        elif name == "reference" and _OF_A_REFERENCE.issuperset(node):
            self.references.append((node, value))
        elif name == "div":
            self.texts.update(unescape(found[1] or found[2] or "") for found in _linked(value))
        elif ":" in value:
            self.texts.add(value)


def _path(node: Any, element: Json) -> str | None:
    """Return the way from a node to an element in it; resources are as deep as JSON may be."""
    if node is element:
        return ""
    is_list = type(node) is list
    for key, value in enumerate(node) if is_list else node.items():
        if type(value) is dict or type(value) is list:
            below = _path(value, element)
            if below is not None:
                return (f"[{key}]" if is_list else step(str(key))) + below
    return None
