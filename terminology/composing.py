"""From a ValueSet resource to a value set that answers: everything it refers to is found, once, before it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from terminology.codesystem import CodeSystem
from terminology.failures import Broken, Contentless, TerminologyError, TooHard, Unknown, canonical
from terminology.fetching import settled
from terminology.filters import compile_filter
from terminology.relations import Test
from terminology.sources import Sources
from terminology.valueset import MAX_EFFORT, Entry, Selection, ValueSet, effort_of
from terminology.versions import split

Json = dict[str, Any]

MAX_NESTED = 30
MAX_INCLUDES = 2_000


@dataclass
class Composer:
    """Builds the value sets of one request. A value set that is imported twice is built once."""

    sources: Sources
    versions_match: bool | None = None
    _built: dict[str, ValueSet] = field(default_factory=dict)
    _includes: int = 0
    _effort: int = 0

    async def named(self, name: str, path: tuple[str, ...] = ()) -> ValueSet:
        """Return the value set of a canonical, `url` or `url|version`. Raises Unknown, Broken, Unsupported."""
        url, version = split(name)
        resource = await self.sources.value_set(url, version)
        own = canonical(url, str(resource.get("version", "")))
        if own in path:
            raise Broken(_circle(own, path), reason="cycle")
        if len(path) >= MAX_NESTED:
            raise Broken(f"Value sets import each other over more than {MAX_NESTED} levels, down to {own}.")
        if own not in self._built:
            self._built[own] = await self.build(resource, (*path, own))
        return self._built[own]

    async def build(self, resource: Json, path: tuple[str, ...] = ()) -> ValueSet:
        """Return a value set from its resource; `path` are the canonicals that led here."""
        compose = resource.get("compose")
        stored = _stored(resource)
        if compose is None:
            return ValueSet(resource, (), (), True, stored if stored is not None else {})
        includes = await self._selections(resource, compose, "include", path)
        excludes = await self._selections(resource, compose, "exclude", path)
        usable = all(s.missing is None or s.listed is not None for s in includes + excludes)
        with_inactive = compose.get("inactive") is not False
        used = None if usable else stored
        return ValueSet(resource, includes, excludes, with_inactive, used, self.versions_match)

    async def _selections(
        self, resource: Json, compose: Json, kind: str, path: tuple[str, ...]
    ) -> tuple[Selection, ...]:
        rows: Sequence[Json] = compose.get(kind, ())
        self._includes += len(rows)
        if self._includes > MAX_INCLUDES:
            raise Broken(f"The value set {resource.get('url', '')} has more than {MAX_INCLUDES} includes and excludes.")
        return tuple(
            [await self._selection(resource, row, f"ValueSet.compose.{kind}[{i}]", path) for i, row in enumerate(rows)]
        )

    async def _selection(self, resource: Json, row: Json, where: str, path: tuple[str, ...]) -> Selection:
        imports = tuple([await self._imported(resource, name, path) for name in row.get("valueSet", ())])
        system, version = row.get("system", ""), row.get("version", "")
        if not system:
            if not imports:
                raise Broken("An include or exclude needs a system or a value set.", where)
            return Selection("", "", None, None, (), imports)
        listed = {str(c["code"]): c for c in row["concept"] if "code" in c} if row.get("concept") else None
        source, missing = await self._source(system, version)
        if source is not None:
            # The concepts of a stored one cost nothing yet.
            self._effort += len(source.nodes) * effort_of(row.get("filter", ()))
            if self._effort > MAX_EFFORT:
                raise TooHard(str(resource.get("url", "")))
        tests = await settled(lambda: _tests(row, source, where))
        found = source.version if source else version
        filters = tuple(row.get("filter", ()))
        return Selection(system, found, source, listed, tests, imports, missing, version, filters)

    async def _source(self, system: str, version: str) -> tuple[CodeSystem | None, TerminologyError | None]:
        try:
            source = await self.sources.code_system(system, version)
        except Unknown as unknown:
            return None, unknown
        return source, None if source.has_content else Contentless(system, source.version)

    async def _imported(self, resource: Json, name: str, path: tuple[str, ...]) -> ValueSet:
        if not name.startswith("#"):
            return await self.named(name, path)
        inside = next((c for c in resource.get("contained", ()) if c.get("id") == name[1:]), None)
        if inside is None or inside.get("resourceType") != "ValueSet":
            raise Unknown("ValueSet", name)
        if name in path:
            raise Broken(_circle(name, path), reason="cycle")
        siblings = {"contained": resource["contained"]}
        return replace(await self.build({**inside, **siblings}, (*path, name)), is_contained=True)


def _tests(row: Json, source: CodeSystem | None, where: str) -> tuple[Test, ...]:
    """Return the tests of an include's filters.

    A filter on a system without content tests nothing: the selection raises what is missing before it comes to that.
    """
    filters: Sequence[Json] = row.get("filter", ())
    if source is None or not source.has_content:
        return tuple(_never for _ in filters)
    return tuple(compile_filter(f, source, f"{where}.filter[{i}]") for i, f in enumerate(filters))


def _never(_: object) -> bool:
    return False


def _stored(resource: Json) -> Mapping[tuple[str, str], Entry] | None:
    """Return the codes of a stored expansion, or None where there is none or only a part of it."""
    expansion = resource.get("expansion")
    if not isinstance(expansion, dict) or expansion.get("offset"):
        return None
    found: dict[tuple[str, str], Entry] = {}
    waiting: list[Json] = list(reversed(expansion.get("contains", ())))
    while waiting:
        row = waiting.pop()
        if "code" in row:
            system = row.get("system", "")
            found[system, row["code"]] = Entry(system, row.get("version", ""), row["code"], row)
        waiting += reversed(row.get("contains", ()))
    return None if expansion.get("total", 0) > len(found) else found


def _circle(own: str, path: Sequence[str]) -> str:
    return f"Cyclic reference detected when including {own} via [{', '.join(path)}]"
