"""What is raised for a profile that no snapshot can be made of. https://hl7.org/fhir/R4/profiling.html#snapshot"""

from __future__ import annotations


class SnapshotError(Exception):
    """A StructureDefinition contradicts its base or itself, or names what is not known.

    `element` is the id (or, without one, the path) of the element of the differential that is wrong, empty for the
    structure itself; `structure` the canonical URL of the profile that is, which may be one of the bases; `code` an
    issue type: not-found, required, structure, value, business-rule, too-costly or not-supported.
    """

    def __init__(self, text: str, *, element: str = "", code: str = "structure") -> None:
        super().__init__(f"{element}: {text}" if element else text)
        self.text = text
        self.element = element
        self.code = code
        self.structure = ""
