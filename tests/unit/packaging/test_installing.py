"""Installing beside others: what they do between two steps changes the decision, and never the outcome by half."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fhir_server.api.errors import Conflict, InvalidRequest, Unavailable
from fhir_server.api.packages import Done, Installed, Package, PackageResource, Terms, Wish
from fhir_server.api.tenant import Tenant
from fhir_server.packaging.folder import Folder
from fhir_server.packaging.installing import MAX_TRIES, Packager, TenantPackaging
from fhir_server.packaging.registry import Registry
from tests.archives import definition, manifest, package

TENANT = Tenant("one", "db", b"k" * 32)
Meanwhile = Callable[[], Awaitable[None]]


class Memory:
    """api.packages.Packages in a dict.

    `meanwhile` is what others do right before a change, `reading` what they do after each reading of what is in force.
    """

    def __init__(self) -> None:
        self.state = Installed()
        self.content: dict[str, list[PackageResource]] = {}
        self.meanwhile: list[Meanwhile] = []
        self.reading: list[Meanwhile] = []
        self.is_away = False

    async def find(self, tenant: Tenant, resource_type: str, url: str) -> list[bytes]:
        raise AssertionError("installing looks for nothing")

    async def installed(self, tenant: Tenant) -> Installed:
        found = self.state
        if self.reading:
            await self.reading.pop()()
        return found

    async def contents(self, tenant: Tenant, key: str) -> list[PackageResource]:
        return self.content[key]

    async def begin(self, tenant: Tenant, now: int) -> str:
        key = f"key-{len(self.content)}"
        self.content[key] = []
        return key

    async def add(self, tenant: Tenant, key: str, resources: Sequence[PackageResource], now: int) -> None:
        self.content[key] += resources

    async def change(self, tenant: Tenant, generation: int, packages: Sequence[Package], now: int) -> bool:
        if self.meanwhile:
            await self.meanwhile.pop(0)()
        if generation != self.state.generation:
            return False
        self.state = Installed(generation + 1, tuple(packages))
        return True

    async def discard(self, tenant: Tenant, keys: Sequence[str]) -> None:
        if self.is_away:
            raise Unavailable("away")
        assert not {p.key for p in self.state.packages} & set(keys)
        for key in keys:
            self.content.pop(key, None)

    def labels(self) -> list[str]:
        return [p.label for p in self.state.packages]

    def is_tidy(self) -> bool:
        return {p.key for p in self.state.packages} == set(self.content)


class Clock:
    def now(self) -> int:
        return 5


class NoSources:
    def open(self, url: str, *, as_is: bool = False) -> AsyncGenerator[bytes, None]:
        raise InvalidRequest("nothing is fetched")


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def packaging(memory: Memory, told: list[str], tmp_path: Path) -> TenantPackaging:
    async def changed(tenant: Tenant) -> None:
        told.append(tenant.name)

    types = frozenset({"StructureDefinition"})
    return Packager(memory, changed, Clock(), types, Folder(str(tmp_path)), Registry(""), NoSources()).of(TENANT)


async def _silent(_: str) -> None:
    """Nobody watches."""


async def install(packaging: TenantPackaging, said: dict[str, Any], name: str = "a", **terms: Any) -> Done:
    raw = package(said, definition(name=name))

    async def pieces() -> AsyncIterator[bytes]:
        yield raw

    return await packaging.install(Wish(archive=pieces), Terms(**terms), _silent)


async def test_another_change_in_between_is_kept(packaging: TenantPackaging, memory: Memory, told: list[str]) -> None:
    async def other() -> None:
        await install(packaging, manifest("org.example.other"))

    memory.meanwhile = [other]
    done = await install(packaging, manifest())
    assert [p.label for p in done.installed] == ["org.example.one#1.0.0"]
    assert sorted(memory.labels()) == ["org.example.one#1.0.0", "org.example.other#1.0.0"]
    assert (memory.is_tidy(), told) == (True, ["one", "one"])


async def test_a_change_right_after_the_reading_is_kept(packaging: TenantPackaging, memory: Memory) -> None:
    others = (manifest(f"org.example.n{n}") for n in range(9))

    async def other() -> None:
        memory.reading, left = [], memory.reading
        await install(packaging, next(others))
        memory.reading = left

    memory.reading = [other] * 4
    await install(packaging, manifest())
    assert len(memory.labels()) == 5
    memory.reading = [other]
    await packaging.remove("org.example.one")
    assert (len(memory.labels()), memory.is_tidy()) == (5, True)


async def test_the_same_package_that_came_in_between_is_left(packaging: TenantPackaging, memory: Memory) -> None:
    async def other() -> None:
        await install(packaging, manifest())

    memory.meanwhile = [other]
    done = await install(packaging, manifest())
    assert (done.installed, [p.label for p in done.unchanged]) == ((), ["org.example.one#1.0.0"])
    assert (memory.labels(), memory.is_tidy()) == (["org.example.one#1.0.0"], True)


async def test_other_content_that_came_in_between_is_a_conflict(packaging: TenantPackaging, memory: Memory) -> None:
    async def other() -> None:
        await install(packaging, manifest(), "b")

    memory.meanwhile = [other]
    with pytest.raises(Conflict, match="other content"):
        await install(packaging, manifest())
    assert (memory.labels(), memory.is_tidy()) == (["org.example.one#1.0.0"], True)


async def test_a_dependent_that_came_in_between_keeps_what_it_needs(packaging: TenantPackaging, memory: Memory) -> None:
    async def dependent() -> None:
        await install(packaging, manifest("org.example.two", dependencies={"org.example.one": "1.0.0"}))

    await install(packaging, manifest())
    memory.meanwhile = [dependent]
    with pytest.raises(Conflict, match=r"org\.example\.two#1\.0\.0 depends on"):
        await packaging.remove("org.example.one")
    memory.meanwhile = []
    with pytest.raises(Conflict, match=r"org\.example\.two#1\.0\.0 depends on"):
        await install(packaging, manifest(version="2.0.0"), upgrade=True)
    assert (sorted(memory.labels()), memory.is_tidy()) == (["org.example.one#1.0.0", "org.example.two#1.0.0"], True)


async def test_a_package_that_went_in_between_is_not_put_in_force_without_content(
    packaging: TenantPackaging, memory: Memory, tmp_path: Path
) -> None:
    said = manifest(dependencies={"org.example.late": "1.0.0"})
    await install(packaging, said, accept_missing=True)
    (tmp_path / "late.tgz").write_bytes(package(manifest("org.example.late")))

    async def gone() -> None:
        memory.state = Installed(memory.state.generation + 1, ())
        memory.content.clear()

    memory.meanwhile = [gone]
    with pytest.raises(Conflict, match="removed at the same time"):
        await install(packaging, said)
    assert memory.labels() == []
    done = await install(packaging, said)
    assert [p.label for p in done.installed] == ["org.example.one#1.0.0", "org.example.late#1.0.0"]
    assert all(p.key for p in memory.state.packages)


async def test_changes_without_end_end(packaging: TenantPackaging, memory: Memory) -> None:
    async def other() -> None:
        memory.state = Installed(memory.state.generation + 1, memory.state.packages)

    memory.meanwhile = [other] * (MAX_TRIES + 1)
    with pytest.raises(Conflict, match="too many at once"):
        await install(packaging, manifest())
    assert (memory.labels(), memory.is_tidy()) == ([], True)


async def test_content_that_cannot_be_removed_now_hides_nothing(packaging: TenantPackaging, memory: Memory) -> None:
    await install(packaging, manifest())
    memory.is_away = True
    assert [p.label for p in (await packaging.remove("org.example.one")).removed] == ["org.example.one#1.0.0"]
    assert (memory.labels(), memory.is_tidy()) == ([], False)
