"""$closure: a client's own table of which codes subsume which. https://hl7.org/fhir/R4/conceptmap-operation-closure.html

The table is kept as a ConceptMap of the tenant. It is changed only in the version that was read, so that of two clients
who add codes at the same moment one goes second and is told the pairs of both.
"""

from __future__ import annotations

from asyncio import sleep, to_thread
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from itertools import islice

from fhir_server.api import (
    BusinessRule,
    Conflict,
    InvalidRequest,
    Issue,
    Json,
    NotFound,
    NotSupported,
    Operation,
    OperationContext,
    PreconditionFailed,
    TooCostly,
    Unprocessable,
    decode_stored,
)
from terminology.asking import answering, sources
from terminology.closing import MAX_CODES, System, Table, read_table, table_id
from terminology.codesystem import CodeSystem
from terminology.failures import Contentless, Unknown, canonical
from terminology.fetching import settled
from terminology.shapes import shaped
from terminology.sources import Sources
from terminology.stored import StoredCodeSystem
from terminology.subsuming import Pair, fetch, pairs_with
from terminology.versions import split

MAX_NAME = 200
MAX_ADDED = 1_000
MAX_PAIRS = 100_000  # in one answer
LARGE = 100_000  # codes times the concepts of their system
TRIES = 20
PAUSE = 0.005  # seconds, longer with each try


@answering
async def closure(context: OperationContext) -> Json:
    """Begin a table anew, add codes to it, or tell again what came since a version; answers with what is new.

    Raises NotFound for a name nobody began, Unprocessable for codes that are unknown, for a version that is yet to
    come, and where the table must be begun anew because its code system is here in other versions only.
    """
    said = context.parameters
    name = str(said.one("name"))
    if not name.strip() or len(name) > MAX_NAME:
        raise InvalidRequest(f"The name of a table has 1 to {MAX_NAME} characters.", location="http.name")
    codings = [shaped(row, "Coding") for row in said.all("concept")]
    if len(codings) > MAX_ADDED:
        raise TooCostly(f"{MAX_ADDED} codes may be added at once; these are {len(codings)}.")
    for attempt in range(1, TRIES + 1):
        with suppress(PreconditionFailed, Conflict):
            if not codings and said.one("version") is None:
                return await _begin(context, name)
            return await _add(context, name, codings)
        await sleep(PAUSE * attempt)
    raise Conflict(f"The closure table {name!r} is being changed by too many clients at once. Try again.")


async def _begin(context: OperationContext, name: str) -> Json:
    """Empty the table; versions go on, so that no client takes a new one for an old one."""
    table, etag = await _read(context, name)
    fresh = Table(name) if table is None else Table(name, table.version + 1)
    await _write(context, fresh, etag)
    return _answer(context, fresh, [])


async def _add(context: OperationContext, name: str, codings: list[Json]) -> Json:
    table, etag = await _read(context, name)
    if table is None:
        raise NotFound(f"There is no closure table {name!r}. Begin it: call $closure with the name alone.")
    since = _since(context, table)
    found, before = sources(context), table.version
    table.version += 1
    opened = await _take(found, table, codings)
    if not table.added_now:
        table.version = before
    elif table.size > MAX_CODES:
        raise TooCostly(f"A closure table may have {MAX_CODES} codes; use several.")
    groups = await _groups(found, table, since, opened)
    if table.version > before:
        await _write(context, table, etag)
    return _answer(context, table, groups)


def _since(context: OperationContext, table: Table) -> int:
    """Return the version after which everything is told."""
    text = context.parameters.one("version")
    if text is None:
        return table.version
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidRequest("version is the number that a former answer had as its version.", location="http.version")
    if int(text) > table.version:
        raise Unprocessable(
            f"The closure table {table.name!r} is in version {table.version}; there was no version {text} yet.",
            expression="Parameters.parameter",
        )
    return int(text)


async def _take(found: Sources, table: Table, codings: list[Json]) -> dict[str, CodeSystem]:
    """Add what the table does not have yet, and return the code systems it was found in."""
    wanted: dict[str, dict[str, None]] = {}
    issues: list[Issue] = []
    opened: dict[str, CodeSystem] = {}
    for place, coding in enumerate(codings):
        url, code = coding.get("system", ""), coding.get("code", "")
        where = f"Parameters.parameter.where(name = 'concept')[{place}].value"
        if not url or not code:
            issues.append(Issue("required", "A concept needs a system and a code.", where))
            continue
        if url not in opened:
            opened[url] = await _open(found, table, url, str(coding.get("version", "")))
            await fetch(opened[url], (str(c.get("code")) for c in codings if c.get("system") == url))
        source = opened[url]
        if coding.get("version") not in (None, source.version):
            text = f"The closure table has codes of {canonical(url, source.version)}; it can have one version alone."
            issues.append(Issue("business-rule", text, where))
            continue
        node = source.get(code)
        if node is None:
            text = f"The code system {canonical(url, source.version)} has no code {code[:64]!r}."
            issues.append(Issue("code-invalid", text, where))
        elif url not in table.systems or node.code not in table.systems[url].added:
            wanted.setdefault(url, {})[node.code] = None
    if issues:
        raise Unprocessable(issues=issues)
    for url, codes in wanted.items():
        table.add(url, opened[url].version, codes)
    return opened


async def _open(found: Sources, table: Table, url: str, version: str) -> CodeSystem:
    """Return the code system in the version that the table has codes of, else in the one that is asked for."""
    known = table.systems.get(url)
    try:
        source = await found.code_system(*((url, known.version) if known is not None else split(f"{url}|{version}")))
    except Unknown as unknown:
        if known is None or not unknown.versions:
            raise
        raise BusinessRule(
            f"The closure table {table.name!r} must be begun anew: it is of {canonical(url, known.version)}, "
            f"and here is {', '.join(unknown.versions)}."
        ) from unknown
    if not source.has_content:
        raise Contentless(url, source.version)
    if not source.subsumes_by_hierarchy:
        meaning = source.head["hierarchyMeaning"]
        raise NotSupported(f"The hierarchy of {url} is {meaning}: no code of it subsumes another.")
    return source


async def _groups(found: Sources, table: Table, since: int, opened: Mapping[str, CodeSystem]) -> list[Json]:
    """Return the pairs that came after a version, as groups of a ConceptMap."""
    groups, count = [], 0
    for url, system in table.systems.items():
        new = system.since(since)
        if not new:
            continue
        source = opened[url] if url in opened else await _open(found, table, url, "")
        await fetch(source, system.added)
        above: dict[str, list[Json]] = {}
        for code, target in await _found_pairs(source, new, system):
            above.setdefault(code, []).append({"code": target, "equivalence": "subsumes"})
            count += 1
        if count > MAX_PAIRS:
            raise TooCostly(f"More than {MAX_PAIRS} pairs are new; ask with a later version, or add fewer codes.")
        version = {"sourceVersion": source.version, "targetVersion": source.version} if source.version else {}
        elements = [{"code": code, "target": targets} for code, targets in above.items()]
        if elements:
            groups.append({"source": url, "target": url, **version, "element": elements})
    return groups


async def _found_pairs(source: CodeSystem, new: list[str], system: System) -> list[Pair]:
    """Return the new pairs; of many codes of a large system in memory in a thread, while others are served."""
    if not isinstance(source, StoredCodeSystem) and len(new) * source.count > LARGE:
        return await to_thread(_pairs, source, new, system)
    return await settled(partial(_pairs, source, new, system))


def _pairs(source: CodeSystem, new: list[str], system: System) -> list[Pair]:
    return list(islice(pairs_with(source, new, system.added), MAX_PAIRS + 1))


async def _read(context: OperationContext, name: str) -> tuple[Table | None, int]:
    """Return the table as it is, or None, and the version of its ConceptMap. Raises BusinessRule for a damaged one."""
    stored = await context.records.read(f"ConceptMap/{table_id(name)}")
    if stored is None or stored.deleted:
        return None, 0
    try:
        return read_table(name, decode_stored(stored.raw)), stored.version
    except ValueError:
        raise BusinessRule(
            f"ConceptMap/{table_id(name)} is not as $closure wrote it. Delete it, and begin the table {name!r} anew."
        ) from None


async def _write(context: OperationContext, table: Table, etag: int) -> None:
    """Keep the table. Raises PreconditionFailed or Conflict where somebody else was faster."""
    resource = table.resource()
    condition = {"ifMatch": f'W/"{etag}"'} if etag else {"ifNoneMatch": "*"}
    request = {"method": "PUT", "url": f"ConceptMap/{resource['id']}", **condition}
    await context.server.execute(
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": resource, "request": request}]}
    )


def _answer(context: OperationContext, table: Table, groups: list[Json]) -> Json:
    when = datetime.fromtimestamp(context.server.now() / 1000, UTC).isoformat(timespec="seconds")
    made: Json = {
        "resourceType": "ConceptMap",
        "id": context.server.new_id(),
        "version": str(table.version),
        "name": "Closure",
        "title": f"Updates for the closure table {table.name}",
        "status": "active",
        "experimental": True,
        "date": when.replace("+00:00", "Z"),
    }
    return {**made, "group": groups} if groups else made


OPERATION = Operation(definition=files(__name__) / "definition.json", system=closure)
