"""Whose data, and how much of it: the context without which the store answers nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_server.api.criteria import Criterion, Everything


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant: its name in the URL, its database, and the secret key of its index terms."""

    name: str
    database: str
    index_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """What the caller may see, as one condition that is ANDed into every query.

    Until access rules come it allows everything; the store already applies it on every path.
    """

    predicate: Criterion = field(default_factory=Everything)


@dataclass(frozen=True, slots=True)
class Scope:
    """A tenant and an access: the first argument of every call to the store."""

    tenant: Tenant
    access: Access = field(default_factory=Access)
