"""Resources on their way into the store and out of it: the exact bytes that are served, and what finds them again.

They are structs, not dataclasses: a page makes a hundred of them, and a struct is made five times faster.
https://jcristharif.com/msgspec/structs.html
"""

from __future__ import annotations

import msgspec

# The principal date of a resource that has none: before every other.
UNDATED = -62_135_596_800_001


class Stored(msgspec.Struct, frozen=True):
    """One version of a resource as the store holds it. A deleted one has no bytes.

    `key` is `Type/id`; `updated` is meta.lastUpdated in milliseconds since the epoch; `method` is the HTTP method that
    made this version, for the history; `moment` is the principal date the default order goes by; `terms` are there
    only when asked for.
    """

    key: str
    version: int
    updated: int
    raw: bytes
    method: str = "PUT"
    deleted: bool = False
    moment: int = 0
    terms: tuple[int, ...] = ()

    @property
    def type(self) -> str:
        """The resource type."""
        return self.key.partition("/")[0]

    @property
    def id(self) -> str:
        """The logical id."""
        return self.key.partition("/")[2]


class Index(msgspec.Struct, frozen=True):
    """What a resource can be found by: hashed terms for equality, ordered strings for ranges, its principal date.

    `present` are the codes of the search parameters it has a value for.
    """

    terms: tuple[int, ...] = ()
    ranges: tuple[str, ...] = ()
    moment: int = UNDATED
    present: tuple[str, ...] = ()


class Draft(msgspec.Struct, frozen=True):
    """A version to be written. Version 1 is a create; a higher one replaces the version before it.

    `generation` is that of the tenant's own search parameters it was indexed with.
    """

    key: str
    version: int
    updated: int
    raw: bytes
    method: str
    index: Index = Index()
    deleted: bool = False
    generation: int = 0

    @property
    def type(self) -> str:
        """The resource type."""
        return self.key.partition("/")[0]


class Outline(msgspec.Struct, frozen=True):
    """What the index knows of a resource, without its bytes: enough to sort by and to follow links with."""

    key: str
    updated: int
    moment: int = 0
    terms: tuple[int, ...] = ()
    ranges: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True):
    """Some results in order. `more` says whether others follow the last one."""

    records: tuple[Stored, ...]
    more: bool = False
