"""fhir-server version: what is installed."""

from __future__ import annotations

import platform

from fhir_server import __version__
from fhir_server.fhir.definitions import FHIR_VERSION


def version() -> None:
    """Say which version this is, of what, and on what."""
    print(f"fhir-server {__version__}, FHIR {FHIR_VERSION}, Python {platform.python_version()}")
