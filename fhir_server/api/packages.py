"""FHIR packages: archives of conformance resources that a tenant has installed. Where they are kept, and who installs.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification. Packages is a port of the store; Packaging is what
operations and the command line install, list and remove with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from fhir_server.api.tenant import Tenant

# One resource has to fit into one document of the database, beside its few other fields.
MAX_RESOURCE_BYTES = 16 * 1024 * 1024 - 64 * 1024


class Package(msgspec.Struct, frozen=True):
    """A package as it is installed.

    `key` names its content, `sha256` is that of the archive, `counts` are its resources by type, `dependencies` are
    (name, version or range) as its package.json has them; `skipped` counts the files that are no definition with a
    URL. `installed` is in milliseconds since the epoch.
    """

    name: str
    version: str
    key: str
    sha256: str
    title: str = ""
    canonical: str = ""
    fhir_versions: tuple[str, ...] = ()
    dependencies: tuple[tuple[str, str], ...] = ()
    counts: dict[str, int] = {}
    skipped: int = 0
    installed: int = 0
    by: str = ""

    @property
    def label(self) -> str:
        """`name#version`, as packages are referred to."""
        return f"{self.name}#{self.version}"

    @property
    def resources(self) -> int:
        """How many resources it has."""
        return sum(self.counts.values())


class PackageResource(msgspec.Struct, frozen=True):
    """A resource of a package: what it is found by, its file inside the package and its exact bytes."""

    type: str
    url: str
    version: str
    id: str
    file: str
    raw: bytes = b""


class Installed(msgspec.Struct, frozen=True):
    """The packages in force, and how often they have changed."""

    generation: int = 0
    packages: tuple[Package, ...] = ()


class Packages(Protocol):
    """Where the packages of each tenant are kept.

    The content of a package is written under a new key, which nobody reads; one atomic change puts it in force. What
    is no longer in force, or never came to be, is cleared away by whoever begins next.
    """

    async def find(self, tenant: Tenant, resource_type: str, url: str) -> list[bytes]:
        """Return the resources with a canonical URL (without `|version`), newest version first.

        Only those of packages in force. Of the same version the package that was installed last comes first.
        """
        ...

    async def installed(self, tenant: Tenant) -> Installed:
        """Return the packages in force, by name and version."""
        ...

    async def contents(self, tenant: Tenant, key: str) -> list[PackageResource]:
        """Return what a package has, without the bytes, by type and URL."""
        ...

    async def begin(self, tenant: Tenant, now: int) -> str:
        """Return a new key to add content under, and clear away what others left behind."""
        ...

    async def add(self, tenant: Tenant, key: str, resources: Sequence[PackageResource], now: int) -> None:
        """Add content. Raises Conflict when the key was given up in between for taking too long."""
        ...

    async def change(self, tenant: Tenant, generation: int, packages: Sequence[Package], now: int) -> bool:
        """Put these packages in force instead of those of a generation; False when another change came first.

        Raises Conflict when the content of one was given up in between.
        """
        ...

    async def discard(self, tenant: Tenant, keys: Sequence[str]) -> None:
        """Remove the content of keys that are not in force."""
        ...


class Wish(msgspec.Struct, frozen=True):
    """A package to install: by `name` and `version` (empty: the latest), by the URL of its archive, or as archive.

    `archive` gives the bytes of the archive as they come, piece by piece.
    """

    name: str = ""
    version: str = ""
    url: str = ""
    archive: Callable[[], AsyncIterator[bytes]] | None = None


class Terms(msgspec.Struct, frozen=True):
    """How to install. `upgrade` replaces older versions, `force` also the same version with other content.

    `dependencies` False installs no others; `accept_missing` goes on without those that cannot be found. `by` is who
    wants it, if known.
    """

    upgrade: bool = False
    force: bool = False
    dependencies: bool = True
    accept_missing: bool = False
    by: str = ""


class Done(msgspec.Struct, frozen=True):
    """What an installation or a removal changed.

    `unchanged` were there already with the same content; `missing` are (name, version, who depends on it) that could
    not be found.
    """

    installed: tuple[Package, ...] = ()
    unchanged: tuple[Package, ...] = ()
    removed: tuple[Package, ...] = ()
    missing: tuple[tuple[str, str, str], ...] = ()


class Need(msgspec.Struct, frozen=True):
    """A dependency of an installed package and whether it is there."""

    name: str
    version: str
    state: Literal["installed", "built-in", "missing"]


# Called between the steps of an installation with what is being done; may raise to stop it, and nothing was changed.
Report = Callable[[str], Awaitable[None]]


class Packaging(Protocol):
    """Installs, lists and removes the packages of one tenant. Failures name the file inside the package."""

    def check(self, wish: Wish) -> None:
        """Raise InvalidRequest for a name that none can have, and for a URL this server may not fetch."""
        ...

    async def install(self, wish: Wish, terms: Terms, report: Report) -> Done:
        """Install a package with what it depends on: all of it, or nothing.

        Raises Malformed, InvalidRequest, Unprocessable, TooLarge, NotSupported for an archive that is not one this
        server can use; NotFound for a package that nobody has; BusinessRule for dependencies that are missing;
        Conflict for one that is there with other content, and for a version that others depend on.
        """
        ...

    async def installed(self) -> tuple[Package, ...]:
        """Return the packages in force, by name and version."""
        ...

    async def contents(self, package: Package) -> list[PackageResource]:
        """Return what an installed package has, without the bytes."""
        ...

    async def remove(self, name: str, version: str = "", *, force: bool = False) -> Done:
        """Remove a package, all versions of it where none is named.

        Raises NotFound when it is not there, Conflict when others depend on it, which `force` overrules.
        """
        ...

    def needs(self, package: Package, installed: Sequence[Package]) -> list[Need]:
        """Return the dependencies of a package, each with whether it is there."""
        ...
