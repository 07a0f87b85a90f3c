"""The FHIR interactions, one file each, free of HTTP. https://hl7.org/fhir/R4/http.html"""
