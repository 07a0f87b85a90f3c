"""Packages over HTTP: installed, in force at once, listed, upgraded, removed; on two servers of one database."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from fhir_server.api.packages import MAX_RESOURCE_BYTES, Terms, Wish
from fhir_server.app import create_app
from fhir_server.cli.commands import app as command_line
from fhir_server.settings import Settings
from fhir_server.testing.client import FhirClient, fhir_client
from fhir_server.testing.engine import test_engine_url
from tests.archives import CANONICAL, definition, manifest, package
from tests.http.conformance.definitions import named_patient

Json = dict[str, Any]
pytestmark = pytest.mark.engine

GZIP = {"content-type": "application/gzip"}
COLORS = {
    "status": "active",
    "content": "complete",
    "concept": [{"code": "red"}, {"code": "blue"}],
}


def colors(version: str = "1.0.0", **more: Any) -> list[Json]:
    """Return a code system and the value set of all its codes."""
    system = definition("CodeSystem", "colors", version, **{**COLORS, **more})
    include = {"include": [{"system": system["url"]}]}
    return [system, definition("ValueSet", "colors", version, status="active", compose=include)]


def parts(row: Json) -> Json:
    """Return the parts of a parameter by name; of several with the same name the last."""
    return {p["name"]: next((v for k, v in p.items() if k.startswith("value")), p.get("part")) for p in row["part"]}


def told(answer: httpx.Response) -> list[tuple[str, str, str]]:
    """Return what an answer says came, stayed and went."""
    assert answer.status_code == 200, answer.text
    rows = answer.json().get("parameter", [])
    return [(row["name"], parts(row)["name"], parts(row)["version"]) for row in rows]


def issues(answer: httpx.Response) -> list[Json]:
    found: list[Json] = answer.json()["issue"]
    return found


async def install(http: FhirClient, raw: bytes, query: str = "") -> httpx.Response:
    return await http.send("POST", f"$package-install{query}", raw, content_type="application/gzip")


async def listed(http: FhirClient) -> list[str]:
    rows = (await http.get("$package-list")).json().get("parameter", [])
    return [f"{parts(row)['name']}#{parts(row)['version']}" for row in rows]


async def expanded(http: FhirClient) -> list[str]:
    answer = await http.get(f"ValueSet/$expand?url={CANONICAL}/ValueSet/colors")
    return [row["code"] for row in answer.json().get("expansion", {}).get("contains", ())]


async def finished(http: FhirClient, answer: httpx.Response) -> httpx.Response:
    """Wait for a job."""
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"].removeprefix("http://testserver")
    for _ in range(200):
        answer = await http.get(place)
        if answer.status_code != 202:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError("the job does not end")


@asynccontextmanager
async def beside(http: FhirClient, **settings: str) -> AsyncIterator[FhirClient]:
    """Start another server on the database of a client."""
    assert http.app.services is not None
    prefix = http.app.services.store._prefix  # type: ignore[attr-defined]  # MongoStore's
    environment = {"FHIR_MONGODB_URL": test_engine_url(), "FHIR_DATABASE_PREFIX": prefix, "FHIR_LOG_LEVEL": "error"}
    app = create_app(Settings.from_environment(environment))
    await app.start()
    try:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver", timeout=60) as other:
            yield FhirClient(app, other)
    finally:
        await app.stop()


async def test_a_package_that_is_posted_is_in_force_at_once_and_gone_when_removed(server: FhirClient) -> None:
    raw = package(manifest(title="One"), *colors(), definition("SearchParameter", "x"))
    assert await expanded(server) == []
    assert told(await install(server, raw)) == [("installed", "org.example.one", "1.0.0")]
    assert await expanded(server) == ["red", "blue"]
    assert (await server.get("CodeSystem?_summary=count")).json()["total"] == 0
    assert told(await install(server, raw)) == [("unchanged", "org.example.one", "1.0.0")]
    gone = await server.post("$package-remove", parameters(name="org.example.one"))
    assert told(gone) == [("removed", "org.example.one", "1.0.0")]
    assert await expanded(server) == []
    assert await listed(server) == []
    again = await server.post("$package-remove", parameters(name="org.example.one"))
    assert (again.status_code, issues(again)[0]["code"]) == (404, "not-found")


def parameters(**values: Any) -> Json:
    rows = []
    for name, value in values.items():
        kind = {"bool": "valueBoolean", "str": "valueString", "dict": "resource"}[type(value).__name__]
        rows.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": rows}


@pytest.mark.parametrize("is_bare", [True, False])
async def test_content_may_come_as_a_binary(server: FhirClient, is_bare: bool) -> None:
    binary: Json = {"resourceType": "Binary", "contentType": "application/gzip"}
    binary["data"] = b64encode(package(manifest(), *colors())).decode()
    answer = await server.post("$package-install", binary if is_bare else parameters(content=binary))
    assert told(answer) == [("installed", "org.example.one", "1.0.0")]


async def test_a_list_tells_everything_and_of_one_its_resources(server: FhirClient) -> None:
    said = manifest(title="One", dependencies={"hl7.fhir.r4.core": "4.0.1", "org.example.gone": "1.0.0"})
    raw = package(said, *colors(), {"resourceType": "Patient", "id": "p"})
    refused = await install(server, raw)
    assert (refused.status_code, await listed(server)) == (422, [])
    issue, way = issues(refused)
    assert (issue["code"], way["severity"]) == ("not-found", "information")
    assert "org.example.one#1.0.0 depends on org.example.gone#1.0.0" in issue["diagnostics"]
    done = (await install(server, raw, "?missingDependencies=accept")).json()["parameter"]
    assert parts(done[-1]) == {"name": "org.example.gone", "version": "1.0.0", "dependent": "org.example.one#1.0.0"}
    (row,) = (await server.get("$package-list")).json()["parameter"]
    found = parts(row)
    assert found["canonical"] == CANONICAL
    assert (found["title"], found["fhirVersion"], found["resources"], found["skipped"]) == ("One", "4.0.1", 2, 1)
    needs = [parts(part) for part in row["part"] if part["name"] == "dependency"]
    assert [need["state"] for need in needs] == ["built-in", "missing"]
    assert not [part for part in row["part"] if part["name"] == "resource"]
    (row,) = (await server.get("$package-list?name=org.example.one")).json()["parameter"]
    names = [parts(part)["canonical"] for part in row["part"] if part["name"] == "resource"]
    assert names == [f"{CANONICAL}/CodeSystem/colors|1.0.0", f"{CANONICAL}/ValueSet/colors|1.0.0"]
    assert (await server.get("$package-list?name=org.example.no")).status_code == 404


async def test_versions_stand_side_by_side_until_one_upgrades(server: FhirClient) -> None:
    for version, code in (("1.0.0", "old"), ("1.1.0", "new")):
        raw = package(manifest(version=version), *colors(version, concept=[{"code": code}]))
        assert told(await install(server, raw)) == [("installed", "org.example.one", version)]
    assert await listed(server) == ["org.example.one#1.0.0", "org.example.one#1.1.0"]
    assert await expanded(server) == ["new"]
    newest = package(manifest(version="2.0.0"), *colors("2.0.0"))
    assert told(await install(server, newest, "?upgrade=true")) == [
        ("installed", "org.example.one", "2.0.0"),
        ("removed", "org.example.one", "1.0.0"),
        ("removed", "org.example.one", "1.1.0"),
    ]
    assert await expanded(server) == ["red", "blue"]


async def test_the_same_version_with_other_content_is_refused_unless_forced(server: FhirClient) -> None:
    await install(server, package(manifest(), *colors()))
    other = package(manifest(), *colors(concept=[{"code": "green"}]))
    refused = await install(server, other)
    assert (refused.status_code, issues(refused)[0]["code"], await expanded(server)) == (
        409,
        "conflict",
        ["red", "blue"],
    )
    done = told(await install(server, other, "?force=true"))
    assert done == [("installed", "org.example.one", "1.0.0"), ("removed", "org.example.one", "1.0.0")]
    assert await expanded(server) == ["green"]


async def test_what_others_depend_on_stays_unless_forced(server: FhirClient) -> None:
    await install(server, package(manifest(), *colors()))
    dependent = package(manifest("org.example.two", dependencies={"org.example.one": "1.x"}))
    assert told(await install(server, dependent)) == [("installed", "org.example.two", "1.0.0")]
    asked = parameters(name="org.example.one", version="1.0.0")
    refused = await server.post("$package-remove", asked)
    assert refused.status_code == 409
    assert "org.example.two#1.0.0 depends on org.example.one#1.0.0" in issues(refused)[0]["diagnostics"]
    newer = package(manifest(version="2.0.0"), *colors())
    assert (await install(server, newer, "?upgrade=true")).status_code == 409
    assert await listed(server) == ["org.example.one#1.0.0", "org.example.two#1.0.0"]
    asked["parameter"].append({"name": "force", "valueBoolean": True})
    assert told(await server.post("$package-remove", asked)) == [("removed", "org.example.one", "1.0.0")]


async def test_a_name_is_found_in_the_folder_with_what_it_depends_on(tmp_path: Path) -> None:
    needs = {"org.example.b": "1.0.x", "org.example.c": "2.0.0"}
    back = {"org.example.a": "1.0.0"}
    (tmp_path / "whatever.tgz").write_bytes(package(manifest("org.example.a", dependencies=needs), *colors()))
    (tmp_path / "b-1.tgz").write_bytes(package(manifest("org.example.b", "1.0.1", dependencies=back)))
    (tmp_path / "b-2.tgz").write_bytes(package(manifest("org.example.b", "1.0.2", dependencies=back)))
    (tmp_path / "c.tgz").write_bytes(package(manifest("org.example.c", "2.0.0")))
    (tmp_path / "broken.tgz").write_bytes(b"no archive")
    async with fhir_client(package_dir=str(tmp_path)) as http:
        started = await http.post("$package-install", parameters(name="org.example.a"))
        assert told(await finished(http, started)) == [
            ("installed", "org.example.a", "1.0.0"),
            ("installed", "org.example.b", "1.0.2"),
            ("installed", "org.example.c", "2.0.0"),
        ]
        assert await expanded(http) == ["red", "blue"]
        missing = await finished(http, await http.post("$package-install", parameters(name="org.example.z")))
        assert (missing.status_code, "org.example.z is not here" in missing.text) == (409, True)


class Registry(BaseHTTPRequestHandler):
    """A package registry with one package."""

    archive = package(manifest("org.example.far", "2.1.0"), *colors())

    def do_GET(self) -> None:
        url = f"http://{self.headers['host']}"
        listed = {"versions": {"2.1.0": {"dist": {"tarball": f"{url}/files/far.tgz"}}, "1.0.0": {}}}
        found = {"/org.example.far": json.dumps(listed).encode(), "/files/far.tgz": self.archive}.get(self.path)
        self.send_response(404 if found is None else 200)
        self.send_header("content-length", str(len(found or b"")))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as web:
        thread = Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()
        thread.join()


async def test_what_is_not_here_is_fetched_from_the_registry(registry: str) -> None:
    async with fhir_client(package_registry=registry) as http:
        near = package(manifest(dependencies={"org.example.far": "2.x"}))
        assert told(await install(http, near)) == [
            ("installed", "org.example.one", "1.0.0"),
            ("installed", "org.example.far", "2.1.0"),
        ]
        assert await expanded(http) == ["red", "blue"]
        again = await http.post("$package-install", parameters(name="org.example.far"))
        assert told(await finished(http, again)) == [("unchanged", "org.example.far", "2.1.0")]
        none = await finished(http, await http.send("POST", "$package-install?name=org.example.far&version=3.x"))
        assert "is not here in a version 3.x" in issues(none)[0]["diagnostics"]


async def test_a_resource_that_is_no_document_of_the_database_is_refused_by_name(server: FhirClient) -> None:
    fits = definition("CodeSystem", "fits", copyright="x" * (MAX_RESOURCE_BYTES - 300))
    large = definition("CodeSystem", "large", copyright="x" * MAX_RESOURCE_BYTES)
    refused = await install(server, package(manifest(), fits, large))
    assert (refused.status_code, issues(refused)[0]["code"]) == (413, "too-long")
    assert issues(refused)[0]["location"] == ["org.example.one#1.0.0/package/CodeSystem-large.json"]
    assert (await listed(server), await orphans(server)) == ([], 0)
    assert told(await install(server, package(manifest(), fits))) == [("installed", "org.example.one", "1.0.0")]


async def test_a_url_is_fetched_where_import_may_read(tmp_path: Path) -> None:
    (tmp_path / "one.tgz").write_bytes(package(manifest(), *colors()))
    (tmp_path / "bad.tgz").write_bytes(package(manifest(), {"resourceType": "ValueSet", "id": "v", "url": 5}))
    async with fhir_client(import_dir=str(tmp_path)) as http:
        refused = await http.send("POST", "$package-install?url=file:///etc/passwd")
        assert refused.status_code == 400
        bad = await finished(http, await http.send("POST", f"$package-install?url=file://{tmp_path}/bad.tgz"))
        assert issues(bad)[0]["location"] == ["org.example.one#1.0.0/package/ValueSet-v.json"]
        assert issues(bad)[0]["expression"] == ["ValueSet.url"]
        done = await finished(http, await http.send("POST", f"$package-install?url=file://{tmp_path}/one.tgz"))
        assert told(done) == [("installed", "org.example.one", "1.0.0")]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "one of the three"),
        ("?name=a.b&url=http://x.example/a.tgz", "one of the three"),
        ("?url=http://x.example/a.tgz", "FHIR_IMPORT_HOSTS"),
        ("?url=http://x.example/a.tgz&version=1", "A version goes with a name"),
        ("?name=a.b&version=current", "names a build"),
        ("?name=..%2Fa", "is no name of a package"),
        ("?name=hl7.fhir.r4.core", "has built in"),
        ("?name=a.b&missingDependencies=maybe", "must be refuse or accept"),
        ("?name=a.b&force=perhaps", "must be a boolean"),
    ],
)
async def test_what_cannot_be_asked_is_refused_at_once(shared_server: FhirClient, query: str, why: str) -> None:
    answer = await shared_server.send("POST", f"$package-install{query}")
    assert answer.status_code == 400, answer.text
    assert why in issues(answer)[0]["diagnostics"]


async def test_what_is_no_package_leaves_nothing(shared_server: FhirClient) -> None:
    good = package(manifest("org.example.bad"), *colors())
    for raw, status, code in [
        (b"no archive", 400, "structure"),
        (good[: len(good) // 2], 400, "structure"),
        (package({"name": "x y", "version": "1"}), 422, "value"),
        (package(manifest("org.example.bad", fhirVersions=["5.0.0"]), definition()), 501, "not-supported"),
    ]:
        answer = await install(shared_server, raw)
        assert (answer.status_code, issues(answer)[0]["code"]) == (status, code), answer.text
    binary = await shared_server.post("$package-install", {"resourceType": "Binary", "data": "%%%"})
    assert (binary.status_code, issues(binary)[0]["expression"]) == (400, ["Binary.data"])
    assert "org.example.bad" not in (await shared_server.get("$package-list")).text


async def test_other_operations_take_no_archive(shared_server: FhirClient) -> None:
    raw = package(manifest())
    for path in ("Patient/$validate", "$package-remove?name=a.b", "Patient"):
        answer = await shared_server.send("POST", path, raw, content_type="application/gzip")
        assert answer.status_code == 415, answer.text


async def test_get_does_not_install(shared_server: FhirClient) -> None:
    assert (await shared_server.get("$package-install?name=a.b")).status_code == 405


async def test_another_server_sees_what_changes(server: FhirClient) -> None:
    async with beside(server) as other:
        assert await expanded(other) == []
        await install(server, package(manifest(), *colors()))
        assert await listed(other) == ["org.example.one#1.0.0"]
        assert await expanded(other) == ["red", "blue"]
        await install(
            other, package(manifest(version="1.1.0"), *colors("1.1.0", concept=[{"code": "x"}])), "?upgrade=true"
        )
        assert await expanded(server) == ["x"]
        await server.post("$package-remove", parameters(name="org.example.one"))
        assert await expanded(other) == []


async def test_a_profile_of_a_package_is_kept_at_once_here_and_soon_elsewhere(server: FhirClient) -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": [f"{named_patient()['url']}"]}}

    async def accepted(http: FhirClient) -> int:
        return (await http.post("Patient", patient)).status_code

    async with beside(server) as other:
        assert [await accepted(server), await accepted(other)] == [201, 201]
        await install(server, package(manifest(), named_patient()))
        assert await accepted(server) == 422
        for _ in range(50):
            if (status := await accepted(other)) == 422:
                break
            await asyncio.sleep(0.1)
        assert status == 422
        await server.post("$package-remove", parameters(name="org.example.one"))
        assert await accepted(server) == 201


async def test_an_installation_that_is_stopped_leaves_nothing(server: FhirClient) -> None:
    services = server.app.services
    assert services is not None
    tenant = await services.store.tenant("default")
    assert tenant is not None
    raw = package(manifest(), *(definition(name=f"n{n}", note="x" * 200_000) for n in range(40)))
    seen = []

    async def stopping(text: str) -> None:
        seen.append((text, await orphans(server)))
        if len(seen) == 3:
            raise asyncio.CancelledError

    async def pieces() -> AsyncIterator[bytes]:
        yield raw

    with pytest.raises(asyncio.CancelledError):
        await services.packager.of(tenant).install(Wish(archive=pieces), Terms(), stopping)
    assert [count for _, count in seen] == [11, 22, 33]
    assert (await listed(server), await orphans(server)) == ([], 0)


async def test_of_racing_installations_one_is_in_force_and_the_others_say_so(server: FhirClient) -> None:
    raw = package(manifest(), *colors())
    answers = await asyncio.gather(*(install(server, raw) for _ in range(6)))
    said = sorted(told(answer)[0][0] for answer in answers)
    assert said == ["installed"] + ["unchanged"] * 5
    assert await listed(server) == ["org.example.one#1.0.0"]
    others = [package(manifest(f"org.example.n{n}"), definition(name=f"n{n}")) for n in range(6)]
    answers = await asyncio.gather(*(install(server, one) for one in others))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(await listed(server)) == 7
    different = [package(manifest(version="3.0.0"), definition(name=f"d{n}")) for n in range(4)]
    answers = await asyncio.gather(*(install(server, one) for one in different))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert await orphans(server) == 0


async def orphans(http: FhirClient) -> int:
    """Return how many resources of packages lie in the database that no package in force has."""
    services = http.app.services
    assert services is not None
    tenant = await services.store.tenant("default")
    assert tenant is not None
    keys = [one.key for one in (await services.packages.installed(tenant)).packages]
    driver = services.packages._driver  # type: ignore[attr-defined]  # MongoPackages'
    return len(await driver.find(tenant.database, "package_resources", {"k": {"$nin": keys}}, {"_id": 1}, 99))


async def test_real_guides_are_installed(server: FhirClient, shared_data: Path) -> None:
    counts = {}
    for name in ("us_core_311", "us_core_610", "ips_110"):
        raw = (shared_data / "ig" / f"{name}.tgz").read_bytes()
        answer = await install(server, raw, "?missingDependencies=accept")
        assert answer.status_code == 200, answer.text
        (row,) = [row for row in answer.json()["parameter"] if row["name"] == "installed"]
        counts[f"{parts(row)['name']}#{parts(row)['version']}"] = parts(row)["resources"]
    assert counts == {"hl7.fhir.us.core#3.1.1": 147, "hl7.fhir.us.core#6.1.0": 210, "hl7.fhir.uv.ips#1.1.0": 104}
    assert await listed(server) == sorted(counts)
    url = "http://hl7.org/fhir/us/core/ValueSet/us-core-encounter-type"
    assert (await server.get(f"ValueSet/$expand?url={url}")).status_code != 404
    assert await orphans(server) == 0


GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "packages.md"


async def test_what_the_guide_says_is_done(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for source, name in (("us_core_610", "hl7.fhir.us.core-6.1.0"), ("ips_110", "hl7.fhir.uv.ips-1.1.0")):
        (tmp_path / f"{name}.tgz").write_bytes((shared_data / "ig" / f"{source}.tgz").read_bytes())
    monkeypatch.chdir(tmp_path)
    async with fhir_client(package_dir=str(tmp_path)) as http:
        assert http.app.services is not None
        store = http.app.services.store
        monkeypatch.setenv("FHIR_DATABASE_PREFIX", store._prefix)  # type: ignore[attr-defined]  # MongoStore's
        monkeypatch.setenv("FHIR_PACKAGE_DIR", str(tmp_path))
        said = []
        for line in re.findall(r"^fhir-server (package .*)$", text, re.MULTILINE):
            command = [*line.split(), "--mongodb", test_engine_url()]
            result = await asyncio.to_thread(CliRunner().invoke, command_line, command)
            assert result.exit_code == 0, result.output
            said.append(result.stdout.splitlines()[0])
        assert (said[0], said[-1]) == (
            "installed hl7.fhir.uv.ips#1.1.0: 104 resources",
            "removed   hl7.fhir.uv.ips#1.1.0",
        )
        wanted, gone = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
        done = await finished(http, await http.post("$package-install", wanted))
        assert told(done)[0] == ("unchanged", "hl7.fhir.us.core", "6.1.0")
        assert told(await http.post("$package-remove", gone)) == [("removed", "hl7.fhir.us.core", "6.1.0")]
