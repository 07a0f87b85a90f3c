"""FHIR's XML form of resources, read and written by the definitions. https://hl7.org/fhir/R4/xml.html"""

from fhir_server.fhir.xml.decoding import decode
from fhir_server.fhir.xml.encoding import encode
from fhir_server.fhir.xml.failure import XmlError

__all__ = ["XmlError", "decode", "encode"]
