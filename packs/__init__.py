"""Knowledge: specialty packs and country packs, each a plugin of plain FHIR content. docs/guide/"""
