"""The documentation's links lead somewhere, and README's commands are those there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_readme_begins_with_the_two_commands() -> None:
    commands = re.findall(r"^\$ (.*?)(?:  +#.*)?$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]


def test_every_make_target_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))}
    assert named - targets == set()
    assert {"setup", "check", "engine", "lock"} <= named


def test_every_path_in_the_list_of_database_features_exists() -> None:
    text = (ROOT / "docs/reference/mongodb.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`(store/[a-z_/.]*)`", text))
    assert {path for path in paths if not (ROOT / "fhir_server" / path).exists()} == set()
    assert len(paths) > 5
