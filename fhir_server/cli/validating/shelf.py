"""Definitions in memory: those of package archives, and of single files. See api.terminology.Library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from fhir_server.api.errors import Failure
from fhir_server.cli.failing import CommandError
from fhir_server.fhir.versions import order
from fhir_server.packaging.archive import files
from fhir_server.packaging.content import Judge
from fhir_server.packaging.manifest import read_manifest

TOGETHER = 16 * 1024 * 1024


class Shelf:
    """Definitions by type and canonical URL, latest version first."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[tuple[str, bytes]]] = {}

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        """Return every version of a definition."""
        rows = self._found.get((resource_type, url), ())
        return [raw for _, raw in sorted(rows, key=lambda row: order(row[0]), reverse=True)]

    def add(self, resource_type: str, url: str, version: str, raw: bytes) -> None:
        """Put one definition on the shelf."""
        self._found.setdefault((resource_type, url), []).append((version, raw))


def shelf_of(archives: Iterable[Path], types: frozenset[str]) -> Shelf:
    """Return a shelf with what the archives of packages hold. Raises CommandError for one that cannot be used."""
    shelf = Shelf()
    for path in archives:
        try:
            _fill(shelf, path, types)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}") from None
        except Failure as failure:
            raise CommandError(f"{path}: {'; '.join(issue.diagnostics for issue in failure.issues)}") from None
    return shelf


def _fill(shelf: Shelf, path: Path, types: frozenset[str]) -> None:
    judge = Judge(read_manifest(path), types)
    found = files(path, judge.wants)
    while (taken := judge.take(found, TOGETHER)) is not None:
        for one in taken:
            shelf.add(one.type, one.url, one.version, one.raw)
    judge.finish()
