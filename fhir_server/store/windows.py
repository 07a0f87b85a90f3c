"""How far back in time a page is looked for, on a database that gathers all matches before it cuts the page off.

SecantusDB does (docs/adr/0003): the newest twenty of a code cost as much as all of them. So what is expected on many
resources is asked for in a window of the principal date first, made wider until the page is full; how wide it had to be
is remembered for the next time. MongoDB walks its index and stops, and is asked without.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence

from fhir_server.api.records import UNDATED

MAX_REMEMBERED = 20_000
WIDER = 4
FIRST_SPAN = 24 * 3600 * 1000
MOST_SPAN = 400 * 366 * FIRST_SPAN
# Moments past this are open ends: they say nothing of when things happen.
OPEN_END = 253_000_000_000_000


class Windows:
    """What is known of the density of matches; one for a process."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._known: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        self._newest: dict[Hashable, int] = {}

    def lows(self, group: Hashable, key: Hashable, count: int, upper: int | None) -> Iterator[int | None]:
        """Yield lower bounds to try one after the other, the last None: no bound.

        `group` is what has one newest time in common (a database); `upper` is where the last page ended.
        """
        newest, per_match = self._known.get(key, (self._newest.get(group, self._now()), 0.0))
        span = max(FIRST_SPAN if not per_match else 60_000, int(2 * per_match * count))
        start = min(upper, newest) if upper is not None else newest
        while span < MOST_SPAN:
            yield start - span
            span *= WIDER
        yield None

    def learn(self, group: Hashable, key: Hashable, moments: Sequence[int], *, full: bool) -> None:
        """Remember the moments of one page's matches, newest first; a page that is not full had all there are."""
        dated = [m for m in moments if UNDATED < m < OPEN_END]
        if not dated:
            return
        newest = max(dated[0], self._known[key][0]) if key in self._known else dated[0]
        self._known[key] = (newest, (dated[0] - dated[-1]) / len(dated) if full else MOST_SPAN)
        self._known.move_to_end(key)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        self._newest[group] = max(newest, self._newest.get(group, newest))
