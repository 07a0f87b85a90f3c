"""A folder of package archives: what an operator lays there need not be fetched. docs/guide/packages.md"""

from __future__ import annotations

from pathlib import Path

from fhir_server.api.errors import Failure
from fhir_server.fhir.versions import newest
from fhir_server.packaging.archive import Bounds
from fhir_server.packaging.manifest import Manifest, read_manifest

MAX_FILES = 2000
# A file that is no package is passed over, and so is one whose package.json is hidden behind this much else.
_LOOK = Bounds(unpacked=256 * 1024 * 1024)

_Mark = tuple[str, int, int]


class Folder:
    """The `.tgz` files of a folder, known by what their package.json says and not by their names."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known: dict[_Mark, Manifest | None] = {}

    def find(self, name: str, wanted: str) -> Path | None:
        """Return the newest archive of a package that fits, or None. Blocking; a file is read once, until it changes.

        Archives that are broken are passed over here; whoever installs one by its path is told.
        """
        there: dict[str, Path] = {}
        known: dict[_Mark, Manifest | None] = {}
        for path in self._archives():
            mark = _mark(path)
            manifest = known[mark] = self._known[mark] if mark in self._known else _look(path)
            if manifest is not None and manifest.name == name:
                there.setdefault(manifest.version, path)
        self._known = known
        version = newest(there, wanted)
        return there[version] if version is not None else None

    def _archives(self) -> list[Path]:
        folder = Path(self._path)
        if not self._path or not folder.is_dir():
            return []
        return sorted(p for pattern in ("*.tgz", "*.tar.gz") for p in folder.glob(pattern) if p.is_file())[:MAX_FILES]


def _mark(path: Path) -> _Mark:
    stat = path.stat()
    return str(path), stat.st_mtime_ns, stat.st_size


def _look(path: Path) -> Manifest | None:
    try:
        return read_manifest(path, _LOOK)
    except (Failure, OSError):
        return None
