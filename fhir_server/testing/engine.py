"""A database for tests: the one FHIR_TEST_MONGODB_URL names, or an embedded engine that ends with the test run.

docs/guide/run-it.md. A conftest.py makes a fixture of it:

    @pytest.fixture(scope="session")
    def engine_url() -> str:
        return test_engine_url()
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from fhir_server.settings import Settings
from fhir_server.store.engine import Engine


@lru_cache(maxsize=1)
def test_engine_url() -> str:
    """Return the URL of the database to test on, the same for the whole run; tests make databases of their own in it.

    The embedded engine (FHIR_ENGINE chooses which) lives in a temporary directory and is stopped at exit.
    """
    settings = Settings.load()
    if settings.test_mongodb_url:
        return settings.test_mongodb_url
    directory = Path(tempfile.mkdtemp(prefix="fhir-engine-"))
    engine = Engine(directory, program=settings.engine, cache_mb=256)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    engine.start()
    atexit.register(engine.stop)
    return engine.url


test_engine_url.__test__ = False  # type: ignore[attr-defined]  # pytest: the name is not a test's
