"""What api.packages.Packages promises, on every database and with both drivers."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import bson
import msgspec
import pytest

from fhir_server.api.errors import Conflict
from fhir_server.api.packages import MAX_RESOURCE_BYTES, Installed, Package, PackageResource
from fhir_server.api.tenant import Tenant
from fhir_server.store.driver import Driver
from fhir_server.store.packages import LEASE_MS, LOADS, RESOURCES, MongoPackages

pytestmark = pytest.mark.engine

URL = "http://example.org/fhir/StructureDefinition/a"


@pytest.fixture
def packages(driver: Driver) -> MongoPackages:
    return MongoPackages(driver)


def profile(version: str, raw: bytes = b"{}", file: str = "package/a.json") -> PackageResource:
    return PackageResource("StructureDefinition", URL, version, "a", file, raw)


def package(name: str, key: str, installed: int = 1) -> Package:
    return Package(
        name, "1.0.0", key, "abc", "A", "http://example.org", ("4.0.1",), (("b", "1.x"),), {"X": 2}, 3, installed
    )


async def put(packages: MongoPackages, tenant: Tenant, name: str, *content: PackageResource, at: int = 1) -> Package:
    """Install beside what is there."""
    key = await packages.begin(tenant, at)
    await packages.add(tenant, key, content, at)
    before = await packages.installed(tenant)
    made = package(name, key, at)
    assert await packages.change(tenant, before.generation, [*before.packages, made], at)
    return made


async def found(packages: MongoPackages, tenant: Tenant, kind: str = "StructureDefinition") -> list[bytes]:
    return await packages.find(tenant, kind, URL)


async def test_nothing_is_installed_at_first(packages: MongoPackages, tenant: Tenant) -> None:
    assert await packages.installed(tenant) == Installed()
    assert await found(packages, tenant) == []
    assert await packages.contents(tenant, "none") == []


async def test_content_is_found_from_the_change_on_that_puts_it_in_force(
    packages: MongoPackages, tenant: Tenant
) -> None:
    key = await packages.begin(tenant, 1)
    await packages.add(tenant, key, [profile("1.0.0", b'{"a": 1}')], 1)
    assert await found(packages, tenant) == []
    assert await packages.change(tenant, 0, [package("one", key)], 2)
    assert await found(packages, tenant) == [b'{"a": 1}']
    assert await found(packages, tenant, "ValueSet") == []
    assert await packages.installed(tenant) == Installed(1, (package("one", key),))
    assert await packages.contents(tenant, key) == [msgspec.structs.replace(profile("1.0.0"), raw=b"")]


async def test_newest_versions_come_first_and_then_what_was_installed_last(
    packages: MongoPackages, tenant: Tenant
) -> None:
    await put(packages, tenant, "a", profile("1.10.0", b"old ten"), profile("1.9.0", b"nine", "package/b.json"), at=5)
    await put(packages, tenant, "b", profile("1.10.0", b"new ten"), at=9)
    await put(packages, tenant, "c", profile("1.10.0-rc", b"rc"), at=11)
    await put(packages, tenant, "d", profile("", b"none"), at=12)
    assert await found(packages, tenant) == [b"new ten", b"old ten", b"rc", b"nine", b"none"]
    assert [one.name for one in (await packages.installed(tenant)).packages] == ["a", "b", "c", "d"]


async def test_of_racing_changes_one_is_the_next_generation(packages: MongoPackages, tenant: Tenant) -> None:
    keys = [await packages.begin(tenant, 1) for _ in range(5)]
    for generation in (0, 1):
        changes = (packages.change(tenant, generation, [package("one", key)], 1) for key in keys)
        assert sorted(await asyncio.gather(*changes)) == [False] * 4 + [True]
        assert (await packages.installed(tenant)).generation == generation + 1


async def test_what_is_no_longer_in_force_is_found_no_more_and_can_be_discarded(
    driver: Driver, packages: MongoPackages, tenant: Tenant
) -> None:
    kept = await put(packages, tenant, "kept", profile("1"))
    gone = await put(packages, tenant, "gone", profile("2"))
    assert await packages.change(tenant, 2, [kept], 3)
    assert await found(packages, tenant) == [b"{}"]
    await packages.discard(tenant, [kept.key, gone.key])
    rows = await driver.find(tenant.database, RESOURCES, {}, {"k": 1}, 9)
    loads = await driver.find(tenant.database, LOADS, {}, {"_id": 1}, 9)
    assert ([row["k"] for row in rows], [row["_id"] for row in loads]) == ([kept.key], [kept.key])


async def test_what_a_dead_process_left_is_cleared_away_by_the_next(
    driver: Driver, packages: MongoPackages, tenant: Tenant
) -> None:
    kept = await put(packages, tenant, "kept", profile("1"))
    dead, slow = await packages.begin(tenant, 1), await packages.begin(tenant, 1)
    await packages.add(tenant, dead, [profile("9")], 1)
    await packages.add(tenant, slow, [profile("8")], LEASE_MS)
    await packages.begin(tenant, LEASE_MS + 2)
    rows = await driver.find(tenant.database, RESOURCES, {}, {"k": 1}, 9)
    assert {row["k"] for row in rows} == {kept.key, slow}
    with pytest.raises(Conflict, match="Start it again"):
        await packages.add(tenant, dead, [profile("9")], LEASE_MS + 3)
    with pytest.raises(Conflict, match="Start it again"):
        await packages.change(tenant, 1, [kept, package("dead", dead)], LEASE_MS + 3)
    assert (await packages.installed(tenant)).packages == (kept,)
    assert await packages.change(tenant, 1, [kept, package("slow", slow)], LEASE_MS + 3)


async def test_what_is_being_given_up_is_not_added_to(driver: Driver, packages: MongoPackages, tenant: Tenant) -> None:
    key = await packages.begin(tenant, 1)
    given_up = {"q": {"_id": key}, "u": {"$set": {"at": -1}}}
    await driver.command(tenant.database, {"update": LOADS, "updates": [given_up]})
    with pytest.raises(Conflict, match="Start it again"):
        await packages.add(tenant, key, [profile("1")], 2)
    with pytest.raises(Conflict, match="Start it again"):
        await packages.change(tenant, 0, [package("one", key)], 2)
    assert await packages.installed(tenant) == Installed()
    assert await driver.find(tenant.database, RESOURCES, {}, {}, 9) == []


async def test_no_tenant_sees_anothers(driver: Driver, packages: MongoPackages, tenant: Tenant) -> None:
    await put(packages, tenant, "one", profile("1"))
    other = Tenant("two", f"{tenant.database}_two", os.urandom(32))
    assert await found(packages, other) == []
    assert await packages.installed(other) == Installed()


async def test_the_largest_resources_fit_and_so_do_the_commands_that_bring_them(
    driver: Driver, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages, sizes = MongoPackages(driver), []
    send = driver.command

    async def sending(database: str, command: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(bson.encode(command)))
        return await send(database, command)

    monkeypatch.setattr(driver, "command", sending)
    raw = os.urandom(1024) * (MAX_RESOURCE_BYTES // 1024)
    long = {"url": URL, "version": "1" * 200, "id": "i" * 200, "type": "StructureDefinition"}
    many = [PackageResource(**long, file=f"package/{'n' * 1000}{n}.json", raw=raw) for n in range(2)]
    await put(packages, tenant, "large", *many, *(profile("2", b"x" * 5_000_000, f"{n}.json") for n in range(5)))
    assert sorted(map(len, await found(packages, tenant))) == [5_000_000] * 5 + [len(raw)] * 2
    assert max(sizes) < 16 * 1024 * 1024
