"""A searcher that reads every resource and applies the rules one by one: slow, plain, and the judge of the server's.

https://hl7.org/fhir/R4/search.html. It shares the FHIRPath engine and the table of units with the server, and nothing
of fhir_server.search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from urllib.parse import parse_qsl

from fhir_server.fhir.definitions import SearchParameter, r4
from fhir_server.fhir.fhirpath import Environment, Node, compile
from tests.conformance.search import ordering, words
from tests.conformance.search.defined import BadQuery, implied_system, parameter, parameters
from tests.conformance.search.elements import Json, Place, key_of, link
from tests.conformance.search.filtering import filtered
from tests.conformance.search.rules import RULES, Asked, split, unescape

CONTROL = frozenset(
    ["_sort", "_count", "_total", "_summary", "_elements", "_type", "_format", "_contained", "_containedType"]
)
JOINS = frozenset({"_include", "_revinclude"})
BASE_URL = "http://testserver/fhir"


class Oracle:
    """Searches a fixed set of resources. `now` is in milliseconds."""

    def __init__(
        self, resources: Iterable[Json], base_url: str = BASE_URL, now: Callable[[], int] | None = None
    ) -> None:
        self.resources = {key_of(r): r for r in resources}
        self.base_url = base_url
        self._now = now or (lambda: int(time.time() * 1000))
        self._nodes: dict[tuple[int, str], list[Node]] = {}

    def search(self, url: str) -> list[str]:
        """Return the keys of all that match `Type?query`, `?query` or `Type/id/Type?query`, in the server's order."""
        path, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        shaped = dict(pairs)
        if shaped.get("_contained", "false") != "false":
            return self._contained(path, pairs, shaped)
        found = [r for r in self._scope(path, pairs) if self.matches(Place(r, r), pairs)]
        sort = next((value for name, value in reversed(pairs) if name == "_sort"), "")
        return [key_of(r) for r in ordering.ordered(self, found, sort)]

    def _contained(self, path: str, pairs: Sequence[tuple[str, str]], shaped: dict[str, str]) -> list[str]:
        """https://hl7.org/fhir/R4/search.html#contained: by their containers unless `_containedType` is contained."""
        found = {}
        for resource in self.resources.values():
            inner = [Place(c, resource) for c in resource.get("contained", ())]
            own = [Place(resource, resource)] if shaped["_contained"] == "both" else []
            for place in (p for p in [*own, *inner] if p.type == path and self.matches(p, pairs)):
                is_shown = place in own or shaped.get("_containedType") == "contained"
                found[key_of(place.resource if is_shown else resource)] = None
        return sorted(found)

    def matches(self, place: Place, pairs: Sequence[tuple[str, str]]) -> bool:
        """Whether a resource meets every parameter: repeated ones are ANDed. #combining"""
        return all(self.meets(place, n, v) for n, v in pairs if n.partition(":")[0] not in CONTROL | JOINS and v)

    def meets(self, place: Place, name: str, value: str) -> bool:
        """Whether a resource meets one parameter: of the values between commas any may hold."""
        if name.startswith("_has:"):
            return self._has(place, name, value)
        head, dot, rest = name.partition(".")
        code, _, modifier = head.partition(":")
        if dot:
            return any(self.meets(target, rest, value) for target in self._targets(place, code, modifier))
        special = {"_list": self._in_list, "_text": words.in_narrative, "_content": words.in_content}.get(code)
        if special:
            return any(special(place.resource, unescape(v)) for v in split(value, ","))
        if code == "_filter":
            return filtered(self, place, value)
        return self._plain(place, code, modifier, value)

    def _plain(self, place: Place, code: str, modifier: str, value: str) -> bool:
        nodes = self.nodes(place, code)
        if modifier == "missing":
            if value not in ("true", "false"):
                raise BadQuery(value)
            return bool(nodes) is (value == "false")
        negated = modifier == "not"
        met = any(
            self.answers(place, code, node, "" if negated else modifier, one)
            for one in split(value, ",")
            for node in nodes
        )
        return met is not negated

    def answers(self, place: Place, code: str, node: Node, modifier: str, value: str) -> bool:
        """Whether one value of a parameter answers one value of the query."""
        defined = parameter(place.type, code)
        if defined.type == "composite":
            return self._composite(place, defined, node, value)
        if code == "_id":
            return bool(node.value == value)
        if code == "url" and "|" in value:  # of a definition: https://hl7.org/fhir/R4/search.html#uri
            return [node.value, place.resource.get("version")] == split(unescape(value), "|")
        system = implied_system(place.type, code) if defined.type == "token" else ""
        asked = Asked(value, modifier, defined.targets, system, self.base_url, self._now())
        return RULES[defined.type](node, asked)

    def _composite(self, place: Place, defined: SearchParameter, node: Node, value: str) -> bool:
        """https://hl7.org/fhir/R4/search.html#composite: all components hold in the same element."""
        parts = split(value, "$")
        if len(parts) != len(defined.components):
            raise BadQuery(value)
        for (url, expression), part in zip(defined.components, parts, strict=True):
            own = next(p for p in parameters(place.type).values() if p.url == url)
            written = expression.replace("as(DateTime)", "as(dateTime)")  # no type has the name the definition says
            found = compile(written, node.type).evaluate(node, resource=place.resource)
            if not any(self.answers(place, own.code, n, "", part) for n in found if n.value is not None):
                return False
        return True

    def nodes(self, place: Place, code: str) -> list[Node]:
        """Return the elements a parameter reads; one with extensions and no value is none. #modifiers, `:missing`"""
        at = (id(place.resource), code)
        if at not in self._nodes:
            defined = parameter(place.type, code)
            lent = Environment(resolve=lambda reference: self._stand_in(place, reference))
            found = compile(defined.expression, place.type).evaluate(
                place.resource, root=place.container, environment=lent
            )
            self._nodes[at] = [n for n in found if n.value is not None and not _is_only_extended(n.value)]
        return self._nodes[at]

    def _stand_in(self, place: Place, reference: str) -> Json | None:
        """Return a resource of the type a reference says, whether there is one or not: only `is` is asked of it."""
        target = self._target(place, reference)
        if target is not None:
            return target.resource
        parts = reference.partition("/_history/")[0].split("/")
        return {"resourceType": parts[-2]} if len(parts) > 1 and parts[-2] in r4().resource_types else None

    def _targets(self, place: Place, code: str, modifier: str) -> Iterator[Place]:
        """Yield what a reference parameter points to, contained resources included. #chaining, #contained"""
        for node in self.nodes(place, code):
            named = self.named(node)
            inner = self._target(place, node.value["reference"]) if _is_inside(node) else None
            for target in (inner,) if inner else (Place(self.resources[k], self.resources[k]) for k in sorted(named)):
                if modifier in ("", target.type):
                    yield target

    def _target(self, place: Place, literal: str) -> Place | None:
        if literal.startswith("#"):
            inner = next((c for c in place.container.get("contained", ()) if "#" + c.get("id", "") == literal), None)
            return Place(inner, place.container) if inner else None
        found = self.resources.get(link(literal, self.base_url))
        return Place(found, found) if found else None

    def _has(self, place: Place, name: str, value: str) -> bool:
        """https://hl7.org/fhir/R4/search.html#has"""
        _, kind, code, rest = name.split(":", 3)
        return any(self.refers(r, code, key_of(place.resource)) and self.meets(r, rest, value) for r in self._all(kind))

    def named(self, node: Node) -> set[str]:
        """Return the keys of what is there of what a Reference or a canonical names: of a version, where it names one.

        https://hl7.org/fhir/R4/references.html#canonical
        """
        if isinstance(node.value, dict):
            key = link(node.value.get("reference", ""), self.base_url)
            return {key} & self.resources.keys()
        url, _, version = str(node.value).partition("|")
        named = (key for key, r in self.resources.items() if r.get("url") == url and version in ("", r.get("version")))
        return set(named)

    def refers(self, place: Place, code: str, key: str) -> bool:
        """Whether a reference parameter of a resource points to a key of this server."""
        links = (n.value.get("reference", "") for n in self.nodes(place, code) if isinstance(n.value, dict))
        return any(link(literal, self.base_url) == key for literal in links) or any(
            key in self.named(n) for n in self.nodes(place, code) if isinstance(n.value, str)
        )

    def _all(self, kind: str) -> Iterator[Place]:
        return (Place(r, r) for r in self.resources.values() if not kind or r["resourceType"] == kind)

    def _scope(self, path: str, pairs: Sequence[tuple[str, str]]) -> list[Json]:
        """Return what is searched: all, the types of `_type`, one type, or a compartment. #contexts"""
        parts = [p for p in path.split("/") if p and p != "_search"]
        named = next((v.split(",") for n, v in pairs if n == "_type"), [])
        kinds = parts[-1:] if len(parts) in (1, 3) and parts[-1] != "*" else named
        found = [p for p in self._all("") if not kinds or p.type in kinds]
        if len(parts) > 1:
            found = [p for p in found if self._in_compartment(p, parts[0], f"{parts[0]}/{parts[1]}")]
        return [p.resource for p in found]

    def _in_compartment(self, place: Place, compartment: str, key: str) -> bool:
        """https://hl7.org/fhir/R4/compartmentdefinition.html; the resource it is named for is in it."""
        members = r4().compartments[compartment]
        codes_of_type = members.get(place.type, ())
        return key_of(place.resource) == key or any(
            self.refers(place, c, key) for c in codes_of_type if c in parameters(place.type)
        )

    def _in_list(self, resource: Json, list_id: str) -> bool:
        """https://hl7.org/fhir/R4/search.html#list"""
        entries = self.resources.get(f"List/{list_id}", {}).get("entry", ())
        return key_of(resource) in (link(e["item"].get("reference", ""), self.base_url) for e in entries)


def _is_only_extended(value: object) -> bool:
    return isinstance(value, dict) and not value.keys() - {"id", "extension"}


def _is_inside(node: Node) -> bool:
    return isinstance(node.value, dict) and str(node.value.get("reference", "")).startswith("#")
