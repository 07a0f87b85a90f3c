"""python -m fhir_server: the same as the command fhir-server. docs/guide/run-it.md"""

from fhir_server.cli import main

main()
