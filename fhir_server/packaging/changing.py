"""What installing and removing make of the packages in force: decided on values, for the change is tried until it fits.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.api.errors import Conflict, NotFound
from fhir_server.api.packages import Done, Need, Package, Terms
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.versions import fits, order
from fhir_server.packaging.manifest import is_build, is_built_in


def install(before: Sequence[Package], new: Sequence[Package], root: str, terms: Terms) -> Done:
    """Return what changes when `new` come to those in force; `root` is the name of the one that was asked for.

    Raises Conflict for a version that is there with other content, and for one to be replaced that others depend on.
    """
    there = {package.label: package for package in before}
    unchanged, replaced = [], []
    for package in new:
        old = there.get(package.label)
        if old is None:
            continue
        if old.sha256 == package.sha256:
            unchanged.append(old)
        elif terms.force and package.name == root:
            replaced.append(old)
        else:
            raise Conflict(
                f"{package.label} is installed with other content (its archive has the SHA-256 {old.sha256}). "
                "A version that is published does not change; force replaces it."
            )
    same = {package.label for package in unchanged}
    installed = tuple(package for package in new if package.label not in same)
    if terms.upgrade:
        replaced += [p for p in before for n in new if n.name == root == p.name and order(p.version) < order(n.version)]
    done = Done(installed, tuple(unchanged), tuple(replaced))
    if not terms.force:
        _refuse_dependents(before, after(before, done), done.removed)
    return done


def remove(before: Sequence[Package], name: str, version: str, *, force: bool) -> Done:
    """Return what changes when a package goes. Raises NotFound, and Conflict when others depend on it."""
    gone = tuple(p for p in before if p.name == name and version in ("", p.version))
    if not gone:
        there = ", ".join(p.label for p in before if p.name == name)
        hint = f" Installed are {there}." if there else ""
        raise NotFound(f"The package {name}{version and '#'}{version} is not installed.{hint}")
    done = Done(removed=gone)
    if not force:
        _refuse_dependents(before, after(before, done), gone)
    return done


def after(before: Sequence[Package], done: Done) -> list[Package]:
    """Return the packages in force after a change."""
    gone = {package.key for package in done.removed}
    return [package for package in before if package.key not in gone] + list(done.installed)


def needs(package: Package, installed: Iterable[Package]) -> list[Need]:
    """Return the dependencies of a package, each with whether it is there."""
    there = list(installed)
    return [
        Need(name, wanted, "built-in")
        if is_built_in(name, wanted)
        else Need(name, wanted, "installed" if is_there(there, name, wanted) else "missing")
        for name, wanted in package.dependencies
    ]


def is_there(installed: Iterable[Package], name: str, wanted: str) -> bool:
    """Whether a dependency is among the installed."""
    return not is_build(wanted) and any(p.name == name and fits(p.version, wanted) for p in installed)


def _refuse_dependents(before: Sequence[Package], left: Sequence[Package], gone: Sequence[Package]) -> None:
    """Raise Conflict with every package that would miss what it now has."""
    issues = []
    for dependent in left:
        for name, wanted in dependent.dependencies:
            had = [p for p in gone if p.name == name and is_there([p], name, wanted)]
            if had and is_there(before, name, wanted) and not is_there(left, name, wanted):
                text = f"{dependent.label} depends on {had[0].label}. Remove or upgrade it first, or force it."
                issues.append(Issue("conflict", text))
    if issues:
        raise Conflict(issues=issues)
