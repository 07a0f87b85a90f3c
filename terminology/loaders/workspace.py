"""A temporary SQLite file on which the tables of a release are joined, so that memory does not grow with it.

https://www.sqlite.org/inmemorydb.html#temp_db
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_CACHE_KB = 16_000


class Workspace:
    """Tables found by their first column. It is gone with the object."""

    def __init__(self) -> None:
        # Batches of a release are read by whichever thread is free, never by two at once.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF")

    def fill(self, table: str, width: int, rows: Iterable[Sequence[Any]]) -> None:
        """Make a table of so many columns and put the rows into it. The names of tables are the readers' own."""
        columns = ", ".join(f"c{number}" for number in range(width))
        self._database.execute(f"CREATE TABLE {table} ({columns})")
        self._database.execute("BEGIN")
        self._database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows)
        self._database.execute("COMMIT")
        self._database.execute(f"CREATE INDEX by_{table} ON {table} (c0)")

    def split(self, table: str, chosen: str, others: str, value: str) -> None:
        """Divide a table of (key, kind, target): into `chosen` (key, target) of one kind, and all others."""
        kind = (value,)
        self._database.execute(f"CREATE TABLE {chosen} (c0, c1)")
        self._database.execute(f"INSERT INTO {chosen} SELECT c0, c2 FROM {table} WHERE c1 = ? ORDER BY rowid", kind)
        self._database.execute(f"DELETE FROM {table} WHERE c1 = ?", kind)
        self._database.execute(f"ALTER TABLE {table} RENAME TO {others}")
        self._database.execute(f"CREATE INDEX by_{chosen} ON {chosen} (c0)")

    def get(self, table: str, key: str) -> list[tuple[Any, ...]]:
        """Return the rows with this first column, without it, in the order in which they came."""
        found = self._database.execute(f"SELECT * FROM {table} WHERE c0 = ? ORDER BY rowid", (key,))
        return [row[1:] for row in found]

    def keys(self, table: str) -> Iterator[str]:
        """Yield the values of the first column, each once, in the order in which they came first."""
        for row in self._database.execute(f"SELECT c0 FROM {table} GROUP BY c0 ORDER BY MIN(rowid)"):
            yield row[0]

    def all(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Yield every row of a table in the order in which they came."""
        yield from self._database.execute(f"SELECT * FROM {table} ORDER BY rowid")

    def distinct(self, table: str, column: int) -> list[Any]:
        """Return the values of a column, each once, sorted."""
        found = self._database.execute(f"SELECT DISTINCT c{column} FROM {table} ORDER BY 1")
        return [row[0] for row in found]
