"""Which packages an installation needs, from the folder, the registry and what is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fhir_server.api.errors import Failure, InvalidRequest, Malformed, NotFound, TooCostly, Unavailable, Unprocessable
from fhir_server.api.packages import Package, Wish
from fhir_server.packaging import planning
from fhir_server.packaging.folder import Folder
from fhir_server.packaging.planning import Plan, Planner, read
from fhir_server.packaging.registry import Registry
from tests.archives import manifest, package


class Web:
    """A registry of archives in memory; `asked` are the paths in order."""

    def __init__(self) -> None:
        self.archives: dict[tuple[str, str], bytes] = {}
        self.asked: list[str] = []
        self.is_away = False

    def add(self, name: str, version: str = "1.0.0", **dependencies: str) -> None:
        said = manifest(name, version, dependencies=dependencies)
        self.archives[name, version] = package(said)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.is_away:
            return httpx.Response(503)
        name, _, version = request.url.path.removeprefix("/").partition("/")
        if version:
            return httpx.Response(200, content=_stream(self.archives[name, version]))
        versions: dict[str, Any] = {v: {"dist": {}} for n, v in self.archives if n == name}
        return httpx.Response(200 if versions else 404, content=_stream(json.dumps({"versions": versions}).encode()))


async def _stream(raw: bytes) -> AsyncGenerator[bytes, None]:
    yield raw


class NoSources:
    """What may be fetched by URL: nothing."""

    def open(self, url: str, *, as_is: bool = False) -> AsyncGenerator[bytes, None]:
        raise InvalidRequest(f"{url} may not be fetched.")


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def planner(web: Web, said: list[str], tmp_path: Path) -> Planner:
    async def report(text: str) -> None:
        said.append(text)

    for name in ("folder", "work"):
        (tmp_path / name).mkdir()
    registry = Registry("http://registry.test", httpx.MockTransport(web.answer))
    return Planner(Folder(str(tmp_path / "folder")), registry, NoSources(), tmp_path / "work", report)


def put(tmp_path: Path, file: str, name: str, version: str = "1.0.0", **dependencies: str) -> Path:
    path = tmp_path / "folder" / file
    path.write_bytes(package(manifest(name, version, dependencies=dependencies)))
    return path


def labels(plan: Plan) -> list[str]:
    return [planned.manifest.label for planned in plan.packages]


async def planned(planner: Planner, wish: Wish, *installed: Package, dependencies: bool = True) -> Plan:
    return await planner.plan(wish, installed, dependencies=dependencies)


def there(name: str, version: str = "1.0.0") -> Package:
    return Package(name, version, "key", "sha")


async def test_the_folder_comes_before_the_registry(
    planner: Planner, web: Web, said: list[str], tmp_path: Path
) -> None:
    put(tmp_path, "1.tgz", "a.a", **{"b.b": "1.0.0", "c.c": "1.x"})
    put(tmp_path, "2.tar.gz", "b.b")
    web.add("b.b")
    web.add("c.c", "1.4.0", **{"d.d": "1.0.0"})
    web.add("d.d")
    plan = await planned(planner, Wish("a.a"))
    assert (labels(plan), plan.missing) == (["a.a#1.0.0", "b.b#1.0.0", "c.c#1.4.0", "d.d#1.0.0"], [])
    assert web.asked == ["/c.c", "/c.c/1.4.0", "/d.d", "/d.d/1.0.0"]
    assert said[-2:] == ["looking for d.d#1.0.0", "fetching d.d#1.0.0"]
    (sha,) = {p.archive.sha256 for p in plan.packages if p.manifest.name == "d.d"}
    assert sha == hashlib.sha256(web.archives["d.d", "1.0.0"]).hexdigest()


async def test_circles_end_and_diamonds_are_one(planner: Planner, web: Web) -> None:
    web.add("a.a", **{"b.b": "1.0.0", "c.c": "1.0.0"})
    web.add("b.b", **{"c.c": "1.0.x", "a.a": "1.0.0"})
    web.add("c.c", **{"c.c": "1.0.0", "b.b": "latest"})
    assert labels(await planned(planner, Wish("a.a"))) == ["a.a#1.0.0", "b.b#1.0.0", "c.c#1.0.0"]


async def test_what_is_there_or_built_in_is_not_looked_for(planner: Planner, web: Web) -> None:
    web.add("a.a", **{"hl7.fhir.r4.core": "4.0.1", "b.b": "1.x", "c.c": "1.0.0"})
    web.add("c.c")
    plan = await planned(planner, Wish("a.a"), there("b.b", "1.9.0"), there("c.c", "1.0.1"))
    assert (labels(plan), plan.missing) == (["a.a#1.0.0", "c.c#1.0.0"], [])
    assert "/b.b" not in web.asked


async def test_what_is_missing_is_told_with_who_needs_it(planner: Planner, web: Web) -> None:
    web.add("a.a", **{"b.b": "1.0.0", "x.x": "1.0.0", "y.y": "current", "z.z": "dev"})
    web.add("b.b", **{"x.x": "1.0.0", "w.w": "2.0.0"})
    plan = await planned(planner, Wish("a.a", "1.0.0"))
    assert plan.missing == [
        ("x.x", "1.0.0", "a.a#1.0.0"),
        ("y.y", "current", "a.a#1.0.0"),
        ("z.z", "dev", "a.a#1.0.0"),
        ("w.w", "2.0.0", "b.b#1.0.0"),
    ]
    alone = await planned(planner, Wish("a.a"), dependencies=False)
    assert (labels(alone), alone.missing) == (["a.a#1.0.0"], [])


async def test_several_versions_of_a_package_may_be_needed(planner: Planner, web: Web) -> None:
    web.add("a.a", **{"b.b": "1.0.0", "c.c": "1.0.0"})
    web.add("b.b", **{"c.c": "2.0.0"})
    web.add("c.c", "1.0.0")
    web.add("c.c", "2.0.0")
    assert labels(await planned(planner, Wish("a.a"))) == ["a.a#1.0.0", "b.b#1.0.0", "c.c#1.0.0", "c.c#2.0.0"]


async def test_a_chain_without_end_ends(planner: Planner, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_PACKAGES", 5)
    for n in range(9):
        web.add(f"a.n{n}", **{f"a.n{n + 1}": "1.0.0"})
    with pytest.raises(TooCostly, match="more than 5 others"):
        await planned(planner, Wish("a.n0"))


async def test_a_registry_that_is_away_is_no_missing_dependency(planner: Planner, web: Web, tmp_path: Path) -> None:
    put(tmp_path, "a.tgz", "a.a", **{"b.b": "1.0.0"})
    web.is_away = True
    with pytest.raises(Unavailable, match=r"b\.b, which a\.a#1\.0\.0 depends on: .* status 503"):
        await planned(planner, Wish("a.a"))


async def test_a_broken_dependency_says_whose_it_is(planner: Planner, web: Web) -> None:
    web.add("a.a", **{"b.b": "1.0.0"})
    web.archives["b.b", "1.0.0"] = b"no archive"
    with pytest.raises(Malformed, match=r"b\.b, which a\.a#1\.0\.0 depends on: This is no gzip"):
        await planned(planner, Wish("a.a"))
    web.archives["b.b", "1.0.0"] = package(manifest("evil.e"))
    with pytest.raises(Unprocessable, match=r"found for b\.b#1\.0\.0 is evil\.e#1\.0\.0"):
        await planned(planner, Wish("a.a"))


async def test_an_archive_is_a_wish_by_itself(planner: Planner, tmp_path: Path) -> None:
    path = put(tmp_path, "odd name.bin", "a.a")
    plan = await planned(planner, Wish(archive=lambda: read(path)))
    assert labels(plan) == ["a.a#1.0.0"]
    assert plan.packages[0].archive.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("wish", "failure"),
    [
        (Wish("z.z"), NotFound),
        (Wish("a.a", "9.9.9"), NotFound),
        (Wish("a.a", "current"), InvalidRequest),
        (Wish("hl7.fhir.r4.core"), InvalidRequest),
        (Wish(url="http://x.example/a.tgz"), InvalidRequest),
    ],
)
async def test_wishes_that_cannot_be_fulfilled(planner: Planner, web: Web, wish: Wish, failure: type[Failure]) -> None:
    web.add("a.a")
    with pytest.raises(failure):
        await planned(planner, wish)


async def test_the_core_is_not_installed_from_an_archive_either(planner: Planner, tmp_path: Path) -> None:
    path = put(tmp_path, "core.tgz", "hl7.fhir.r4.core", "4.0.1")
    with pytest.raises(InvalidRequest, match="built in"):
        await planned(planner, Wish(archive=lambda: read(path)))


def test_a_folder_is_read_by_content_again_when_it_changes_and_passes_over_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    folder = Folder(str(tmp_path / "folder"))
    assert folder.find("a.a", "") is None
    old, new = put(tmp_path, "zzz.tgz", "a.a", "1.9.0"), put(tmp_path, "aaa.tgz", "a.a", "1.10.0")
    (tmp_path / "folder" / "broken.tgz").write_bytes(b"x")
    (tmp_path / "folder" / "dir.tgz").mkdir()
    (tmp_path / "folder" / "gone.tgz").symlink_to(tmp_path / "nothing")
    wanted: list[Any] = [(folder.find("a.a", one)) for one in ("", "1.9.x", "1.9.0", "2.x")]
    assert wanted == [new, old, old, None]
    put(tmp_path, "aaa.tgz", "b.b", "1.0.0", **{"x.x": "1"})
    assert (folder.find("a.a", ""), folder.find("b.b", "")) == (old, new)
    assert Folder("").find("a.a", "") is None
    assert Folder(str(tmp_path / "none")).find("a.a", "") is None
