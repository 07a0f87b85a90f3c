"""Text as XML can hold it. https://www.w3.org/TR/xml/#charsets"""

from __future__ import annotations

import re

# Control characters, lone surrogates and two more have no form in XML, not even an escaped one.
_FORBIDDEN = [*range(0x20), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
_TABLE: dict[int, str] = dict.fromkeys(_FORBIDDEN, "\ufffd")
_TABLE |= {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
_TABLE |= {ord(space): f"&#{ord(space)};" for space in "\t\n\r"}
_SPACE_KEPT = _TABLE | {ord("\t"): "\t", ord("\n"): "\n"}
_needs_it = re.compile('[&<>"\x00-\x1f\ud800-\udfff\ufffe\uffff]').search


def escaped(text: str, keep_space: bool = False) -> str:
    """Return text for an attribute or, with white space as it is, for between tags; what XML cannot hold is U+FFFD."""
    return text.translate(_SPACE_KEPT if keep_space else _TABLE) if _needs_it(text) else text
