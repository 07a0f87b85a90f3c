"""What fits into a document of the database: a resource, and with it what it is found by."""

from __future__ import annotations

import pytest

from fhir_server.api.errors import TooLarge
from fhir_server.api.records import Index
from fhir_server.interactions.drafting import FEW_ROWS, MAX_RESOURCE_BYTES, ROW_BYTES, check_size

TERMS = tuple(range(700_000))


@pytest.mark.parametrize(
    ("size", "index"),
    [
        (MAX_RESOURCE_BYTES, Index()),
        (MAX_RESOURCE_BYTES, Index(terms=TERMS[:FEW_ROWS])),
        (MAX_RESOURCE_BYTES - 700_000 * ROW_BYTES, Index(terms=TERMS)),
        (1_000_000, Index(ranges=("x" * 100,) * 100_000)),
    ],
)
def test_what_fits_is_taken(size: int, index: Index) -> None:
    check_size(b"x" * size, index)


@pytest.mark.parametrize(
    ("size", "index"),
    [
        (MAX_RESOURCE_BYTES + 1, Index()),
        (MAX_RESOURCE_BYTES + 1 - 700_000 * ROW_BYTES, Index(terms=TERMS)),
        (MAX_RESOURCE_BYTES - 1_000_000, Index(terms=TERMS[: FEW_ROWS + 1], ranges=("ä" * 100,) * 5_000)),
    ],
)
def test_what_does_not_is_refused_before_the_database_does(size: int, index: Index) -> None:
    with pytest.raises(TooLarge):
        check_size(b"x" * size, index)
