"""The last that was found in stored code systems, whichever they are, for whoever asks next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from hashlib import sha256
from typing import Any

from fhir_server.api import encode

MAX_KEPT = 10_000  # concepts and other findings of all tenants; some 20 MB


def hash_of(value: Any) -> str:
    """Return a text that is the same for equal JSON alone."""
    return sha256(encode(value)).hexdigest()


class Findings:
    """The last that was found in stored systems, whichever they are: keys say of which load."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: Hashable) -> Any:
        """Return what was found; None where nothing is remembered."""
        found = self._known.get(key)
        if found is None:
            return None
        self._known.move_to_end(key)
        return found[0]

    def keep(self, key: Hashable, found: Any, weight: int = 1) -> None:
        """Remember what was found; what is as large as ten concepts weighs as much."""
        if key in self._known or weight > MAX_KEPT // 2:
            return
        self._known[key] = (found, weight)
        self._weight += weight
        while self._weight > MAX_KEPT:
            self._weight -= self._known.popitem(last=False)[1][1]
