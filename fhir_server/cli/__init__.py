"""The command line: one file a command, listed in commands.py. docs/guide/run-it.md

This module imports nothing, for a worker process passes through it on its way to worker.py.
"""

from __future__ import annotations


def main() -> None:
    """Run the command that the arguments name."""
    from fhir_server.cli.commands import app

    app()
