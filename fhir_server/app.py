"""The composition root: the one place that names concrete parts and puts the server together."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from fastapi import FastAPI

from fhir_server import __version__
from fhir_server.api.errors import NotFound
from fhir_server.api.operation import JobProgress
from fhir_server.api.ports import JobRecord
from fhir_server.api.tenant import Scope, Tenant
from fhir_server.api.terminology import RemoteServer
from fhir_server.fhir.definitions import r4
from fhir_server.http.errors import status_line
from fhir_server.http.fhir import DEFAULT_TENANT, Edge, FhirApp
from fhir_server.http.health import health_router
from fhir_server.http.logs import configure_logging, request_log
from fhir_server.http.metrics import Metrics
from fhir_server.interactions.dispatch import Dispatcher
from fhir_server.interactions.following import Following, Pace
from fhir_server.interactions.observing import DefinitionObserver
from fhir_server.interactions.request import Request
from fhir_server.interactions.services import Call, Limits, Services
from fhir_server.interactions.settling import REINDEX, Settler
from fhir_server.interactions.sources import Sources
from fhir_server.kernel.jobs import JobRunner
from fhir_server.kernel.ports import close as close_terminology
from fhir_server.kernel.ports import terminology
from fhir_server.kernel.registry import Registry, build, discover
from fhir_server.packaging.folder import Folder
from fhir_server.packaging.installing import Packager
from fhir_server.packaging.registry import Registry as PackageRegistry
from fhir_server.search.editions import Editions
from fhir_server.search.paging import CursorSigner
from fhir_server.search.shelves import Shelves
from fhir_server.settings import Settings
from fhir_server.store.concepts import MongoConceptStore
from fhir_server.store.conformance import MongoConformance
from fhir_server.store.driver import Driver
from fhir_server.store.jobs import MongoJobs
from fhir_server.store.mongo import MongoStore, connect
from fhir_server.store.packages import MongoPackages
from fhir_server.store.parameter_sets import MongoParameterSets
from fhir_server.store.reindexing import MongoReindexing
from fhir_server.validation import Validator
from fhir_server.validation.conformance import Conformance
from fhir_server.validation.knowledge import KnowledgeOfTenants

AsgiScope = MutableMapping[str, Any]
Asgi = Callable[[AsgiScope, Any, Any], Awaitable[None]]


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class RandomIds:
    """Random UUIDs: nobody can guess one and no two workers make the same."""

    def new_id(self) -> str:
        """Return a fresh id."""
        return str(uuid4())


class App:
    """The server as an ASGI application: `/fhir` goes straight to the FHIR API, all else through FastAPI."""

    def __init__(self, settings: Settings, registry: Registry | None = None) -> None:
        self._settings = settings
        self._registry = registry
        self._metrics = Metrics(settings.metrics_dir)
        self._fhir: FhirApp | None = None
        self.services: Services | None = None
        self._store: MongoStore | None = None
        self._outer = FastAPI(title="fhir-server", version=__version__, lifespan=self._lifespan)
        self._outer.include_router(health_router({"database": self._ping}, self._metrics))

    async def __call__(self, scope: AsgiScope, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and self._fhir is not None and _is_fhir(scope["path"]):
            await self._fhir(scope, receive, send)
        else:
            await self._outer(scope, receive, send)

    async def start(self) -> None:
        """Connect, make what is missing of the default tenant, and be ready to serve."""
        settings = self._settings
        driver = await connect(settings.mongodb_url, settings.mongodb_driver)
        store = self._store = MongoStore(driver, settings.database_prefix)
        tenant = await store.create_tenant(DEFAULT_TENANT, os.urandom(32))
        signing_key = settings.cursor_key.encode() or await store.secret("cursors", os.urandom(32))
        self.services = compose(settings, driver, store, signing_key, self._registry)
        await self.services.following.ask(tenant)
        self._dispatcher = Dispatcher(status_line)
        edge = Edge(settings.base_url, settings.max_body_bytes, settings.cors_origins, settings.gzip_level)
        self._fhir = FhirApp(self.services, self._dispatcher, edge, self._metrics, request_log(settings))
        following = self.services.following
        runners = [self._runner(self.services, kind) for kind in ("", REINDEX)]
        running = [following.run_forever(), *(runner.run_forever() for runner in runners)]
        self._tasks = [asyncio.create_task(one) for one in running]

    def _runner(self, services: Services, kind: str) -> JobRunner:
        tenants, owner = services.following.tenants, f"{os.getpid()}-{uuid4()}"
        return JobRunner(services.jobs, tenants, self._run_job, services.clock, owner, kind)

    async def stop(self) -> None:
        """Leave jobs to others and drop the connections."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._fhir = None
        if self.services is not None:
            await close_terminology(self.services.terminology)
        if self._store is not None:
            await self._store.close()

    async def drop_all_data(self) -> None:
        """Remove every tenant of this deployment: for tests alone."""
        if self._store is not None:
            await self._store.drop_everything()

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        await self.start()
        yield
        await self.stop()

    async def _ping(self) -> None:
        if self._store is None:
            raise RuntimeError("not started")
        await self._store.ping()

    async def _run_job(self, tenant: Tenant, record: JobRecord, progress: JobProgress) -> dict[str, Any]:
        assert self.services is not None, "jobs run only between start and stop"
        scope = Scope(tenant)
        records = self.services.store.records(scope)
        call = Call(self.services, scope, record.base_url, Request("POST", ()), records)
        return await self._dispatcher.host.run(call, record, progress)


def compose(
    settings: Settings, driver: Driver, store: MongoStore, signing_key: bytes, registry: Registry | None = None
) -> Services:
    """Put the parts together. Raises BadPlugin with all that is wrong with the installed plugins."""
    definitions = r4()
    jobs = MongoJobs(driver)
    clock = SystemClock()
    editions = Editions(definitions, settings.base_url)
    sets = MongoParameterSets(driver)
    settler = Settler(store, sets, jobs, editions, clock)
    knowledge = KnowledgeOfTenants(MongoConformance(driver))
    following = Following(sets, settler, knowledge, Pace.of(settings.reindex_grace_seconds))
    store.observe(DefinitionObserver(editions, following, settler, knowledge))
    codes = terminology(settings.terminology, _remote(settings))
    return Services(
        store=store,
        concepts=MongoConceptStore(driver),
        shelves=Shelves(MongoConformance(driver)),
        packages=MongoPackages(driver),
        jobs=jobs,
        definitions=definitions,
        editions=editions,
        validator=Validator(definitions),
        conformance=Conformance(definitions, knowledge, codes),
        registry=registry or build(discover(), definitions.resource_types),
        cursors=CursorSigner(signing_key),
        clock=clock,
        ids=RandomIds(),
        settler=settler,
        following=following,
        reindexing=MongoReindexing(driver),
        packager=_packager(settings, driver, knowledge.changed),
        terminology=codes,
        limits=Limits(
            settings.default_page, settings.max_page, settings.import_hosts, settings.import_dir, settings.references
        ),
    )


def _packager(settings: Settings, driver: Driver, changed: Callable[[Tenant], Awaitable[None]]) -> Packager:
    """Return what packages are installed with; `changed` hears of every change."""
    return Packager(
        MongoPackages(driver),
        changed,
        SystemClock(),
        r4().resource_types,
        Folder(settings.package_dir),
        PackageRegistry(settings.package_registry),
        Sources(settings.import_hosts, settings.import_dir),
    )


@asynccontextmanager
async def call_of(
    settings: Settings, tenant_name: str, watched: Callable[[Driver], Driver] | None = None
) -> AsyncIterator[Call]:
    """Give what the interactions of a tenant run in, on the database of the settings, without a server.

    `watched` may put a driver of its own around the one that is connected. Raises NotFound for an unknown tenant.
    """
    driver = await connect(settings.mongodb_url, settings.mongodb_driver)
    driver = driver if watched is None else watched(driver)
    try:
        store = MongoStore(driver, settings.database_prefix)
        tenant = await store.tenant(tenant_name)
        if tenant is None:
            raise NotFound(f"There is no tenant {tenant_name} under the prefix {settings.database_prefix}.")
        await store.learn_engine()
        services = compose(settings, driver, store, os.urandom(32))
        await services.following.ask(tenant)
        base_url = settings.base_url or "http://localhost/fhir"
        yield Call(services, Scope(tenant), base_url, Request("POST", ()), store.records(Scope(tenant)))
    finally:
        await driver.close()


async def run_job(call: Call, record: JobRecord, progress: JobProgress) -> dict[str, Any]:
    """Run a job that is in no queue to its end, and return its result."""
    return await Dispatcher(status_line).host.run(call, record, progress)


def _remote(settings: Settings) -> RemoteServer | None:
    """Return the terminology server that is asked about what is not known here, or None."""
    if not settings.terminology_remote:
        return None
    rows = (row.partition(":") for row in settings.terminology_remote_headers)
    headers = [(name.strip(), value.strip()) for name, _, value in rows]
    if settings.terminology_remote_token_file:
        token = Path(settings.terminology_remote_token_file).read_text(encoding="utf-8").strip()
        headers.append(("authorization", f"Bearer {token}"))
    return RemoteServer(
        settings.terminology_remote,
        tuple(headers),
        settings.terminology_remote_timeout_ms / 1000,
        settings.terminology_remote_cache_seconds,
        settings.terminology_remote_systems,
        settings.terminology_remote_sends == "value-sets",
    )


def create_app(settings: Settings) -> App:
    """Return the ASGI application of these settings; it connects when its lifespan starts."""
    configure_logging(settings)
    return App(settings)


def _is_fhir(path: str) -> bool:
    return path.startswith("/t/") or path == "/fhir" or path.startswith("/fhir/")
