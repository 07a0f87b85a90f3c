"""What is wrong with XML, and where."""

from __future__ import annotations


class XmlError(ValueError):
    """The bytes are not acceptable XML; the message says what, `expression` is the FHIRPath of the place, or empty."""

    def __init__(self, message: str, expression: str = "") -> None:
        self.expression = expression
        super().__init__(message)
