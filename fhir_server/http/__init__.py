"""The HTTP edge: the FHIR API as a plain ASGI app, health, logs. https://hl7.org/fhir/R4/http.html"""
