"""The database that commands without a server work on: the one that is named, or the embedded one, if it runs."""

from __future__ import annotations

from fhir_server.cli.failing import CommandError
from fhir_server.settings import Settings
from fhir_server.store.engine_programs import find_program
from fhir_server.store.engine_state import read_state


def reachable(settings: Settings) -> Settings:
    """Return settings with the URL of the database that runs. Raises CommandError where none does."""
    if settings.mongodb_url:
        return settings
    state = read_state(settings.data_dir)
    if state is None or not state.is_running():
        raise CommandError(
            f"no database runs on {settings.data_dir}: start the server (fhir-server serve), or give --mongodb a URL"
        )
    url = find_program(state.program).url(state.port)
    return Settings.load(data_dir=settings.data_dir, mongodb_url=url)
