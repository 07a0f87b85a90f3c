"""Which resource each entry of a transaction is about: known before any link to it is written.

https://hl7.org/fhir/R4/http.html#trules. Conditions are looked up inside the transaction, so that what they match holds
at the commit; `call.records` are the transaction's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.api.errors import Failure, InvalidRequest, PreconditionFailed
from fhir_server.api.ports import Answer
from fhir_server.api.records import Draft, Stored
from fhir_server.interactions.conditional import (
    Query,
    criterion,
    id_taken,
    matches,
    parse_criteria,
    reservation,
    single_match,
)
from fhir_server.interactions.drafting import body_id
from fhir_server.interactions.entries import Entry, at_entry
from fhir_server.interactions.services import Call

# The interactions that write the resource of their entry.
DRAFTED = ("create", "update", "conditional-update")


@dataclass(slots=True)
class Work:
    """What the transaction is to do; made anew for every try, so that nothing of a failed one is left.

    `keys` tells where a link leads, `named` which resource an entry is about, `touched` which entry a resource is in,
    `previous` what the resources are before.
    """

    previous: dict[str, Stored] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    named: dict[int, str] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    creates: list[tuple[Entry, Draft]] = field(default_factory=list)
    changes: list[tuple[Entry, Draft, Stored]] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)


async def name(call: Call, entries: list[Entry], ids: dict[int, str], work: Work) -> None:
    """Find out under which key each entry's resource will be, before any link to it is written."""
    for entry in entries:
        kind = entry.route.interaction
        try:
            if kind == "create":
                key = await _create_key(call, entry, ids[entry.index], work)
            elif kind == "conditional-update":
                key = await _update_key(call, entry, ids[entry.index], work)
            elif kind in ("conditional-patch", "conditional-delete"):
                key = await single_match(call, entry.route.type, entry.request.query) or ""
                work.previous.update(await call.records.current([key]) if key else {})
            elif kind in ("update", "patch", "delete"):
                key = entry.route.key
            else:
                continue
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None
        work.named[entry.index] = key
        other = work.touched.setdefault(key, entry.index) if key else entry.index
        if other != entry.index and not (entry.index in work.answers and other in work.answers):
            first, second = sorted((other, entry.index))
            raise InvalidRequest(
                f"Entries {first} and {second} are about the same resource.", expression=f"Bundle.entry[{second}]"
            )
        if entry.full_url and key:
            work.keys[entry.full_url] = key
            if entry.full_url.startswith("http"):  # a relative link means the same entry
                work.keys["/".join(entry.full_url.rsplit("/", 2)[1:])] = key


async def _create_key(call: Call, entry: Entry, fresh: str, work: Work) -> str:
    key = f"{entry.route.type}/{fresh}"
    criteria = entry.request.conditions.if_none_exist
    if not criteria:
        return key
    query = parse_criteria(criteria)
    found = await matches(call.records, await criterion(call, entry.route.type, query))
    if len(found) > 1:
        raise PreconditionFailed(f"ifNoneExist matches more than one {entry.route.type}.")
    if found:
        one = found[0]
        work.answers[entry.index] = Answer(
            "ok", one.raw, one.key, one.version, one.updated, f"{one.key}/_history/{one.version}"
        )
        return one.key
    await _claim(call, entry, query, key, work)
    return key


async def _update_key(call: Call, entry: Entry, fresh: str, work: Work) -> str:
    match = await single_match(call, entry.route.type, entry.request.query)
    if match is not None and "id" in entry.request.body:
        body_id(entry.request.body, match.partition("/")[2])
    key = match or f"{entry.route.type}/{entry.request.body.get('id', fresh)}"
    found = await call.records.current([key])
    work.previous.update(found)
    if match is None:
        if key in found and not found[key].deleted:
            raise id_taken(key)
        await _claim(call, entry, entry.request.query, key, work)
    return key


async def _claim(call: Call, entry: Entry, query: Query, key: str, work: Work) -> None:
    """Claim criteria that match nothing yet, for one entry of this transaction and for no other transaction."""
    name = reservation(entry.route.type, query)
    other = work.claimed.setdefault(name, entry.index)
    if other != entry.index:
        raise InvalidRequest(
            f"Entries {other} and {entry.index} would each create what the same criteria match.",
            expression=entry.expression,
        )
    await call.records.reserve(name, key, call.services.clock.now())
