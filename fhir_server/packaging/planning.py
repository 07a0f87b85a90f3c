"""Which packages an installation needs: found transitively, here, in the folder of the operator or in the registry.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fhir_server.api.errors import Failure, InvalidRequest, NotFound, TooCostly, Unavailable, Unprocessable
from fhir_server.api.packages import Package, Report, Wish
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.versions import fits
from fhir_server.packaging.archive import CHUNK, Archive, keep
from fhir_server.packaging.changing import is_there
from fhir_server.packaging.folder import Folder
from fhir_server.packaging.manifest import BUILT_IN, Manifest, check_name, is_build, is_built_in, read_manifest
from fhir_server.packaging.registry import Registry

MAX_PACKAGES = 200


class Sources(Protocol):
    """Where archives may be fetched from by their URL."""

    def open(self, url: str, *, as_is: bool = False) -> AsyncGenerator[bytes, None]:
        """Return the bytes at a URL, chunk by chunk. Raises InvalidRequest at once where that is not allowed."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A package to be installed, its archive at hand."""

    manifest: Manifest
    archive: Archive


@dataclass(slots=True)
class Plan:
    """What to install, the one that was asked for first, and what cannot be found: name, version, and who needs it."""

    packages: list[Planned] = field(default_factory=list)
    missing: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Planner:
    """Finds packages for one installation; what is fetched lies in `workplace` until that is over."""

    folder: Folder
    registry: Registry
    sources: Sources
    workplace: Path
    report: Report
    _count: int = 0

    async def plan(self, wish: Wish, installed: Sequence[Package], *, dependencies: bool) -> Plan:
        """Return what an installation needs. Raises NotFound for a wish that nobody has."""
        plan = Plan([await self._wished(wish)])
        if dependencies:
            for planned in plan.packages:  # it grows meanwhile
                await self._add_dependencies(plan, planned.manifest, installed)
        return plan

    async def _add_dependencies(self, plan: Plan, of: Manifest, installed: Sequence[Package]) -> None:
        for name, wanted in of.dependencies:
            if is_built_in(name, wanted) or is_there(installed, name, wanted) or _is_planned(plan, name, wanted):
                continue
            found = None if is_build(wanted) else await self._found(name, wanted, of.label)
            if found is None:
                plan.missing.append((name, wanted, of.label))
                continue
            plan.packages.append(found)
            if len(plan.packages) > MAX_PACKAGES:
                raise TooCostly(f"The package depends on more than {MAX_PACKAGES} others. Install them by themselves.")

    async def _wished(self, wish: Wish) -> Planned:
        check(wish, self.sources)
        if wish.archive is not None or wish.url:
            archive = await self._kept(wish.archive() if wish.archive else self.sources.open(wish.url, as_is=True))
            manifest = await asyncio.to_thread(read_manifest, archive.path)
            _refuse_built_in(manifest.name)
            return Planned(manifest, archive)
        found = await self._found(wish.name, wish.version, "")
        if found is None:
            version = f" in a version {wish.version}" if wish.version else ""
            raise NotFound(
                f"The package {wish.name} is not here{version}: neither in the folder FHIR_PACKAGE_DIR nor in the "
                "registry FHIR_PACKAGE_REGISTRY, as far as they are set. Install it from a file."
            )
        return found

    async def _found(self, name: str, wanted: str, dependent: str) -> Planned | None:
        """Return the package from the folder or the registry. Its failures say who needs it."""
        await self.report(f"looking for {name}{wanted and '#'}{wanted}")
        path = await asyncio.to_thread(self.folder.find, name, wanted)
        try:
            if path is not None:
                archive = await self._kept(read(path))
            elif (release := await self.registry.find(name, wanted)) is not None:
                await self.report(f"fetching {name}#{release.version}")
                archive = await self._kept(self.registry.fetch(release))
            else:
                return None
            manifest = await asyncio.to_thread(read_manifest, archive.path)
        except Failure as failure:
            if not dependent:
                raise
            raise _of_dependency(failure, name, dependent) from failure
        if manifest.name != name or not fits(manifest.version, wanted):
            raise Unprocessable(f"The archive that was found for {name}#{wanted} is {manifest.label}.")
        return Planned(manifest, archive)

    async def _kept(self, chunks: AsyncIterator[bytes]) -> Archive:
        self._count += 1
        return await keep(chunks, self.workplace / f"{self._count}.tgz")


def check(wish: Wish, sources: Sources) -> None:
    """Raise InvalidRequest for a name that none can have, and for a URL that may not be fetched."""
    if wish.url:
        sources.open(wish.url)
    elif wish.archive is None:
        check_name(wish.name, wish.version)
        _refuse_built_in(wish.name)


async def read(path: Path) -> AsyncIterator[bytes]:
    """Yield the bytes of a file here."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def _refuse_built_in(name: str) -> None:
    if name in BUILT_IN:
        raise InvalidRequest(f"{name} is FHIR R4 itself, which this server has built in.")


def _is_planned(plan: Plan, name: str, wanted: str) -> bool:
    """Whether it is on the list already; so circles end."""
    return any(p.manifest.name == name and fits(p.manifest.version, wanted) for p in plan.packages) or any(
        row[:2] == (name, wanted) for row in plan.missing
    )


def _of_dependency(failure: Failure, name: str, dependent: str) -> Failure:
    """Return a failure of the same kind whose issues say which dependency they are about."""
    text = f"{name}, which {dependent} depends on: "
    if isinstance(failure, Unavailable):
        return Unavailable(text + str(failure))
    issues = [Issue(i.code, text + i.diagnostics, i.expression, i.severity, i.location) for i in failure.issues]
    return type(failure)(issues=issues)
