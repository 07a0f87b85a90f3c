"""How `fhir-server package` shows packages: as a table, in full, as JSON. docs/guide/packages.md"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from fhir_server.api.packages import Package, PackageResource

Needs = Sequence[Mapping[str, str]]


def table(packages: Sequence[Package], needs: Mapping[str, Needs]) -> Table:
    """Return a line for each package; what it depends on and is not there is counted."""
    shown = Table("package", "version", "resources", "installed", "missing", box=None, pad_edge=False)
    for one in packages:
        missing = sum(need["state"] == "missing" for need in needs[one.label])
        shown.add_row(one.name, one.version, str(one.resources), _day(one.installed), str(missing) if missing else "")
    return shown


def as_json(one: Package, needs: Needs, contents: Sequence[PackageResource] = ()) -> dict[str, Any]:
    """Return all that is known of a package."""
    row: dict[str, Any] = {
        "name": one.name,
        "version": one.version,
        "title": one.title,
        "canonical": one.canonical,
        "fhirVersions": list(one.fhir_versions),
        "installed": datetime.fromtimestamp(one.installed / 1000, UTC).isoformat(timespec="milliseconds"),
        "by": one.by,
        "sha256": one.sha256,
        "counts": dict(sorted(one.counts.items())),
        "skipped": one.skipped,
        "dependencies": [dict(need) for need in needs],
    }
    if contents:
        row["resources"] = [
            {"type": r.type, "url": r.url, "version": r.version, "id": r.id, "file": r.file} for r in contents
        ]
    return row


def details(console: Console, row: Mapping[str, Any]) -> None:
    """Print a package in full."""
    console.print(f"{row['name']}#{row['version']}  {row['title']}", style="bold", markup=False)
    counts = ", ".join(f"{count} {kind}" for kind, count in row["counts"].items())
    by = f" by {row['by']}" if row["by"] else ""
    for name, text in (
        ("canonical", row["canonical"]),
        ("FHIR", ", ".join(row["fhirVersions"])),
        ("installed", row["installed"] + by),
        ("sha256", row["sha256"]),
        ("resources", f"{counts or 'none'}; {row['skipped']} files skipped"),
    ):
        console.print(f"  {name:<12}{text}", markup=False)
    for need in row["dependencies"]:
        console.print(f"  {'depends on':<12}{need['name']}#{need['version']} ({need['state']})", markup=False)
    for one in row.get("resources", ()):
        canonical = f"{one['url']}|{one['version']}" if one["version"] else one["url"]
        console.print(f"  {one['type']:<24}{canonical}", markup=False)


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
