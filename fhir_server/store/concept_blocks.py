"""How concepts lie in MongoDB: in blocks of neighbours, so that a page is a few documents.

    concepts_KEY   _id  number of the block: its concepts have the ordinals from _id * BLOCK on
                   c    their codes, folded where the system minds no case
                   p    the ordinals of their parents
                   k    keys of their properties
                   w    the words of their names
                   raw  the concepts as JSON, compressed: neighbours are much alike

Every array has an index of its own, as MongoDB demands.
https://www.mongodb.com/docs/manual/core/indexes/index-types/index-multikey/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import zstandard

from fhir_server.api.concepts import ABSTRACT, INACTIVE, StoredConcept, names, property_key, property_text, words

Json = dict[str, Any]

BLOCK = 16
MAX_WORD = 32
MAX_WORDS = 200  # of one concept

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(list[StoredConcept], float_hook=Decimal)
_pieces = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(StoredConcept, float_hook=Decimal)


def pack(concepts: Sequence[StoredConcept]) -> bytes:
    """Return concepts as bytes."""
    return zstandard.ZstdCompressor().compress(_encoder.encode(concepts))


def unpack(packed: Iterable[bytes]) -> list[StoredConcept]:
    """Return all concepts that were packed."""
    # Not shared, for one cannot be used by two threads; to make one takes longer than to unpack a block.
    expand = zstandard.ZstdDecompressor().decompress
    return [concept for raw in packed for concept in _decoder.decode(expand(raw))]


def pieces(packed: Iterable[bytes]) -> Iterator[list[msgspec.Raw]]:
    """Yield the concepts of each pack, undecoded."""
    expand = zstandard.ZstdDecompressor().decompress
    for raw in packed:
        yield _pieces.decode(expand(raw))


def unpack_one(piece: msgspec.Raw) -> StoredConcept:
    """Return the concept of a piece."""
    return _one.decode(piece)


def unpack_some(raw: bytes, places: Iterable[int]) -> list[StoredConcept]:
    """Return the concepts at some places of a pack."""
    parts = next(pieces([raw]))
    return [_one.decode(parts[place]) for place in places]


def folding(is_case_sensitive: bool) -> Callable[[str], str]:
    """Return how a code is written in the index."""
    return str if is_case_sensitive else str.casefold


def block(number: int, concepts: Sequence[StoredConcept], parents: Iterable[int], fold: Callable[[str], str]) -> Json:
    """Return the document of a block; `parents` are ordinals."""
    document: Json = {"_id": number, "c": [fold(c.code) for c in concepts]}
    lists = {
        "p": sorted(set(parents)),
        "k": sorted({key for c in concepts for key in _keys(c)}),
        "w": sorted({word for c in concepts for word in _words(c)}),
    }
    document.update((name, values) for name, values in lists.items() if values)
    document["raw"] = pack(concepts)
    return document


def _keys(concept: StoredConcept) -> Iterable[str]:
    for row in concept.properties:
        code = str(row.get("code", ""))
        yield property_key(code)
        yield property_key(code, property_text(row))
    if concept.inactive:
        yield INACTIVE
    if concept.abstract:
        yield ABSTRACT


def _words(concept: StoredConcept) -> list[str]:
    return [word[:MAX_WORD] for text in names(concept) for word in words(text)][:MAX_WORDS]
