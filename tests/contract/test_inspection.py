"""What the doctor sees of a database. docs/reference/mongodb.md"""

from __future__ import annotations

import pytest
from pymongo import MongoClient

from fhir_server.store.documents import INDEXES
from fhir_server.store.inspection import inspect
from fhir_server.testing.engine import test_engine_url

pytestmark = pytest.mark.engine
PREFIX = "inspected"


def test_it_sees_a_writable_replica_set_of_a_recent_version() -> None:
    seen = inspect(test_engine_url(), PREFIX)
    assert (seen.failure, seen.writable, seen.recent) == ("", True, True)
    assert seen.replica_set


def test_it_names_the_indexes_a_tenant_lacks() -> None:
    with MongoClient[dict[str, object]](test_engine_url()) as client:
        client[f"{PREFIX}_system"].tenants.insert_one({"_id": "a", "database": f"{PREFIX}_a"})
        try:
            for collection, indexes in INDEXES.items():
                client[f"{PREFIX}_a"].command({"createIndexes": collection, "indexes": indexes})
            whole = inspect(test_engine_url(), PREFIX)
            client[f"{PREFIX}_a"].resources.drop_index("range")
            lacking = inspect(test_engine_url(), PREFIX)
        finally:
            client.drop_database(f"{PREFIX}_a")
            client.drop_database(f"{PREFIX}_system")
    assert (whole.tenants, whole.missing_indexes) == (1, ())
    assert (lacking.tenants, lacking.missing_indexes) == (1, (f"{PREFIX}_a.resources.range",))


def test_a_database_that_is_not_there_is_a_failure_by_name() -> None:
    assert inspect("mongodb://127.0.0.1:1/?directConnection=true", PREFIX, 1).failure == "ServerSelectionTimeoutError"
