"""The table of commands. A new one is a file of its own and a line here. docs/guide/run-it.md"""

from __future__ import annotations

import typer

from fhir_server.cli.demo import demo
from fhir_server.cli.doctor import doctor
from fhir_server.cli.explain import search
from fhir_server.cli.import_records import import_records
from fhir_server.cli.package import package
from fhir_server.cli.serve import serve
from fhir_server.cli.terminology import terminology
from fhir_server.cli.validate import validate
from fhir_server.cli.version import version

app = typer.Typer(
    name="fhir-server",
    help="A FHIR R4 server on MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # they may hold health data
)

app.command()(serve)
app.command()(demo)
app.command()(doctor)
app.command("import")(import_records)
app.command()(validate)
app.add_typer(search)
app.add_typer(package)
app.add_typer(terminology)
app.command()(version)
