"""Regular expressions of strangers, on RE2, which takes time in proportion to the text.

https://hl7.org/fhir/R4/extension-regex.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

_MEMORY = 1 << 20
_INSTRUCTIONS_PER_STEP = 512


@lru_cache(maxsize=64)
def pattern_of(regex: str) -> Any:
    """Return a pattern, or None for what RE2 does not run: back references, looking around."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(regex, options=options)
    except (re2.error, UnicodeEncodeError):
        return None


def steps_of(pattern: Any, text: str) -> int:
    """Return how much work a match is: it grows with the text and with the expression."""
    return len(text) * int(pattern.programsize) // _INSTRUCTIONS_PER_STEP
