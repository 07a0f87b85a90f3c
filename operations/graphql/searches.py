"""Searches of a query: their arguments made search parameters, and their pages. https://hl7.org/fhir/R4/graphql.html#searching"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from graphql.language import FieldNode

from fhir_server.api import Json, Server
from operations.graphql.filters import Filter, Filters
from operations.graphql.limits import MAX_PAGE, PAGE
from operations.graphql.refusals import at, refused
from operations.graphql.schema import Field, Kind
from operations.graphql.values import texts

Pairs = tuple[tuple[str, str], ...]
# What shapes a Bundle of REST, which is none of GraphQL's business.
_REFUSED = frozenset(
    {"_include", "_revinclude", "_contained", "_containedType", "_summary", "_elements", "_total", "_format", "_pretty"}
    | {"_type", "_offset"}
)
_AS_WRITTEN = ("_sort", "_filter")


@dataclass(frozen=True, slots=True)
class Search:
    """One search. `reference` is the parameter that leads back to the resource it stands in, if it stands in one.

    `count` is None where all that match are asked for; `offset` and `after` say where the page of a cursor begins.
    """

    type: str
    pairs: Pairs
    reference: str = ""
    count: int | None = None
    offset: int = 0
    after: str = ""
    fhirpath: str = ""
    filter: Filter | None = None

    @property
    def is_shared(self) -> bool:
        """Whether one command can search for many resources it stands in."""
        return bool(self.reference) and self.count is None


class Searches:
    """Reads the arguments of searches, and makes what a connection says of its page."""

    def __init__(self, server: Server, filters: Filters) -> None:
        self._server = server
        self._filters = filters

    def read(self, field: Field, given: Mapping[str, Any], node: FieldNode, *, is_below: bool, is_top: bool) -> Search:
        """Return the search that a field asks for; `is_below` says that it stands in a resource.

        Raises Refused, and InvalidRequest for a cursor that this server has not made.
        """
        cursor = given.get("_cursor", given.get("cursor"))
        if cursor is not None:
            if not is_top or len(given) > 1 or not isinstance(cursor, str):
                raise refused("_cursor is an argument of the outermost fields alone, and the only one.", node)
            return self._from_cursor(field, cursor, node)
        reference = self._reference(field, given, node, is_below=is_below)
        count = given.get("_count", PAGE if field.kind is Kind.CONNECTION else None)
        if count is not None and (type(count) is not int or count < 0):
            raise refused("_count must be a whole number from 0.", node)
        condition = self._filters.of_resources(given["fhirpath"], node) if "fhirpath" in given else None
        pairs = tuple(
            _pair(field, name, value, node, is_below=is_below)
            for name, value in given.items()
            if name not in ("_count", "_reference", "fhirpath")
        )
        if count is not None and field.kind is Kind.CONNECTION:
            count = min(count, MAX_PAGE)
        return Search(field.type, pairs, reference, count, fhirpath=given.get("fhirpath", ""), filter=condition)

    def _reference(self, field: Field, given: Mapping[str, Any], node: FieldNode, *, is_below: bool) -> str:
        code = given.get("_reference")
        if not is_below:
            if code is not None:
                raise refused("_reference is for searches inside a resource, which refer to it.", node)
            return ""
        if not isinstance(code, str):
            raise refused(
                f"{field.name} inside a resource needs _reference: the search parameter that refers to it.", node
            )
        code = _code(code)
        with at(node):
            self._server.referred(field.type, code, {"resourceType": field.type})
        return code

    def _from_cursor(self, field: Field, cursor: str, node: FieldNode) -> Search:
        with at(node):
            after, offset, count, path, *rest = self._server.unsign(cursor, "$graphql", field.type)
        pairs = tuple((str(name), str(value)) for name, value in zip(rest[::2], rest[1::2], strict=True))
        condition = self._filters.of_resources(path, node) if path else None
        return Search(field.type, pairs, "", int(count), int(offset), str(after), str(path), condition)

    def page(self, search: Search, pairs: Pairs, bundle: Json, total: int | None) -> Json:
        """Return the connection of a page; `pairs` are those of the search with the reference back.

        Pages only go forward, as in REST: there are cursors of the next one and, behind it, of the first.
        """
        entries = bundle.get("entry", [])
        edges = [{**row.get("search", {}), "resource": row["resource"]} for row in entries]
        page: Json = {
            "count": total,
            "offset": search.offset,
            "pageSize": search.count,
            "pagesize": search.count,
            "edges": edges,
        }
        if search.after:
            page["first"] = self._cursor(search, pairs, "", 0)
        after = next_cursor(bundle)
        if after:
            page["next"] = self._cursor(search, pairs, after, search.offset + len(entries))
        return page

    def _cursor(self, search: Search, pairs: Pairs, after: str, offset: int) -> str:
        fields: tuple[str | int, ...] = (
            after,
            offset,
            search.count or 0,
            search.fhirpath,
            *(text for pair in pairs for text in pair),
        )
        return self._server.sign(fields, "$graphql", search.type)


def next_cursor(bundle: Json) -> str:
    """Return the cursor in the next link of a searchset, empty on its last page."""
    for link in bundle.get("link", ()):
        if link["relation"] == "next":
            pairs = parse_qsl(urlsplit(link["url"]).query)
            return next((value for name, value in pairs if name == "_cursor"), "")
    return ""


def _pair(field: Field, name: str, value: Any, node: FieldNode, *, is_below: bool) -> tuple[str, str]:
    """Return the search parameter of an argument. Of several values one must hold; a comma in a value is just that."""
    if name in _REFUSED or (is_below and name in ("id", "_id")):
        raise refused(f"{field.name} takes no argument {name} here.", node)
    written = texts(value)
    if name not in _AS_WRITTEN:
        written = [text.replace(",", "\\,") for text in written]
    return _code(name), ",".join(written)


def _code(name: str) -> str:
    """Return the search parameter of an argument: GraphQL has no hyphens in names, and FHIR's begin with none."""
    return name[:1] + name[1:].replace("_", "-")
