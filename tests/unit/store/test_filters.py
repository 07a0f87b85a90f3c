"""Criteria as MongoDB filters. https://www.mongodb.com/docs/manual/reference/operator/query/"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import (
    Access,
    And,
    Criterion,
    Everything,
    Key,
    Moment,
    Not,
    Nothing,
    OfType,
    Or,
    Order,
    Position,
    Range,
    Scope,
    Tenant,
    Term,
    Updated,
)
from fhir_server.api.criteria import Checked
from fhir_server.store.filters import LIVE, beyond, guarded, holds, live, split, to_filter, to_sort, together

Json = dict[str, Any]

TENANT = Tenant("a", "x_a", b"k" * 32)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Everything(), {}),
        (Nothing(), {"_id": {"$in": []}}),
        (Term((7,)), {"t": 7}),
        (Term((7, 8)), {"t": {"$in": [7, 8]}}),
        (Range("a", "b"), {"s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}),
        (Key(("Patient/1",)), {"_id": "Patient/1"}),
        (Key(("Patient/1", "Patient/2")), {"_id": {"$in": ["Patient/1", "Patient/2"]}}),
        (OfType(("Patient",)), {"y": "Patient"}),
        (OfType(("Patient", "Group")), {"y": {"$in": ["Patient", "Group"]}}),
        (Updated(1, 2), {"u": {"$gte": 1, "$lt": 2}}),
        (Updated(1), {"u": {"$gte": 1}}),
        (Updated(), {}),
        (Moment(None, 2), {"d": {"$lt": 2}}),
        (And((Term((7,)), Key(("Patient/1",)))), {"t": 7, "_id": "Patient/1"}),
        (And((Term((7,)), Term((8,)))), {"$and": [{"t": 7}, {"t": 8}]}),
        (And((Term((7,)), Term((8,)), Updated(1))), {"$and": [{"t": 7, "u": {"$gte": 1}}, {"t": 8}]}),
        (Or((Term((7,)), Range("a", "b"))), {"$or": [{"t": 7}, {"s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}]}),
        (Not(Term((7,))), {"$nor": [{"t": 7}]}),
        (Checked(Moment(1, None)), {"d": {"$gte": 1}}),
    ],
)
def test_each_criterion_has_its_filter(where: Criterion, expected: Json) -> None:
    assert to_filter(where) == expected


@pytest.mark.parametrize(
    "where", [Everything(), Term((7,)), Or((Term((7,)), Everything())), Not(Term((9,))), Key(("Patient/1",))]
)
def test_access_is_anded_whatever_is_asked(where: Criterion) -> None:
    scope = Scope(TENANT, Access(OfType(("Patient",))))
    for query in (guarded(scope, where), live(scope, where)):
        assert {"y": "Patient"}.items() <= query.items() or any(
            {"y": "Patient"}.items() <= part.items() for part in query["$and"]
        )
    nothing = Scope(TENANT, Access(Nothing()))
    assert guarded(nothing, where) == {"_id": {"$in": []}}


@pytest.mark.parametrize(
    ("where", "implied"),
    [
        (Term((7,)), True),
        (Range("a", "b"), True),
        (And((Updated(1), Term((7,)))), True),
        (Everything(), False),
        (Key(("Patient/1",)), False),
        (Not(Term((7,))), False),
        (Or((Term((7,)), Updated(1))), False),
        (And((Not(Term((7,))), Updated(1))), False),
    ],
)
def test_deleted_resources_are_left_out_where_no_term_does(where: Criterion, implied: bool) -> None:
    query = live(Scope(TENANT), where)
    assert (LIVE not in query.get("$and", [])) is implied


@pytest.mark.parametrize(
    ("order", "sort", "steps"),
    [
        (
            Order("moment", descending=True),
            {"d": -1, "_id": 1},
            [({"d": 5, "_id": {"$gt": "P/1"}}, {"_id": 1}), ({"d": {"$lt": 5}}, {"d": -1, "_id": 1})],
        ),
        (
            Order("updated", descending=False),
            {"u": 1, "_id": 1},
            [({"u": 5, "_id": {"$gt": "P/1"}}, {"_id": 1}), ({"u": {"$gt": 5}}, {"u": 1, "_id": 1})],
        ),
        (Order("key", descending=False), {"_id": 1}, [({"_id": {"$gt": "P/1"}}, {"_id": 1})]),
        (Order("key", descending=True), {"_id": -1}, [({"_id": {"$lt": "P/1"}}, {"_id": -1})]),
    ],
)
def test_what_comes_after_a_position(order: Order, sort: Json, steps: list[tuple[Json, Json]]) -> None:
    assert to_sort(order) == sort
    assert beyond(order, Position(5, "P/1")) == steps


def test_filters_on_the_same_field_are_both_asked() -> None:
    assert together({"t": 1}, {"d": 2}) == {"t": 1, "d": 2}
    assert together({"d": {"$gte": 1}}, {"d": 2}) == {"$and": [{"d": {"$gte": 1}}, {"d": 2}]}
    assert together({"$and": [{"t": 1}]}, {"$and": [{"t": 2}]}) == {
        "$and": [{"$and": [{"t": 1}]}, {"$and": [{"t": 2}]}]
    }


def test_what_is_to_be_checked_is_not_asked() -> None:
    checked = Checked(Not(Moment(1, 2)))
    assert split(And((Term((7,)), checked))) == (Term((7,)), Not(Moment(1, 2)))
    assert split(And((Term((7,)), Updated(1)))) == (And((Term((7,)), Updated(1))), None)
    assert split(Term((7,))) == (Term((7,)), None)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Moment(5, 6), True),
        (Moment(6, None), False),
        (Moment(None, 5), False),
        (Range("b", "c"), True),
        (Range("c", "d"), False),
        (Not(Moment(5, 6)), False),
        (And((Moment(5, 6), Range("b", "c"))), True),
        (And((Moment(5, 6), Range("c", "d"))), False),
        (Or((Moment(9, None), Range("b", "c"))), True),
        (Or((Moment(9, None), Range("c", "d"))), False),
    ],
)
def test_a_check_on_a_document(where: Criterion, expected: bool) -> None:
    assert holds(where, {"d": 5, "s": ["a", "bb"]}) is expected


def test_only_some_criteria_can_be_checked() -> None:
    with pytest.raises(ValueError, match="Term"):
        holds(Term((1,)), {})
