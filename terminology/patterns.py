"""Regular expressions of value set filters, run in time that grows with the text alone.

A value set comes from outside, and a backtracking engine can be made to run for years by a pattern of 20 characters.
RE2 cannot: https://github.com/google/re2/wiki/WhyRE2. What it leaves out (look-around, back-references) is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from terminology.failures import Broken

MAX_PATTERN = 1_000
_MAX_MEMORY = 1 << 20


@lru_cache(maxsize=128)
def whole(pattern: str) -> Any:
    """Return the compiled pattern; its `fullmatch` is the test, for a filter's expression is about the whole value.

    Raises Broken for what is no expression, is too long or needs more than RE2 can do.
    """
    if len(pattern) > MAX_PATTERN:
        raise Broken(f"A regular expression in a filter may have {MAX_PATTERN} characters; this has {len(pattern)}.")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(pattern, options=options)
    except (re2.error, UnicodeEncodeError) as error:
        raise Broken(f"The filter's regular expression cannot be used: {_text(error)}.") from error


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
