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
from fhir_server.api.criteria import Checked, Containing, Present
from fhir_server.store.filters import LIVE, Asked, beyond, guarded, holds, live, tighten, to_filter, to_sort

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
        (Updated(1, 2), {"u": {"$gt": 0, "$lt": 2}}),
        (Updated(1), {"u": {"$gt": 0}}),
        (Updated(), {}),
        (Moment(None, 2), {"d": {"$lt": 2}}),
        (And((Term((7,)), Key(("Patient/1",)))), {"t": 7, "_id": "Patient/1"}),
        (And((Term((7,)), Term((8,)))), {"$and": [{"t": 7}, {"t": 8}]}),
        (And((Term((7,)), Term((8,)), Updated(1))), {"$and": [{"t": 7, "u": {"$gt": 0}}, {"t": 8}]}),
        (Or((Term((7,)), Range("a", "b"))), {"$or": [{"t": 7}, {"s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}]}),
        (Not(Term((7,))), {"t": {"$nin": [7]}}),
        (Not(Present("code")), {"p": {"$ne": "code"}}),
        (Not(Key(("Patient/1",))), {"_id": {"$nin": ["Patient/1"]}}),
        (Not(Range("a", "b")), {"$nor": [{"s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}]}),
        (Present("code"), {"p": "code"}),
        (Containing("ab", "c.d"), {"s": {"$regex": r"^ab.*c\.d", "$options": "s"}}),
        (Checked(Moment(1, None)), {"d": {"$gt": 0}}),
    ],
)
def test_each_criterion_has_its_filter(where: Criterion, expected: Json) -> None:
    assert to_filter(where) == expected


MINE = Scope(TENANT, Access(OfType(("Patient",))))


@pytest.mark.parametrize(
    "where", [Everything(), Term((7,)), Or((Term((7,)), Everything())), Not(Term((9,))), Key(("Patient/1",))]
)
def test_access_is_anded_whatever_is_asked(where: Criterion) -> None:
    query = guarded(MINE, where)
    assert {"y": "Patient"}.items() <= query.items() or {"y": "Patient"} in query["$and"]
    asked = live(MINE, where)
    assert any({"y": "Patient"}.items() <= part.items() for part in (asked.lead, *asked.rest))
    nothing = Scope(TENANT, Access(Nothing()))
    assert guarded(nothing, where) == {"_id": {"$in": []}}
    assert live(nothing, where).lead == {"_id": {"$in": []}, **LIVE}


RANGE = Range("a", "b")
IN_RANGE: Json = {"s": {"$elemMatch": {"$gte": "a", "$lt": "b"}}}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Term((7,)), Asked({"t": 7})),
        (Term((7,), broad=True), Asked({"t": 7}, broad=True)),
        (And((Term((7,)), Term((8,), broad=True))), Asked({"t": 7}, ({"t": 8},))),
        (And((Term((7,)), Moment(1, 2))), Asked({"t": 7, "d": {"$gt": 0, "$lt": 2}})),
        (And((Moment(1), Moment(None, 2))), Asked({"d": {"$gt": 0, "$lt": 2}, **LIVE})),
        (And((Term((7,)), Moment(1), Moment(None, 2))), Asked({"t": 7, "d": {"$gt": 0, "$lt": 2}})),
        (And((Term((7,)), RANGE)), Asked({"t": 7, **IN_RANGE})),
        (And((RANGE, Term((7,)))), Asked(IN_RANGE, ({"t": 7},))),
        (And((Term((7,)), RANGE, Range("c", "d"))), Asked({"t": 7, **IN_RANGE}, (to_filter(Range("c", "d")),))),
        (And((Term((7,)), Present("code"), Updated(1))), Asked({"t": 7, "p": "code", "u": {"$gt": 0}})),
        (And((Not(Term((7,))), Term((8,), broad=True))), Asked({"t": 8}, ({"t": {"$nin": [7]}},), None, broad=True)),
        (And((Or((Term((7,)), RANGE)), Term((8,)))), Asked({"t": 8}, ({"$or": [{"t": 7}, IN_RANGE]},))),
        (Or((Term((7,)), RANGE)), Asked({"$or": [{"t": 7}, IN_RANGE], **LIVE})),
        (And((Not(Present("a")), Not(Present("b")))), Asked({"p": {"$ne": "a"}, **LIVE}, ({"p": {"$ne": "b"}},))),
        (Everything(), Asked(LIVE)),
        (Key(("Patient/1",)), Asked({"_id": "Patient/1", **LIVE})),
        (Not(Term((7,))), Asked({"t": {"$nin": [7]}, **LIVE})),
        (Present("code"), Asked({"p": "code"})),
        (Containing("ab", "c"), Asked({"s": {"$regex": "^ab.*c", "$options": "s"}})),
        (And((Not(Term((7,))), Updated(1))), Asked({"u": {"$gt": 0}, **LIVE}, ({"t": {"$nin": [7]}},))),
        (And((Term((7,)), Checked(Not(RANGE)))), Asked({"t": 7}, (), Not(RANGE))),
        (
            And((Checked(Moment(1)), Term((7,)), Checked(Not(RANGE)))),
            Asked({"t": 7}, (), And((Moment(1), Not(RANGE)))),
        ),
        (Checked(RANGE), Asked(LIVE, (), RANGE)),
    ],
)
def test_what_leads_what_it_is_followed_by_and_what_is_checked(where: Criterion, expected: Asked) -> None:
    assert live(Scope(TENANT), where) == expected


def test_the_stages_of_what_is_asked() -> None:
    assert Asked({"t": 7}).stages() == [{"$match": {"t": 7}}]
    assert Asked({"t": 7}, ({"t": 8},)).stages() == [{"$match": {"t": 7}}, {"$match": {"t": 8}}]
    assert Asked({"t": 7}, ({"t": 8}, {"t": 9})).stages() == [
        {"$match": {"t": 7}},
        {"$match": {"$and": [{"t": 8}, {"t": 9}]}},
    ]


def test_bounds_keep_all_else_that_is_asked() -> None:
    asked = Asked({"t": 7, "d": {"$gt": 0}}, ({"t": 8},), RANGE, broad=True)
    assert asked.bounded({"d": {"$lt": 5}}) == Asked(
        {"t": 7, "d": {"$gt": 0, "$lt": 5}}, ({"t": 8},), RANGE, broad=True
    )
    assert asked.bounded({}) == asked


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


@pytest.mark.parametrize(
    ("query", "more", "expected"),
    [
        ({"t": 1}, {"d": 2}, {"t": 1, "d": 2}),
        ({"d": {"$gt": 0}}, {"d": {"$gt": 1}}, {"d": {"$gt": 1}}),
        ({"d": {"$gt": 2}}, {"d": {"$gt": 1}}, {"d": {"$gt": 2}}),
        ({"d": {"$lt": 9}}, {"d": {"$lt": 8}}, {"d": {"$lt": 8}}),
        ({"d": {"$lt": 9}}, {"d": {"$gt": 1}}, {"d": {"$gt": 1, "$lt": 9}}),
        ({"d": {"$gt": 0, "$lt": 9}}, {"d": {"$gt": 4}}, {"d": {"$gt": 4, "$lt": 9}}),
    ],
)
def test_bounds_on_the_same_field_are_both_asked(query: Json, more: Json, expected: Json) -> None:
    assert tighten(query, more) == expected


def test_a_value_takes_the_place_of_the_bounds_it_was_found_within() -> None:
    asked = {"d": {"$gt": 0, "$lt": 9}}
    assert tighten(asked, {"d": 4}) == {"d": 4}
    assert asked == {"d": {"$gt": 0, "$lt": 9}}


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
