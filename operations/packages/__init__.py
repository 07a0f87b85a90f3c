"""$package-install, $package-list, $package-remove: the FHIR packages of a tenant. docs/guide/packages.md

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""
