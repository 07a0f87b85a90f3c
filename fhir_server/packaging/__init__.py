"""FHIR packages: read from hostile archives, resolved with what they depend on, installed and removed as one change.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""
