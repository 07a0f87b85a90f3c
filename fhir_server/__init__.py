"""A FHIR R4 server with plugin packs, on MongoDB. https://hl7.org/fhir/R4/"""

__version__ = "0.1.0"
