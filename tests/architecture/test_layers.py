"""The rules of who may import whom hold, and a breach of any of them is found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("fhir_server", "operations", "packs", "terminology", "bridge")
# A file, what it must not import, and the contract that says so.
BREACHES = [
    ("operations/everything/__init__.py", "fhir_server.store.mongo", "plugins stand on the published surface only"),
    ("operations/everything/__init__.py", "fhir_server.fhir.json", "plugins stand on the published surface only"),
    ("packs/__init__.py", "operations.everything", "plugin families never import each other"),
    ("fhir_server/fhir/json.py", "fhir_server.api.errors", "a layer imports only what is below it"),
    ("fhir_server/store/mongo.py", "fhir_server.kernel.registry", "a layer imports only what is below it"),
    ("fhir_server/search/query.py", "fhir_server.validation", "a layer imports only what is below it"),
    ("fhir_server/interactions/read.py", "fhir_server.http.errors", "a layer imports only what is below it"),
    ("fhir_server/search/query.py", "pymongo", "only the store knows the database driver"),
    ("fhir_server/interactions/read.py", "fastapi", "only the edge knows the web framework"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_house_keeps_its_rules(copy: Path) -> None:
    found = lint(copy)
    assert found.returncode == 0, found.stdout
    assert "Contracts: 5 kept, 0 broken." in found.stdout


@pytest.mark.parametrize(("file", "forbidden", "contract"), BREACHES)
def test_a_breach_is_found(copy: Path, file: str, forbidden: str, contract: str) -> None:
    path = copy / file
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}\nimport {forbidden}  # the breach\n", encoding="utf-8")
    try:
        found = lint(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout


def test_no_file_is_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}
    names = [p for package in PACKAGES for p in (ROOT / package).rglob("*") if p.stem in drawers]
    assert names == []
