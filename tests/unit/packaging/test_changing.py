"""What installing and removing make of the packages in force."""

from __future__ import annotations

import pytest

from fhir_server.api.errors import Conflict, NotFound
from fhir_server.api.packages import Done, Need, Package, Terms
from fhir_server.packaging.changing import after, install, needs, remove


def made(name: str, version: str = "1.0.0", sha: str = "s", key: str = "", **dependencies: str) -> Package:
    rows = tuple((other, wanted) for other, wanted in dependencies.items())
    return Package(name, version, key or f"{name}-{version}-{sha}", sha, dependencies=rows)


def labels(packages: tuple[Package, ...] | list[Package]) -> list[str]:
    return [package.label for package in packages]


def test_what_is_new_comes_beside_what_is_there() -> None:
    before = [made("a"), made("b")]
    done = install(before, [made("a", "1.1.0"), made("b")], "a", Terms())
    assert (labels(done.installed), labels(done.unchanged), done.removed) == (["a#1.1.0"], ["b#1.0.0"], ())
    assert labels(after(before, done)) == ["a#1.0.0", "b#1.0.0", "a#1.1.0"]


def test_an_upgrade_replaces_older_versions_of_what_was_asked_for_alone() -> None:
    before = [made("a", "1.9.0"), made("a", "1.10.0-rc"), made("a", "2.0.0"), made("b", "0.1.0")]
    done = install(before, [made("a", "1.10.0"), made("b", "1.0.0")], "a", Terms(upgrade=True))
    assert labels(done.removed) == ["a#1.9.0", "a#1.10.0-rc"]
    assert labels(after(before, done)) == ["a#2.0.0", "b#0.1.0", "a#1.10.0", "b#1.0.0"]


def test_other_content_of_a_version_needs_force_and_only_of_what_was_asked_for() -> None:
    before = [made("a"), made("b")]
    with pytest.raises(Conflict, match="SHA-256 s"):
        install(before, [made("a", sha="t")], "a", Terms())
    done = install(before, [made("a", sha="t")], "a", Terms(force=True))
    assert (done.installed[0].sha256, done.removed[0].sha256) == ("t", "s")
    assert [p.sha256 for p in after(before, done)] == ["s", "t"]
    with pytest.raises(Conflict, match=r"b#1\.0\.0"):
        install(before, [made("a", sha="t"), made("b", sha="t")], "a", Terms(force=True))


def test_what_others_depend_on_does_not_go() -> None:
    before = [made("a", "1.0.0"), made("b", a="1.0.0"), made("c", a="1.x"), made("d", a="9.9.9")]
    with pytest.raises(Conflict) as caught:
        remove(before, "a", "", force=False)
    assert [i.diagnostics.partition(".")[0] + "..." for i in caught.value.issues] == ["b#1...", "c#1..."]
    assert labels(remove(before, "a", "1.0.0", force=True).removed) == ["a#1.0.0"]
    with pytest.raises(Conflict, match=r"b#1\.0\.0 depends on a#1\.0\.0") as caught:
        install(before, [made("a", "1.1.0")], "a", Terms(upgrade=True))
    assert len(caught.value.issues) == 1  # c takes the new one too
    assert labels(install(before, [made("a", "1.1.0")], "a", Terms(upgrade=True, force=True)).removed) == ["a#1.0.0"]


def test_another_version_that_fits_lets_one_go() -> None:
    before = [made("a", "1.0.0"), made("a", "1.1.0"), made("c", a="1.x")]
    assert labels(remove(before, "a", "1.0.0", force=False).removed) == ["a#1.0.0"]
    with pytest.raises(Conflict):
        remove(before, "a", "", force=False)


def test_packages_that_go_together_do_not_hold_each_other() -> None:
    before = [made("a", "1.0.0", b="1.x"), made("a", "2.0.0", a="1.0.0"), made("b")]
    assert labels(remove(before, "a", "", force=False).removed) == ["a#1.0.0", "a#2.0.0"]


def test_what_is_not_there_cannot_go() -> None:
    with pytest.raises(NotFound, match=r"Installed are a#1.0.0, a#2.0.0"):
        remove([made("a"), made("a", "2.0.0")], "a", "3.0.0", force=True)
    with pytest.raises(NotFound, match="package z is not installed"):
        remove([made("a")], "z", "", force=True)


def test_nothing_changes_nothing() -> None:
    assert after([made("a")], Done()) == [made("a")]


def test_needs_tell_whether_they_are_met() -> None:
    one = made("a", **{"hl7.fhir.r4.core": "4.0.1", "b": "1.x", "c": "1.0.0", "d": "current"})
    found = needs(one, [one, made("b", "1.5.0"), made("c", "1.0.1"), made("d")])
    assert found == [
        Need("hl7.fhir.r4.core", "4.0.1", "built-in"),
        Need("b", "1.x", "installed"),
        Need("c", "1.0.0", "missing"),
        Need("d", "current", "missing"),
    ]
