"""Installing and removing packages: content first, under keys nobody reads, then one change that all readers see.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from fhir_server.api.errors import BusinessRule, Conflict
from fhir_server.api.packages import Done, Need, Package, PackageResource, Packages, Report, Terms, Wish
from fhir_server.api.ports import Clock
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.outcomes import Issue
from fhir_server.packaging import changing
from fhir_server.packaging.archive import MEGABYTE, files
from fhir_server.packaging.content import Judge
from fhir_server.packaging.folder import Folder
from fhir_server.packaging.planning import Plan, Planned, Planner, Sources, check
from fhir_server.packaging.registry import Registry

BATCH_BYTES = 2 * MEGABYTE
MAX_TRIES = 20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packager:
    """What packages are installed with, for every tenant.

    `changed` tells whoever works by a tenant's definitions that they are others now; `types` are the names of the
    resource types.
    """

    packages: Packages
    changed: Callable[[Tenant], Awaitable[None]]
    clock: Clock
    types: frozenset[str]
    folder: Folder
    registry: Registry
    sources: Sources

    def of(self, tenant: Tenant) -> TenantPackaging:
        """Return the packaging of one tenant."""
        return TenantPackaging(self, tenant)


@dataclass(frozen=True, slots=True)
class TenantPackaging:
    """The packages of one tenant. See api.packages.Packaging."""

    packager: Packager
    tenant: Tenant

    def check(self, wish: Wish) -> None:
        """Raise InvalidRequest for a wish that cannot be fulfilled."""
        check(wish, self.packager.sources)

    async def install(self, wish: Wish, terms: Terms, report: Report) -> Done:
        """Install a package with what it depends on: all of it, or nothing."""
        before = await self.packager.packages.installed(self.tenant)
        with TemporaryDirectory(prefix="fhir-package-") as workplace:
            given = self.packager
            planner = Planner(given.folder, given.registry, given.sources, Path(workplace), report)
            plan = await planner.plan(wish, before.packages, dependencies=terms.dependencies)
            if plan.missing and not terms.accept_missing:
                raise _missing(plan)
            return await self._carry_out(plan, terms, report)

    async def installed(self) -> tuple[Package, ...]:
        """Return the packages in force."""
        return (await self.packager.packages.installed(self.tenant)).packages

    async def contents(self, package: Package) -> list[PackageResource]:
        """Return what an installed package has."""
        return await self.packager.packages.contents(self.tenant, package.key)

    async def remove(self, name: str, version: str = "", *, force: bool = False) -> Done:
        """Remove a package, all versions of it where none is named."""
        return await self._change(lambda before: changing.remove(before, name, version, force=force))

    def needs(self, package: Package, installed: Sequence[Package]) -> list[Need]:
        """Return the dependencies of a package, each with whether it is there."""
        return changing.needs(package, installed)

    async def _carry_out(self, plan: Plan, terms: Terms, report: Report) -> Done:
        root = plan.packages[0].manifest.name
        keys: list[str] = []

        def decide(before: Sequence[Package]) -> Done:
            return changing.install(before, loaded, root, terms)

        def settle(before: Sequence[Package]) -> Done:
            done = decide(before)
            if any(not package.key for package in done.installed):
                raise Conflict("A package that was here has been removed at the same time. Try again.")
            return done

        try:
            loaded = [_described(planned, terms.by) for planned in plan.packages]
            known = decide(await self.installed())  # what will be refused need not be loaded
            there = {package.label for package in known.unchanged}
            loaded = [
                package if package.label in there else await self._loaded(planned, package, keys, report)
                for planned, package in zip(plan.packages, loaded, strict=True)
            ]
            done = await self._change(settle)
        except BaseException:
            await asyncio.shield(self._clear(keys))
            raise
        await self._clear([key for key in keys if key not in {package.key for package in done.installed}])
        return Done(done.installed, done.unchanged, done.removed, tuple(plan.missing))

    async def _loaded(self, planned: Planned, package: Package, keys: list[str], report: Report) -> Package:
        """Write the content of a package under a key of its own, and return the package with what it has."""
        packages, clock = self.packager.packages, self.packager.clock
        judge = Judge(planned.manifest, self.packager.types)
        key = await packages.begin(self.tenant, clock.now())
        keys.append(key)
        written = 0
        with closing(files(planned.archive.path, judge.wants)) as found:
            while (batch := await asyncio.to_thread(judge.take, found, BATCH_BYTES)) is not None:
                if not judge.issues:
                    await packages.add(self.tenant, key, batch, clock.now())
                written += len(batch)
                await report(f"{package.label}: {written} resources")
        judge.finish()
        return Package(
            package.name, package.version, key, package.sha256, package.title, package.canonical,
            package.fhir_versions, package.dependencies, judge.counts, judge.skipped, clock.now(), package.by,
        )  # fmt: skip

    async def _change(self, decide: Callable[[Sequence[Package]], Done]) -> Done:
        """Put in force what is decided about the packages as they are, however many others change them meanwhile."""
        packages, now = self.packager.packages, self.packager.clock.now
        for _ in range(MAX_TRIES):
            before = await packages.installed(self.tenant)
            done = decide(before.packages)
            after = changing.after(before.packages, done)
            if not (done.installed or done.removed) or await packages.change(
                self.tenant, before.generation, after, now()
            ):
                # Also where nothing changed: a process that died between its change and this is made good so.
                await self.packager.changed(self.tenant)
                await self._clear([package.key for package in done.removed])
                return done
        raise Conflict("The packages are being changed by too many at once. Try again.")

    async def _clear(self, keys: Sequence[str]) -> None:
        """Remove content nobody reads; what cannot be removed now the next installation clears away."""
        if not keys:
            return
        try:
            await self.packager.packages.discard(self.tenant, keys)
        except Exception as error:  # noqa: BLE001  what has happened before stands, and is what has to be told
            _log.warning("package_content_left error=%s", type(error).__name__)


def _described(planned: Planned, by: str) -> Package:
    """Return a package as its manifest describes it, without content."""
    manifest = planned.manifest
    return Package(
        manifest.name, manifest.version, "", planned.archive.sha256, manifest.title, manifest.canonical,
        manifest.fhir_versions, manifest.dependencies, by=by,
    )  # fmt: skip


def _missing(plan: Plan) -> BusinessRule:
    """Return the refusal of dependencies that nobody has."""
    issues = [
        Issue("not-found", f"{dependent} depends on {name}#{wanted}, which cannot be found.")
        for name, wanted, dependent in plan.missing
    ]
    way = "Put the archives into the folder FHIR_PACKAGE_DIR, install them first, or accept that they are missing."
    return BusinessRule(issues=[*issues, Issue("informational", way, severity="information")])
