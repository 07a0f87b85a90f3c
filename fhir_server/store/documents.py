"""How a record lies in MongoDB.

    resources   _id  "Observation/123"      history   _id  "Observation/123/1"
                v    version                          r    "Observation/123"
                u    lastUpdated, ms                  e    when it was superseded, ms
                y    resource type                    v u y m x raw t d as before
                m    HTTP method
                raw  the JSON bytes served
                t    index terms (64-bit integers)
                s    ordered strings for ranges
                d    principal date, ms
                p    codes of the search parameters it has a value for
                g    generation of the tenant's own search parameters it was indexed with, when not 0
                x    true when deleted

A document of either collection has one indexed array a compound index (t) and one in an index of its own (s), as
MongoDB demands. https://www.mongodb.com/docs/manual/core/indexes/index-types/index-multikey/
"""

from __future__ import annotations

from typing import Any

from fhir_server.api.records import Draft, Outline, Stored

Json = dict[str, Any]

RESOURCES = "resources"
HISTORY = "history"
RESERVATIONS = "reservations"

PROJECTION: Json = {"v": 1, "u": 1, "m": 1, "raw": 1, "d": 1, "x": 1}
SHOWN: Json = {"v": 1, "u": 1, "raw": 1, "d": 1}
REPLACEABLE: Json = {**PROJECTION, "t": 1}
HISTORY_PROJECTION: Json = {**PROJECTION, "r": 1}

JOBS = "jobs"

RESERVATION_SECONDS = 120

INDEXES: dict[str, list[Json]] = {
    RESOURCES: [
        {"name": "term_moment", "key": {"t": 1, "d": -1, "_id": 1}},
        {"name": "range", "key": {"s": 1}},
        {"name": "type_updated", "key": {"y": 1, "u": -1, "_id": 1}},
        {"name": "updated", "key": {"u": -1, "_id": 1}},
    ],
    HISTORY: [
        {"name": "versions", "key": {"r": 1, "v": -1}},
        {"name": "type_updated", "key": {"y": 1, "u": -1, "r": 1}},
        {"name": "updated", "key": {"u": -1, "r": 1}},
    ],
    RESERVATIONS: [{"name": "expiry", "key": {"at": 1}, "expireAfterSeconds": RESERVATION_SECONDS}],
    JOBS: [{"name": "open", "key": {"state": 1, "lease": 1}}],
}


def to_document(draft: Draft) -> Json:
    """Return the document of a draft."""
    document: Json = {
        "_id": draft.key,
        "v": draft.version,
        "u": draft.updated,
        "y": draft.type,
        "m": draft.method,
    }
    if draft.deleted:
        document["x"] = True
        return document
    document["raw"] = draft.raw
    document["t"] = list(draft.index.terms)
    if draft.index.ranges:
        document["s"] = list(draft.index.ranges)
    document["d"] = draft.index.moment
    document["p"] = list(draft.index.present)
    if draft.generation:
        document["g"] = draft.generation
    return document


def to_stored(document: Json) -> Stored:
    """Return the record of a document of either collection."""
    get = document.get
    return Stored(
        get("r") or document["_id"],
        document["v"],
        int(document["u"]),  # the driver's Int64 is no plain int
        get("raw", b""),
        get("m", "PUT"),
        "x" in document,
        int(get("d", 0)),
        tuple(get("t", ())),
    )


def to_outline(document: Json) -> Outline:
    """Return what the index knows of a resource."""
    get = document.get
    terms, ranges = get("t", ()), get("s", ())
    return Outline(document["_id"], int(document["u"]), int(get("d", 0)), tuple(map(int, terms)), tuple(ranges))


def to_history(superseded: Stored, at: int) -> Json:
    """Return the history document of a version that another one replaces at a time (ms)."""
    document: Json = {
        "_id": f"{superseded.key}/{superseded.version}",
        "r": superseded.key,
        "v": superseded.version,
        "u": superseded.updated,
        "y": superseded.type,
        "m": superseded.method,
        "e": at,
    }
    if superseded.deleted:
        document["x"] = True
        return document
    return {**document, "raw": superseded.raw, "t": list(superseded.terms), "d": superseded.moment}
