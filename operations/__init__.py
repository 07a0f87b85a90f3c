"""First-party operations, each a plugin in a folder of its own. https://hl7.org/fhir/R4/operations.html"""
