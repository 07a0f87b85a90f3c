"""What of a record is asked for: the parameters of `$everything`, read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from fhir_server.api import Criterion, Everything, InvalidRequest, OperationContext, Stored, Updated, all_of

MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The part of a record that is wanted. `given` are the parameters as they came, without `_count`."""

    types: tuple[str, ...]
    since: int | None
    care: Criterion
    count: int | None
    given: tuple[tuple[str, str], ...]
    compartment: Callable[[str], Criterion]
    where: Callable[[str], Criterion]

    @property
    def is_narrowed(self) -> bool:
        """Whether parts of the compartment may be left out."""
        return bool(self.types) or self.since is not None or not isinstance(self.care, Everything)

    def wants_patient(self, patient: Stored) -> bool:
        """Whether the patient's own resource is asked for; care dates do not apply to it."""
        return self.wants_type("Patient") and (self.since is None or patient.updated >= self.since)

    def wants_type(self, resource_type: str) -> bool:
        """Whether resources of a type are asked for."""
        return not self.types or resource_type in self.types

    def query(self, cursor: str = "") -> str:
        """Return the query string that asks this again, from a cursor on."""
        pairs = list(self.given)
        if self.count is not None:
            pairs.append(("_count", str(self.count)))
        if cursor:
            pairs.append(("_cursor", cursor))
        return "?" + urlencode(pairs, safe=",:") if pairs else ""


def read_asked(context: OperationContext) -> Asked:
    """Return what the parameters ask for. Raises InvalidRequest naming the one that is wrong."""
    parameters, server = context.parameters, context.server
    types = tuple(sorted(set(parameters.texts("_type"))))
    for name in types:
        if name not in server.resource_types:
            raise InvalidRequest(f"_type: there is no resource type {name[:64]!r} in FHIR R4.", location="http._type")
    start, end, since = parameters.interval("start"), parameters.interval("end"), parameters.interval("_since")
    if start is not None and end is not None and start[0] >= end[1]:
        raise InvalidRequest("start must not be later than end.", location="http.start")
    care: Criterion = Everything()
    if start is not None or end is not None:
        care = server.care_dates(start[0] if start else None, end[1] if end else None)
    changed = Updated(since[0]) if since else Everything()
    return Asked(
        types=types,
        since=since[0] if since else None,
        care=care,
        count=_count(context),
        given=_given(context, types),
        compartment=server.compartment,
        where=lambda patient_id: all_of(server.compartment(patient_id, types), care, changed),
    )


def _count(context: OperationContext) -> int | None:
    count = context.parameters.one("_count")
    if count is None:
        return None
    if type(count) is not int or count < 1:
        raise InvalidRequest("_count must be a whole number of at least 1.", location="http._count")
    return min(count, MAX_PAGE)


def _given(context: OperationContext, types: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    values = ((name, context.parameters.one(name)) for name in ("start", "end", "_since"))
    pairs = [(name, str(value)) for name, value in values if value is not None]
    return (*pairs, ("_type", ",".join(types))) if types else tuple(pairs)
