"""Reading what a query needs from the store, level by level: all references of a level in one command.

https://hl7.org/fhir/R4/graphql.html#references
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.api import Json, NotFound, OperationContext, TooCostly, decode_stored, local_reference
from operations.graphql.limits import MAX_COMMANDS, MAX_PAGE, MAX_RESOURCES, TOGETHER
from operations.graphql.output import Output
from operations.graphql.plan import Step
from operations.graphql.refusals import at, refusing
from operations.graphql.schema import Kind
from operations.graphql.searches import Pairs, Search, Searches, next_cursor

_VERSION = "/_history/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its resource, and the one that this is contained in, else itself again."""

    resource: Json
    container: Json


@dataclass(slots=True)
class Waiting:
    """A field whose values must be read first: on what it stands, and where in the answer they go.

    `suffix` and `in_list` are what flattened objects around it make of its name and values.
    """

    step: Step
    value: Json
    place: Place
    output: Output | Json
    suffix: str = ""
    in_list: bool = False


Found = list[tuple[Any, Place]]


class Loader:
    """Reads for one query. A resource that is needed again is not read again."""

    def __init__(self, context: OperationContext, searches: Searches) -> None:
        self._context = context
        self._searches = searches
        self._known: dict[str, Json | None] = {}
        self._read = 0
        self._commands = 0

    async def load(self, level: Sequence[Waiting]) -> list[Found]:
        """Return what each field waits for. Raises Refused for what is not there and may not be missing."""
        keys = [self._key(waiting) for waiting in level]
        await self._read_all(dict(zip(keys, level, strict=True)))
        shared = await self._search_together([w for w in level if w.step.search is not None])
        return [
            await self._found(waiting, shared) if waiting.step.search is not None else self._resource(waiting, key)
            for key, waiting in zip(keys, level, strict=True)
        ]

    async def _read_all(self, level: Mapping[str, Waiting]) -> None:
        wanted = {key: waiting.step for key, waiting in level.items() if key and key not in self._known}
        current = dict.fromkeys(key.partition(_VERSION)[0] for key in wanted)
        found = await self._context.records.read_many(list(current)) if current else {}
        for key, step in wanted.items():
            self._spend(step)
            plain, _, version = key.partition(_VERSION)
            record = found.get(plain)
            if version and (record is None or record.version != int(version)):
                self._spend_command(step)
                record = await self._context.records.vread(plain, int(version))
            self._known[key] = None if record is None or record.deleted else decode_stored(record.raw)

    def _key(self, waiting: Waiting) -> str:
        """Return the key of the resource a field waits for, empty where there is none to read."""
        step = waiting.step
        if step.field.kind is Kind.READ:
            return f"{step.field.type}/{step.id}"
        if step.field.kind is not Kind.TARGET:
            return ""
        literal = waiting.value.get("reference", "")
        found = local_reference(literal.removeprefix(f"{self._context.server.base_url}/"))
        if found is None or (step.types and found[0] not in step.types) or not _is_version(found[2]):
            return ""
        return f"{found[0]}/{found[1]}" + (f"{_VERSION}{found[2]}" if found[2] else "")

    def _resource(self, waiting: Waiting, key: str) -> Found:
        """Return the resource that was read, or is contained; of another type than asked for it is left out."""
        step = waiting.step
        if step.field.kind is Kind.READ:
            found = self._known[key]
            if found is None:
                raise refusing(NotFound(f"There is no {step.field.type}/{step.id}."), step.node)
            return [(found, Place(found, found))]
        literal = waiting.value.get("reference", "")
        container = waiting.place.container
        if literal[:1] == "#":
            found = next((c for c in container.get("contained", ()) if c.get("id") == literal[1:]), None)
            found = container if literal == "#" else found
        else:
            if not key and _other_type(literal, step):
                return []
            found = self._known[key] if key else None
            container = found or container
        if found is None:
            if step.is_optional:
                return []
            raise refusing(
                NotFound(f"{literal[:200] or 'A reference without a literal'} cannot be resolved."), step.node
            )
        if step.types and found["resourceType"] not in step.types:
            return []
        return [(found, Place(found, container))]

    async def _search_together(self, level: Sequence[Waiting]) -> dict[tuple[int, str], list[Json]]:
        """Search for many resources at once what refers to them. Returns what was found by field and resource."""
        found: dict[tuple[int, str], list[Json]] = {}
        by_step: dict[int, list[Waiting]] = {}
        for waiting in level:
            if waiting.step.search is not None and waiting.step.search.is_shared:
                by_step.setdefault(id(waiting.step), []).append(waiting)
        for number, group in by_step.items():
            step = group[0].step
            assert step.search is not None, "they are grouped by their search"
            search = step.search
            owners = list(dict.fromkeys(key for key in map(_owner, group) if key))
            for start in range(0, len(owners), TOGETHER):
                some = owners[start : start + TOGETHER]
                pairs = (*search.pairs, (search.reference, ",".join(some)))
                for resource in await self._all(step, search, pairs):
                    for key in self._context.server.referred(search.type, search.reference, resource) & set(some):
                        found.setdefault((number, key), []).append(resource)
        return found

    async def _found(self, waiting: Waiting, shared: dict[tuple[int, str], list[Json]]) -> Found:
        step, search = waiting.step, waiting.step.search
        assert search is not None, "only searches come here"
        owner = _owner(waiting)
        if search.reference and not owner:
            return []  # nothing refers to a contained resource from outside
        if search.is_shared:
            return self._kept(search, shared.get((id(step), owner), []))
        pairs = (*search.pairs, (search.reference, owner)) if search.reference else search.pairs
        if step.field.kind is Kind.CONNECTION:
            return await self._page(step, search, pairs)
        return self._kept(search, await self._all(step, search, pairs))

    async def _all(self, step: Step, search: Search, pairs: Pairs) -> list[Json]:
        """Return what matches: everything, or as many as _count says. More than there may be is refused, never cut."""
        found: list[Json] = []
        after = search.after
        while True:
            size = MAX_PAGE if search.count is None else min(search.count - len(found), MAX_PAGE)
            bundle = await self._bundle(step, search.type, (*pairs, ("_count", str(size))), after)
            found += [row["resource"] for row in bundle["entry"]]
            after = next_cursor(bundle)
            if not after or len(found) == search.count:
                return found

    async def _page(self, step: Step, search: Search, pairs: Pairs) -> Found:
        bundle = await self._bundle(step, search.type, (*pairs, ("_count", str(search.count))), search.after)
        total = bundle.get("total")
        if total is None and step.below is not None and any(s.field.name == "count" for s in step.below.steps):
            counted = await self._bundle(step, search.type, (*pairs, ("_summary", "count")), "")
            total = counted.get("total")
        page = self._searches.page(search, pairs, bundle, total)
        if search.filter is not None:
            kept = {id(resource) for resource, _ in self._kept(search, [e["resource"] for e in page["edges"]])}
            page["edges"] = [edge for edge in page["edges"] if id(edge["resource"]) in kept]
        return [(page, Place(page, page))]

    async def _bundle(self, step: Step, of_type: str, pairs: Pairs, after: str) -> Json:
        self._spend_command(step)
        with at(step.node):
            bundle = await self._context.server.search(of_type, (*pairs, ("_cursor", after)) if after else pairs)
        rows = [row for row in bundle.get("entry", ()) if row["search"]["mode"] == "match"]
        bundle["entry"] = rows
        self._spend(step, len(rows))
        return bundle

    def _kept(self, search: Search, found: list[Json]) -> Found:
        if search.filter is not None:
            found = [resource for resource in found if search.filter([resource], resource)]
        return [(resource, Place(resource, resource)) for resource in found]

    def _spend_command(self, step: Step) -> None:
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            text = f"The query needs more than {MAX_COMMANDS} searches. Lists without _count are searched for together."
            raise refusing(TooCostly(text), step.node)

    def _spend(self, step: Step, resources: int = 1) -> None:
        self._read += resources
        if self._read > MAX_RESOURCES:
            text = f"The query reads more than {MAX_RESOURCES} resources. Narrow it, or page with a Connection."
            raise refusing(TooCostly(text), step.node)


def _owner(waiting: Waiting) -> str:
    """Return the key of the resource that a search stands in; none on the system and for a contained one."""
    resource = waiting.place.resource
    is_whole = resource is waiting.place.container and "id" in resource
    return f"{resource['resourceType']}/{resource['id']}" if is_whole else ""


def _is_version(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit() and len(text) < 10)


def _other_type(literal: str, step: Step) -> bool:
    """Whether a reference says by itself that it is not of the types asked for."""
    found = local_reference("/".join(literal.split("/")[-2:])) if step.types else None
    return found is not None and found[0] not in step.types
