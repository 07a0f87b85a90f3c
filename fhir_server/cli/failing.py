"""How a command fails: a clear line for each thing that is wrong, no stack trace, exit code 1. docs/guide/run-it.md"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from fhir_server.settings import SettingsError
from fhir_server.store.engine_programs import EngineError


class CommandError(RuntimeError):
    """A command cannot do what it was asked; the message says why and the way out."""


@contextmanager
def clear_failures() -> Iterator[None]:
    """Turn the failures one can expect into lines on standard error and exit code 1."""
    try:
        yield
    except SettingsError as error:
        _fail(*error.findings)
    except (CommandError, EngineError) as error:
        _fail(str(error))


def _fail(*lines: str) -> NoReturn:
    for line in lines:
        print(f"fhir-server: {line}", file=sys.stderr)
    raise SystemExit(1) from None
