"""Signed cursors: nobody makes one up or uses it elsewhere."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from fhir_server.api import InvalidRequest, Position
from fhir_server.search.paging import CursorSigner

SIGNER = CursorSigner(b"key")
BOUND = ("default", "Patient", "name=a")
POSITION = Position(1_700_000_000_000, "Patient/1", 3)


def test_a_cursor_gives_back_where_a_page_ended() -> None:
    cursor = SIGNER.sign(POSITION, BOUND)
    assert SIGNER.position(cursor, BOUND) == POSITION
    assert CursorSigner(b"key").position(cursor, BOUND) == POSITION
    assert cursor.replace("-", "").replace("_", "").isalnum()


def test_the_fields_of_any_order_survive() -> None:
    fields = ("müller", 5, "Patient/1")
    assert SIGNER.read(SIGNER.sign(fields, BOUND), BOUND) == list(fields)


@pytest.mark.parametrize(
    "bound", [("other", "Patient", "name=a"), ("default", "Group", "name=a"), ("default", "Patient"), ()]
)
def test_a_cursor_is_good_for_its_own_query_and_tenant_only(bound: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        SIGNER.position(SIGNER.sign(POSITION, BOUND), bound)


def test_another_deployments_cursor_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        SIGNER.position(CursorSigner(b"other").sign(POSITION, BOUND), BOUND)


def test_no_bit_of_a_cursor_can_be_changed() -> None:
    cursor = SIGNER.sign(POSITION, BOUND)
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        with pytest.raises(InvalidRequest) as refused:
            SIGNER.read(urlsafe_b64encode(changed).decode().rstrip("="), BOUND)
        assert [i.location for i in refused.value.issues] == ["http._cursor"]


@pytest.mark.parametrize("text", ["", "a", "abc", "====", "\x00", "é", "a" * 22, "a" * 10_000])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        SIGNER.read(text, BOUND)
