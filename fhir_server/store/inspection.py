"""What a MongoDB is like, for the doctor: version, replica set, indexes. Blocking. docs/reference/mongodb.md"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server.store.documents import INDEXES
from fhir_server.store.engine_probe import client

LEAST_VERSION = (6, 0)


@dataclass(frozen=True, slots=True)
class Inspection:
    """A MongoDB as it was found; `failure` is the type of the error when it does not answer, '' when it does."""

    failure: str = ""
    version: str = ""
    replica_set: str = ""
    writable: bool = False
    acknowledged: str = ""
    tenants: int = 0
    missing_indexes: tuple[str, ...] = field(default=())

    @property
    def recent(self) -> bool:
        """Whether the version is one this server is written for."""
        numbers = tuple(int(part) for part in self.version.split(".")[:2] if part.isdecimal())
        return numbers >= LEAST_VERSION


def inspect(url: str, prefix: str, timeout: float = 5) -> Inspection:
    """Look at the MongoDB of a URL and at the databases of a prefix in it; changes nothing."""
    try:
        with client(url, timeout) as database:
            hello = database.admin.command("hello")
            tenants = [row["database"] for row in database[f"{prefix}_system"].tenants.find({}, {"database": 1})]
            return Inspection(
                version=str(database.admin.command("buildInfo").get("version", "")),
                replica_set=str(hello.get("setName") or ("sharded" if hello.get("msg") == "isdbgrid" else "")),
                writable=bool(hello.get("isWritablePrimary")),
                acknowledged=_default_concern(database),
                tenants=len(tenants),
                missing_indexes=tuple(name for tenant in tenants for name in _missing(database, tenant)),
            )
    except (PyMongoError, ValueError) as error:
        return Inspection(failure=type(error).__name__)


def _default_concern(database: MongoClient[dict[str, Any]]) -> str:
    """Return the write concern of writes that ask for none: that of the URL, or the server's default, or ''."""
    if w := database.write_concern.document.get("w"):
        return str(w)
    try:
        defaults = database.admin.command("getDefaultRWConcern")
    except OperationFailure:
        return ""
    return str(defaults.get("defaultWriteConcern", {}).get("w", ""))


def _missing(database: MongoClient[dict[str, Any]], tenant: str) -> list[str]:
    missing = []
    for collection, indexes in INDEXES.items():
        there = set(database[tenant][collection].index_information())
        missing += [f"{tenant}.{collection}.{row['name']}" for row in indexes if row["name"] not in there]
    return missing
