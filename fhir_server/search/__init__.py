"""A query string becomes a plan, and a resource the terms it is found by. https://hl7.org/fhir/R4/search.html"""
