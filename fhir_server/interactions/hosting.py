"""What operations run in: the server as they may use it, and the jobs they hand over. See api.operation.Server."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.api.conformance import ValidationPolicy
from fhir_server.api.criteria import And, Criterion, Key, Moment, Nothing, Range, Term, all_of, any_of
from fhir_server.api.errors import Conflict, Deleted, Duplicate, InvalidRequest, NotFound, TooCostly
from fhir_server.api.operation import Job, OperationContext, Parameters
from fhir_server.api.packages import Packaging
from fhir_server.api.ports import Answer, JobRecord
from fhir_server.api.records import UNDATED, Draft, Stored
from fhir_server.api.terminology import Terminology
from fhir_server.fhir.json import decode_stored, encode
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.references import is_id, local_reference
from fhir_server.interactions.drafting import conformance_issues, draft, is_unchanged, issues_of, key_of
from fhir_server.interactions.policy import set_policy
from fhir_server.interactions.reindexing import reindex, reindex_one
from fhir_server.interactions.request import Request
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.settling import REINDEX
from fhir_server.interactions.sources import Sources
from fhir_server.interactions.update import MAX_TRIES, put
from fhir_server.search.accepting import TYPE
from fhir_server.search.indexing import COMPARTMENT
from fhir_server.search.library import TenantLibrary
from fhir_server.search.linking import MOST, all_matching
from fhir_server.search.terms import SEPARATOR, ordered_time, range_prefix

Json = dict[str, Any]
Perform = Callable[[Call, Route], Awaitable[Answer]]

_LOCAL_REFERENCE = re.compile(rb'"reference":"([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})[/"]')


class Host:
    """Gives operations their server, and takes on their jobs."""

    def __init__(self, perform: Perform) -> None:
        self._perform = perform

    def server(self, call: Call) -> HostedServer:
        """Return the server as the operations of one call see it."""
        return HostedServer(call, self._perform, call.library())

    async def accept(self, call: Call, context: OperationContext, job: Job) -> Answer:
        """Queue a job; the answer says where to ask how it is."""
        services = call.services
        if job.kind != REINDEX and services.registry.job(job.kind) is None:
            raise InvalidRequest(f"There is nothing that runs jobs of the kind {job.kind!r}.")
        job_id = services.ids.new_id()
        kept = {"input": job.input, "type": context.resource_type, "id": context.resource_id}
        record = JobRecord(job_id, job.kind, call.base_url, kept)
        await services.jobs.add(call.tenant, record, services.clock.now())
        return Answer("accepted", location=f"_jobs/{job_id}")

    async def run(self, call: Call, record: JobRecord, progress: Any) -> Json:
        """Run a claimed job to its end and return its result."""
        kept = record.input
        if record.kind == REINDEX:
            return await reindex(call, kept["input"], progress)
        handler = call.services.registry.job(record.kind)
        if handler is None:
            raise InvalidRequest(f"There is nothing that runs jobs of the kind {record.kind!r}.")
        server = HostedServer(call, self._perform)
        context = OperationContext(kept["type"], kept["id"], Parameters(), call.records, server)
        return await handler(context, kept["input"], progress)


async def job_status(call: Call, route: Route) -> Answer:
    """Return how a job is: accepted while it runs, its result at the end. https://hl7.org/fhir/R4/async.html"""
    found = await call.services.jobs.get(call.tenant, route.id)
    if found is None or found.state == "cancelled":
        raise NotFound("There is no such job.")
    if found.state == "failed":
        issues = [_issue(row) for row in found.result.get("issue", ())]
        raise Conflict(issues=issues) if issues else Conflict(str(found.result.get("diagnostics", "The job failed.")))
    if found.state == "done":
        return Answer("ok", encode(found.result))
    return Answer("accepted", location=f"_jobs/{route.id}", key=found.message or found.state)


def _issue(row: Json) -> Issue:
    """Return an issue as a job kept it."""
    place, element = ("".join(row.get(name, ())[:1]) for name in ("location", "expression"))
    return Issue(row["code"], row["diagnostics"], element, location=place)


async def job_cancel(call: Call, route: Route) -> Answer:
    """Stop a job; raises NotFound when there is none or it has ended."""
    if not await call.services.jobs.cancel(call.tenant, route.id, call.services.clock.now()):
        raise NotFound("There is no such job, or it has ended.")
    return Answer("accepted")


@dataclass(frozen=True, slots=True)
class HostedServer:
    """The server of one call. Everything it does has the rights and the transaction of that call.

    A job, which takes long, keeps no library: it sees definitions as they are whenever it asks.
    """

    call: Call
    perform: Perform
    kept_library: TenantLibrary | None = None

    @property
    def base_url(self) -> str:
        """The URL of the FHIR API for this tenant."""
        return self.call.base_url

    @property
    def resource_types(self) -> frozenset[str]:
        """The names of the concrete resource types."""
        return self.call.services.definitions.resource_types

    @property
    def library(self) -> TenantLibrary:
        """Where the definitions are found that the tenant has."""
        return self.kept_library or self.call.library()

    @property
    def packages(self) -> Packaging:
        """What installs, lists and removes the tenant's packages."""
        return self.call.services.packager.of(self.call.tenant)

    @property
    def terminology(self) -> Terminology:
        """The terminology service."""
        return self.call.services.terminology

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self.call.services.clock.now()

    def new_id(self) -> str:
        """Return a fresh logical id."""
        return self.call.services.ids.new_id()

    async def validate(
        self, resource: Json, *, references_open: bool = False, advice: bool = False, profiles: Sequence[str] = ()
    ) -> list[Issue]:
        """Return what is wrong with a resource."""
        return await issues_of(self.call, resource, references_open=references_open, advice=advice, profiles=profiles)

    @property
    def validation_policy(self) -> ValidationPolicy:
        """What the tenant's resources are held to when they are written."""
        return self.call.services.conformance.knowledge.of(self.call.tenant).policy

    async def set_validation_policy(self, policy: ValidationPolicy) -> None:
        """Put a policy in force."""
        await set_policy(self.call, policy)

    def compartment(self, patient_id: str, types: Sequence[str] = ()) -> Criterion:
        """Return the criterion of one patient's compartment, of some types or all."""
        term = self.call.term
        member = Term((term(f"{COMPARTMENT}Patient/{patient_id}"),))
        return all_of(member, Term(tuple(map(term, types)))) if types else member

    def care_dates(self, low: int | None, high: int | None) -> Criterion:
        """Return the criterion of resources whose principal date touches [low, high), or which have none."""
        dated: list[Criterion] = [Moment(low + 1 if low is not None else UNDATED + 1, None)]
        if high is not None:
            dated.append(any_of(*self._starts_before(high)))
        return any_of(Moment(UNDATED, UNDATED + 1), And(tuple(dated)))

    def _starts_before(self, high: int) -> list[Range]:
        indexer = self.call.indexer
        ranges = []
        for resource_type in self.call.services.definitions.compartments["Patient"]:
            code = indexer.principal_date(resource_type)
            if code:
                prefix = range_prefix(f"{resource_type}.{code}{SEPARATOR}low")
                ranges.append(Range(prefix, prefix + ordered_time(high)))
        return ranges

    def references_of(self, raw: bytes) -> set[str]:
        """Return the local references in a stored resource, read from its bytes."""
        return {found.decode() for found in set(_LOCAL_REFERENCE.findall(raw))}

    async def criterion(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Criterion:
        """Return the criterion of a search."""
        planner = self.call.planner
        parsed = planner.parser.parse(resource_type, query, strict=True)
        plan = await planner.plan(parsed, replace(self.call.searching(), eager=True))
        if plan.test is None:
            return plan.where
        found = await all_matching(self.call.records, plan, MOST)
        if found is None:
            raise TooCostly(f"More than {MOST} resources would have to be looked at. Narrow the search.")
        return Key(tuple(r.key for r in found)) if found else Nothing()

    async def search(self, resource_type: str, query: Sequence[tuple[str, str]]) -> Json:
        """Return one page of a search as its Bundle."""
        asked = Request("GET", (resource_type,), tuple(query), strict=True)
        answer = await self.perform(replace(self.call, request=asked), Route("search-type", resource_type))
        found: Json = decode_stored(answer.body)
        return found

    def referred(self, resource_type: str, code: str, resource: Json) -> set[str]:
        """Return the local references that a resource has under a reference search parameter."""
        of_type = self.call.parameters.of(resource_type)
        parameter = of_type.get(code)
        if parameter is None or parameter.type != "reference":
            raise InvalidRequest(f"{resource_type} has no reference parameter {code[:64]!r}.", location=f"http.{code}")
        path = of_type[parameter.alias_of].path if parameter.alias_of else parameter.path
        values = (node.value for node in path.evaluate(resource))
        literals = (value.get("reference") if isinstance(value, dict) else value for value in values)
        texts = [text for text in literals if isinstance(text, str)]
        found = (local_reference(text.removeprefix(f"{self.base_url}/")) for text in texts)
        return {f"{row[0]}/{row[1]}" for row in found if row is not None}

    async def execute(self, bundle: Json) -> Json:
        """Run a batch or transaction Bundle and return the response Bundle."""
        inside = replace(self.call, request=Request("POST", (), body=bundle))
        answer = await self.perform(inside, Route("batch"))
        done: Json = decode_stored(answer.body)
        return done

    async def put_all(self, resources: Sequence[Json]) -> list[Issue | None]:
        """Write each resource under its own id, many at a time; an issue stands where one was refused."""
        return await put_all(self.call, resources)

    async def change_meta(self, key: str, change: Callable[[Json], Json]) -> Json:
        """Change the meta of a resource and return the new one."""
        for _ in range(MAX_TRIES):
            current = (await self.call.records.current([key])).get(key)
            if current is None:
                raise NotFound(f"There is no {key}.")
            if current.deleted:
                raise Deleted(f"{key} was deleted.", version=current.version)
            resource = decode_stored(current.raw)
            changed = {**resource, "meta": change(resource.get("meta", {}))}
            if is_unchanged(changed, current):
                return dict(resource["meta"])
            made = draft(self.call, changed, current.id, current.version + 1, "PUT")
            if await self.call.records.replace([(made, current)]):
                return dict(decode_stored(made.raw)["meta"])
        raise Conflict(f"{key} is being changed by too many writers at once. Try again.")

    async def reindex(self, key: str) -> Json:
        """Index a resource anew and return as Parameters what that changed."""
        return await reindex_one(self.call, key)

    def open_source(self, url: str) -> AsyncGenerator[bytes, None]:
        """Return the content of a file to be imported, chunk by chunk."""
        limits = self.call.services.limits
        return Sources(limits.import_hosts, limits.import_dir).open(url)

    def sign(self, fields: tuple[str | int, ...], *bound_to: str) -> str:
        """Return a cursor that only this server can have made."""
        return self.call.services.cursors.sign(fields, (self.call.tenant.name, *bound_to))

    def unsign(self, cursor: str, *bound_to: str) -> list[str | int]:
        """Return the fields of a cursor."""
        return self.call.services.cursors.read(cursor, (self.call.tenant.name, *bound_to))


async def put_all(call: Call, resources: Sequence[Json]) -> list[Issue | None]:
    """Write resources under their own ids in as few commands as can be; see Server.put_all.

    What others write at the same moment is met by trying again one by one.
    """
    issues: list[Issue | None] = [_refusal(call, r) or await _nonconformance(call, r) for r in resources]
    _refuse_parameters(call, resources, issues)
    good = {f"{r['resourceType']}/{r['id']}": i for i, r in enumerate(resources) if issues[i] is None}
    current = await call.records.current(list(good))
    creates: list[Draft] = []
    changes: list[tuple[Draft, Stored]] = []
    for key, place in good.items():
        resource, old = resources[place], current.get(key)
        if old is None:
            creates.append(draft(call, resource, resource["id"], 1, "PUT"))
        elif not is_unchanged(resource, old):
            changes.append((draft(call, resource, resource["id"], old.version + 1, "PUT"), old))
    try:
        await call.records.create(creates)
        settled = await call.records.replace(changes)
    except Duplicate:
        settled = False
    if not settled:
        for key in [d.key for d in creates] + [d.key for d, _ in changes]:
            await put(call, key, resources[good[key]])
    return issues


async def _nonconformance(call: Call, resource: Json) -> Issue | None:
    return next(iter(await conformance_issues(call, resource)), None)


def _refuse_parameters(call: Call, resources: Sequence[Json], issues: list[Issue | None]) -> None:
    """Refuse SearchParameters that cannot come into force, judged together: they may name each other."""
    places = [i for i, r in enumerate(resources) if issues[i] is None and r["resourceType"] == TYPE]
    if places:
        named = [(key_of(resources[i]), resources[i]) for i in places]
        found = call.services.editions.acceptance.findings_together(named, call.edition.customs)
        for place, several in zip(places, found, strict=True):
            issues[place] = several[0] if several else None


def _refusal(call: Call, resource: Any) -> Issue | None:
    """Return the first reason not to write a resource, or None."""
    if not isinstance(resource, dict) or resource.get("resourceType") not in call.services.definitions.resource_types:
        return Issue("structure", "This is no FHIR resource.")
    if not isinstance(resource.get("id"), str) or not is_id(resource["id"]):
        return Issue("required", "A resource to be imported needs an id.", f"{resource['resourceType']}.id")
    found = [i for i in call.services.validator.validate(resource) if i.severity in ("error", "fatal")]
    return found[0] if found else None
