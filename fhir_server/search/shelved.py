"""What one call knows of a tenant's stored code systems: which there are is remembered with its definitions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from fhir_server.api.concepts import Concepts, StoredSystem
from fhir_server.search.shelves import Shelf

_KIND = "stored CodeSystem"  # no resource type is called so
_decoder = msgspec.json.Decoder(StoredSystem)


class ShelvedConcepts:
    """api.concepts.Concepts whose heads come from the shelf: every load and removal moves the tenant's count on."""

    def __init__(self, concepts: Concepts, shelf: Callable[[], Awaitable[Shelf]]) -> None:
        self._concepts = concepts
        self._shelf = shelf

    def __getattr__(self, name: str) -> Any:
        """Return everything else as it is."""
        return getattr(self._concepts, name)

    async def systems(self, url: str) -> Sequence[StoredSystem]:
        """Return the versions of a code system that are ready."""
        shelf = await self._shelf()
        kept = shelf.get(_KIND, url)
        if kept is not None:
            return [_decoder.decode(raw) for raw in kept]
        found = await self._concepts.systems(url)
        shelf.put(_KIND, url, [msgspec.json.encode(system) for system in found])
        return found
