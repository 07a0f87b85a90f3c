"""What is said of a code that is no unit. https://ucum.org/ucum"""

from __future__ import annotations


class UcumError(ValueError):
    """A code that UCUM does not have: `reason` is a sentence, `position` counts characters from 0.

    `symbol` is the part that is no unit, where it is a part that is unknown.
    """

    def __init__(self, reason: str, position: int, symbol: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.symbol = symbol
