"""What large value sets over code systems in memory hold: computed once, and asked for page by page.

An expansion is known by all that it was made from: the content of the value sets, and the code systems as they were
parsed, which are the same as long as their bytes are. So a change of either is another expansion, and tenants share one
only where they have the same content.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

from terminology.findings import hash_of
from terminology.statuses import imported, selections
from terminology.stored import StoredCodeSystem
from terminology.valueset import Entry, ValueSet

LARGE = 2_000  # smaller ones are made as quickly as they are found
MAX_KEPT = 200_000  # codes; some 20 MB


class Expansions:
    """The last large expansions."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[ValueSet, Sequence[Entry]]] = OrderedDict()
        self._size = 0

    def of(self, value_set: ValueSet, wish: Hashable, make: Callable[[], Sequence[Entry]]) -> Sequence[Entry]:
        """Return what a value set holds of what is wished for."""
        key = _key(value_set)
        if key is None:
            return make()
        found = self._known.get((key, wish))
        if found is not None:
            self._known.move_to_end((key, wish))
            return found[1]
        made = make()
        if len(made) <= MAX_KEPT:
            # The value set is kept too: as long as its code systems are there, nothing else can have their identity.
            self._known[key, wish] = (value_set, made)
            self._size += len(made) + 1
            while self._size > MAX_KEPT:
                self._size -= len(self._known.popitem(last=False)[1][1]) + 1
        return made


def _key(value_set: ValueSet) -> Hashable | None:
    """Return what an expansion is known by, or None where it is not worth it or not the same for another request."""
    if value_set.stored is not None or value_set.size < LARGE:
        return None
    sources = [one.source for one in selections(value_set)]
    if any(s is not None and (s.supplements or isinstance(s, StoredCodeSystem)) for s in sources):
        return None
    resources = [one.resource for one in (value_set, *imported(value_set))]
    return (hash_of(resources), value_set.versions_match, tuple(map(id, sources)))
