"""A query string taken apart: filters, order, page, includes, and what of it is not understood.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.subsets import SUMMARIES
from fhir_server.search.paging import CURSOR
from fhir_server.search.parameters import Parameter, Parameters

MAX_VALUES = 1000
MAX_LINKS = 32
MAX_FILTERS = 200
# Parameters of the HTTP layer and of paging, which mean nothing to a search.
PASSED_OVER = frozenset({"_format", "_pretty", CURSOR})
# What shapes the result and is given once; of several the last one counts.
SINGLE = frozenset({"_sort", "_count", "_total", "_summary", "_elements", "_contained", "_containedType"})
TOTALS = ("none", "estimate", "accurate")
CONTAINED = ("false", "true", "both")
CONTAINED_TYPES = ("container", "contained")
_ITERATE = frozenset({"", "iterate"})


@dataclass(frozen=True, slots=True)
class Filter:
    """One parameter of the query: any of its values may hold. `chain` is what follows the dot of `subject.name`.

    `per_type` has the parameter of each type where several types or all are searched: each has an index of its own.
    """

    parameter: Parameter
    modifier: str
    values: tuple[str, ...]
    chain: str = ""
    per_type: tuple[Parameter, ...] = ()

    @property
    def location(self) -> str:
        """Where the filter stands in the request, for issues about it."""
        return f"http.{self.parameter.code}"


@dataclass(frozen=True, slots=True)
class Reverse:
    """`_has:Observation:patient:code=1234`: resources that one of `source` refers to by `reference`, and `rest` holds.

    `rest` is a parameter of the source as a query names it, so it may be a chain or another `_has`.
    """

    source: str
    reference: Parameter
    rest: str
    value: str

    @property
    def location(self) -> str:
        """Where it stands in the request."""
        return f"http._has:{self.source}:{self.reference.code}:{self.rest[:64]}"


@dataclass(frozen=True, slots=True)
class Include:
    """`_include=Encounter:subject:Patient`; an empty parameter is the wildcard, and so is an empty source.

    With `iterate` it is followed from what other includes bring, too.
    """

    source: str
    parameter: str
    target: str = ""
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What a search asks. `types` is empty for all types; `given` is the query as understood, for the self link."""

    types: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    reverses: tuple[Reverse, ...] = ()
    expressions: tuple[str, ...] = ()
    lists: tuple[tuple[str, ...], ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()
    count: int | None = None
    includes: tuple[Include, ...] = ()
    reverse_includes: tuple[Include, ...] = ()
    total: str = ""
    summary: str = ""
    elements: tuple[str, ...] = ()
    contained: str = "false"
    contained_type: str = "container"
    cursor: str = ""
    given: tuple[tuple[str, str], ...] = ()
    issues: tuple[Issue, ...] = field(default=())


class QueryParser:
    """Reads query strings; one for the server."""

    def __init__(self, parameters: Parameters, resource_types: frozenset[str]) -> None:
        self._parameters = parameters
        self.resource_types = resource_types

    def parse(self, resource_type: str, pairs: Sequence[tuple[str, str]], *, strict: bool) -> SearchQuery:
        """Return the query of decoded name and value pairs; an empty type searches all.

        What is not understood is an issue of the result, or InvalidRequest when `strict` (Prefer: handling=strict).
        """
        reading = _Reading(self._parameters, self.resource_types, resource_type)
        for name, value in sorted(pairs, key=lambda pair: pair[0] != "_type"):  # what else is there depends on it
            reading.take(name, value)
        query = reading.query()
        if strict and query.issues:
            raise InvalidRequest(issues=[Issue(i.code, i.diagnostics, location=i.location) for i in query.issues])
        return query


class _Reading:
    """The state of reading one query string."""

    def __init__(self, parameters: Parameters, types: frozenset[str], resource_type: str) -> None:
        self._parameters = parameters
        self._all_types = types
        self._types: tuple[str, ...] = (resource_type,) if resource_type else ()
        self._single: dict[str, str] = {}
        self._filters: list[Filter] = []
        self._reverses: list[Reverse] = []
        self._expressions: list[str] = []
        self._lists: list[tuple[str, ...]] = []
        self._includes: list[Include] = []
        self._reverse: list[Include] = []
        self._given: list[tuple[str, str]] = []
        self._issues: list[Issue] = []

    def take(self, name: str, value: str) -> None:
        if name in PASSED_OVER:
            if name == CURSOR:
                self._single[name] = value
            return
        if (name, value) in self._given:
            return  # said twice
        plain = name.partition(":")[0]
        if name in SINGLE:
            self._single[name] = value
            taken = True
        elif name == "_type" and not self._types:
            self._types = tuple(dict.fromkeys(self._known_type(t, name) for t in value.split(",")))
            taken = True
        elif plain in ("_include", "_revinclude"):
            taken = self._include(name, plain, value)
        elif value == "":
            taken = self._unknown(name, "has no value and is left out")
        elif plain == "_has":
            taken = self._reverse_chain(name, value)
        elif name == "_filter":
            self._expressions.append(value)
            taken = True
        elif name == "_list":
            self._lists.append(tuple(split(value, ",")))
            taken = True
        else:
            taken = self._filter(name, value)
        if taken:
            self._given.append((name, value))
        if len(self._given) > MAX_FILTERS:
            raise InvalidRequest(f"A search can have {MAX_FILTERS} parameters at most.", location=f"http.{name[:64]}")

    def _known_type(self, text: str, where: str) -> str:
        if text not in self._all_types:
            raise InvalidRequest(f"{where}: there is no resource type {text[:64]!r}.", location=f"http.{where}")
        return text

    def _include(self, given: str, name: str, value: str) -> bool:
        modifier = given.partition(":")[2]
        if modifier not in _ITERATE:
            text = f"{given[:64]} has a modifier that does not exist; there is :iterate."
            raise InvalidRequest(issues=[Issue("not-supported", text, location=f"http.{name}")])
        rows = self._includes if name == "_include" else self._reverse
        if value == "*":
            rows.append(Include("", "", "", bool(modifier)))
            return True
        source, _, rest = value.partition(":")
        parameter, _, target = rest.partition(":")
        self._known_type(source, name)
        if target:
            self._known_type(target, name)
        if parameter != "*":
            found = self._parameters.of(source).get(parameter)
            if found is None or found.type != "reference":
                raise InvalidRequest(
                    f"{name}: {source} has no reference parameter {parameter[:64]!r}.", location=f"http.{name}"
                )
        rows.append(Include(source, "" if parameter == "*" else parameter, target, bool(modifier)))
        return True

    def _reverse_chain(self, name: str, value: str) -> bool:
        _, _, rest = name.partition(":")
        source, _, rest = rest.partition(":")
        reference, _, rest = rest.partition(":")
        if not rest:
            raise InvalidRequest(
                "_has is written _has:Observation:patient:code=1234: the type, its reference, and what it must meet.",
                location=f"http.{name[:100]}",
            )
        self._known_type(source, "_has")
        found = self._parameters.of(source).get(reference)
        if found is None or found.type != "reference":
            raise InvalidRequest(
                f"_has: {source} has no reference parameter {reference[:64]!r}.", location=f"http.{name[:100]}"
            )
        _bound_links(name)
        self._reverses.append(Reverse(source, found, rest, value))
        return True

    def _filter(self, name: str, value: str) -> bool:
        head, _, chain = name.partition(".")
        code, _, modifier = head.partition(":")
        parameter = self._parameter(code)
        if parameter is None and self._is_being_indexed(code):
            return self._unknown(name, "is a search parameter that is still being indexed; try again later")
        if parameter is None:
            return self._unknown(name, "is not a search parameter here")
        if not parameter.expression and code not in ("_text", "_content"):
            return self._unknown(name, "is a search parameter that reads nothing this server could index")
        values = tuple(split(value, ","))
        if len(values) > MAX_VALUES:
            raise InvalidRequest(f"{code}: at most {MAX_VALUES} values can be asked for.", location=f"http.{code}")
        _bound_links(name)
        self._filters.append(Filter(parameter, modifier, values, chain, self._per_type(code)))
        return True

    def _per_type(self, code: str) -> tuple[Parameter, ...]:
        if len(self._types) == 1:
            return ()
        found = (self._parameters.of(t).get(code) for t in self._types or sorted(self._all_types))
        return tuple(p for p in found if p is not None)

    def _parameter(self, code: str) -> Parameter | None:
        if self._types:
            found = [self._parameters.of(t).get(code) for t in self._types]
            return found[0] if all(found) else None
        return self._parameters.of("Resource").get(code)

    def _is_being_indexed(self, code: str) -> bool:
        return any(code in self._parameters.unready(t) for t in self._types or ("Resource",))

    def _unknown(self, name: str, why: str) -> bool:
        self._issues.append(Issue("not-supported", f"{name[:100]} {why}.", "", "warning", f"http.{name[:100]}"))
        return False

    def query(self) -> SearchQuery:
        single = self._single
        return SearchQuery(
            types=self._types,
            filters=tuple(self._filters),
            reverses=tuple(self._reverses),
            expressions=tuple(self._expressions),
            lists=tuple(self._lists),
            sort=self._sort(single.get("_sort", "")),
            count=_count(single.get("_count", "")),
            includes=tuple(self._includes),
            reverse_includes=tuple(self._reverse),
            total=_one_of("_total", single.get("_total", ""), TOTALS),
            summary=_one_of("_summary", single.get("_summary", ""), SUMMARIES),
            elements=tuple(e.strip() for e in single.get("_elements", "").split(",") if e.strip()),
            contained=_one_of("_contained", single.get("_contained", ""), CONTAINED) or "false",
            contained_type=_one_of("_containedType", single.get("_containedType", ""), CONTAINED_TYPES) or "container",
            cursor=single.get(CURSOR, ""),
            given=tuple(self._given),
            issues=tuple(self._issues),
        )

    def _sort(self, value: str) -> tuple[tuple[str, bool], ...]:
        keys = []
        for text in filter(None, value.split(",")):
            code = text.removeprefix("-")
            if self._parameter(code) is None:
                self._unknown("_sort", f"names {code[:64]!r}, which is not a search parameter here, and is left out")
                continue
            keys.append((code, text.startswith("-")))
        return tuple(keys)


def _bound_links(name: str) -> None:
    if name.count(".") + name.count(":") // 3 > MAX_LINKS:
        raise InvalidRequest(f"{name[:64]}: a chain has {MAX_LINKS} links at most.", location=f"http.{name[:64]}")


def _count(value: str) -> int | None:
    if not value:
        return None
    if not value.isascii() or not value.isdigit():
        raise InvalidRequest("_count must be a whole number from 0.", location="http._count")
    return int(value[:9])


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value and value not in allowed:
        raise InvalidRequest(f"{name} must be one of {', '.join(allowed)}.", location=f"http.{name}")
    return value


def split(value: str, separator: str) -> list[str]:
    """Return the parts between separators that are not escaped; the parts stay escaped themselves.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    if "\\" not in value:
        return value.split(separator)
    parts, start, position = [], 0, 0
    while position < len(value):
        if value[position] == "\\":
            position += 1
        elif value[position] == separator:
            parts.append(value[start:position])
            start = position + 1
        position += 1
    return [*parts, value[start:]]


def unescape(text: str) -> str:
    """Return a value without the backslashes that keep `,` `$` `|` and `\\` from their meaning in queries."""
    return re.sub(r"\\([,$|\\])", r"\1", text) if "\\" in text else text
