"""`fhir-server package`: as people use it, on the database of a server that runs. docs/guide/packages.md"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhir_server.cli.commands import app
from fhir_server.testing.client import FhirClient, fhir_client
from fhir_server.testing.engine import test_engine_url
from tests.archives import CANONICAL, definition, manifest, package

pytestmark = pytest.mark.engine

Json = dict[str, Any]


class Shell:
    """Runs the command on the database of a server."""

    def __init__(self, http: FhirClient, monkeypatch: pytest.MonkeyPatch) -> None:
        assert http.app.services is not None
        store = http.app.services.store
        monkeypatch.setenv("FHIR_DATABASE_PREFIX", store._prefix)  # type: ignore[attr-defined]  # MongoStore's

    async def __call__(self, *arguments: str) -> Result:
        where = ["--mongodb", test_engine_url()]
        return await asyncio.to_thread(CliRunner().invoke, app, ["package", *arguments, *where])

    async def lines(self, *arguments: str) -> list[str]:
        """Return what a command prints that works."""
        told = await self(*arguments)
        assert told.exit_code == 0, told.output
        return told.stdout.splitlines()

    async def refused(self, *arguments: str) -> str:
        """Return what a command says that does not."""
        told = await self(*arguments)
        assert (told.exit_code, told.stdout) == (1, ""), told.output
        assert all(line.startswith("fhir-server: ") for line in told.stderr.splitlines())
        return told.stderr


async def test_packages_are_installed_listed_shown_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = manifest(title="One", dependencies={"hl7.fhir.r4.core": "4.0.1"})
    one, two = tmp_path / "one.tgz", tmp_path / "two.tgz"
    one.write_bytes(package(said, definition("ValueSet", "colors", status="active"), definition(name="p")))
    two.write_bytes(package(manifest("org.example.two", dependencies={"org.example.one": "1.x"}), definition(name="q")))
    async with fhir_client() as http:
        shell = Shell(http, monkeypatch)
        assert await shell.lines("list") == ["no packages are installed"]
        assert await shell.lines("install", str(one)) == ["installed org.example.one#1.0.0: 2 resources"]
        assert await shell.lines("install", str(one)) == ["unchanged org.example.one#1.0.0"]
        assert await shell.lines("install", str(two)) == ["installed org.example.two#1.0.0: 1 resources"]
        assert (await http.get(f"ValueSet/$expand?url={CANONICAL}/ValueSet/colors")).status_code != 404

        head, first, second = await shell.lines("list")
        assert head.split() == ["package", "version", "resources", "installed", "missing"]
        assert first.split()[:3] == ["org.example.one", "1.0.0", "2"]
        assert second.split()[:3] == ["org.example.two", "1.0.0", "1"]
        (row, _) = json.loads((await shell("list", "--json")).stdout)
        assert (row["name"], row["counts"], row["by"]) == (
            "org.example.one",
            {"StructureDefinition": 1, "ValueSet": 1},
            "command line",
        )
        assert row["dependencies"] == [{"name": "hl7.fhir.r4.core", "version": "4.0.1", "state": "built-in"}]

        shown = await shell.lines("show", "org.example.one")
        assert shown[0] == "org.example.one#1.0.0  One"
        assert shown[-1].split() == ["ValueSet", f"{CANONICAL}/ValueSet/colors|1.0.0"]
        (row,) = json.loads((await shell("show", "org.example.one@1.0.0", "--json")).stdout)
        assert [r["file"] for r in row["resources"]] == [
            "package/StructureDefinition-p.json",
            "package/ValueSet-colors.json",
        ]

        assert "org.example.two#1.0.0 depends on org.example.one#1.0.0" in await shell.refused(
            "remove", "org.example.one"
        )
        assert await shell.lines("remove", "org.example.one@1.0.0", "--force") == ["removed   org.example.one#1.0.0"]
        assert (await shell.lines("list"))[1].split()[-1] == "1"
        assert await shell.lines("remove", "org.example.two") == ["removed   org.example.two#1.0.0"]


async def test_dependencies_come_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"org.example.b": "1.0.0", "org.example.gone": "1.0.0"}
    (tmp_path / "a.tgz").write_bytes(package(manifest("org.example.a", dependencies=needs)))
    (tmp_path / "org.example.b-1.0.0.tgz").write_bytes(package(manifest("org.example.b")))
    async with fhir_client() as http:
        shell = Shell(http, monkeypatch)
        monkeypatch.setenv("FHIR_PACKAGE_DIR", str(tmp_path))
        told = await shell.refused("install", "org.example.a")
        assert "org.example.a#1.0.0 depends on org.example.gone#1.0.0" in told
        assert told.endswith("--missing-dependencies accept\n")
        assert await shell.lines("list") == ["no packages are installed"]
        assert await shell.lines("install", "org.example.a@1.0.0", "--missing-dependencies", "accept") == [
            "installed org.example.a#1.0.0: 0 resources",
            "installed org.example.b#1.0.0: 0 resources",
            "missing   org.example.gone#1.0.0, which org.example.a#1.0.0 depends on",
        ]
        await shell.lines("remove", "org.example.b", "--force")
        assert await shell.lines("install", "org.example.a", "--no-dependencies") == ["unchanged org.example.a#1.0.0"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("install", "nowhere.tgz"), "nowhere.tgz is no file"),
        (("install", "org.example.none"), "The package org.example.none is not here"),
        (("install", "org.example.none@current"), "names a build"),
        (("install", "x", "--missing-dependencies", "maybe"), "refuse or accept"),
        (("install", "{tmp}/bad.tgz"), "no gzip file"),
        (("install", "{tmp}/odd.tgz"), "org.example.one#1.0.0/package/ValueSet-v.json: ValueSet.url must be"),
        (("show", "org.example.none"), "is not installed"),
        (("remove", "org.example.none"), "is not installed"),
        (("list", "--tenant", "nobody"), "no tenant nobody"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    (tmp_path / "bad.tgz").write_bytes(b"no archive")
    (tmp_path / "odd.tgz").write_bytes(package(manifest(), {"resourceType": "ValueSet", "id": "v", "url": 5}))
    async with fhir_client() as http:
        told = await Shell(http, monkeypatch).refused(*(one.replace("{tmp}", str(tmp_path)) for one in arguments))
        assert (why in told, told.count("\n")) == (True, 1), told
