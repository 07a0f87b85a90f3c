"""The parts of `fhir-server import`: files become shipments, these are sent, a report counts. docs/guide/import.md"""
