"""fhir-server demo: a server with the records of a small imaginary clinic. docs/guide/run-it.md"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.rule import Rule

from fhir_server.cli.failing import CommandError, clear_failures
from fhir_server.cli.serve import announce
from fhir_server.cli.supervisor import Running, Supervisor
from fhir_server.http.logs import configure_logging
from fhir_server.settings import Settings

CLINIC = Path(__file__).parents[2] / "examples/clinic/bundles"
FHIR_JSON = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
LOAD_SECONDS = 60

_TRY = """\
[dim]# one patient, and everything known about her[/dim]
curl -s {url}/Patient/amara-okafor
curl -s '{url}/Patient/amara-okafor/$everything'

[dim]# by name; blood pressures of one patient, newest first; who has diabetes[/dim]
curl -s '{url}/Patient?name=lind'
curl -s '{url}/Observation?patient=amara-okafor&code=http://loinc.org|85354-9&_sort=-date'
curl -s '{url}/Condition?code=http://snomed.info/sct|44054006&_include=Condition:patient'

[dim]# create, and validate without creating[/dim]
curl -s {url}/Patient -H 'Content-Type: application/fhir+json' \\
  -d '{{"resourceType":"Patient","name":[{{"family":"Example","given":["Eve"]}}],"birthDate":"1990-05-17"}}'
curl -s '{url}/Patient/$validate' -H 'Content-Type: application/fhir+json' \\
  -d '{{"resourceType":"Patient","birthDate":"17.5.1990"}}'

[dim]# what this server can do, and how it is[/dim]
curl -s {url}/metadata
curl -s {root}/health/ready"""


def demo(
    data: Annotated[Path, typer.Option(help="Folder of the demo's database; it is kept.")] = Path("data/demo"),
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
) -> None:
    """Serve a small imaginary clinic on this machine, and say what to try."""
    with clear_failures():
        settings = Settings.load(
            host="127.0.0.1", port=port, data_dir=data, mongodb_url="", log_level="warning", log_format="console"
        )
        configure_logging(settings)
        Supervisor(settings, _furnish).run()


def _furnish(running: Running) -> None:
    loaded = load(f"{running.url}/fhir", CLINIC)
    announce(running)
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{loaded} records loaded from examples/clinic" if loaded else "the clinic's records are there already"
    )
    console.print(Rule("try"), _TRY.format(url=f"{running.url}/fhir", root=running.url), Rule(), sep="\n")


def load(url: str, folder: Path) -> int:
    """Send the transaction Bundles of a folder that are not on the server yet; return how many records they hold.

    A Bundle is there when its last entry is: a transaction is stored whole or not at all.
    """
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise CommandError(f"{folder} has no records; run the demo from a checkout of the project")
    loaded = 0
    try:
        with httpx.Client(headers=FHIR_JSON, timeout=LOAD_SECONDS) as client:
            for path in paths:
                raw = path.read_bytes()
                entries = json.loads(raw)["entry"]
                if client.get(f"{url}/{entries[-1]['request']['url']}").status_code != httpx.codes.OK:
                    _send(client, url, path, raw)
                    loaded += len(entries)
    except httpx.HTTPError as error:
        raise CommandError(f"loading the clinic failed ({type(error).__name__}); the log above says why") from None
    return loaded


def _send(client: httpx.Client, url: str, path: Path, raw: bytes) -> None:
    answer = client.post(url, content=raw)
    if answer.status_code != httpx.codes.OK:
        raise CommandError(f"{path.name} was refused with status {answer.status_code}: {_reason(answer)}")


def _reason(answer: httpx.Response) -> str:
    try:
        outcome: dict[str, Any] = answer.json()
        return "; ".join(issue.get("diagnostics", issue["code"]) for issue in outcome["issue"][:3])
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.reason_phrase
