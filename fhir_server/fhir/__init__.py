"""Pure FHIR: definitions, FHIRPath, dates, references, bundles, patch, outcomes. No I/O, no clock. https://hl7.org/fhir/R4/"""
