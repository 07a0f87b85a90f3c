"""Who takes long waits for it, and nobody else: a walk of profiles that turns out to be long is made in a thread.

Nearly every walk is over within a millisecond and costs no more than itself. One that uses up a small budget is begun
again in a thread, one at a time, with what is left of the time that one resource may take.
"""

from __future__ import annotations

from asyncio import Lock, timeout, to_thread
from collections.abc import Callable
from time import monotonic

from fhir_server.api.errors import Unavailable
from fhir_server.validation.answers import Answers
from fhir_server.validation.findings import Findings, Json
from fhir_server.validation.profiles import Profile, Run

SHORT_STEPS = 50_000
SHORT_SECONDS = 0.1
MAX_SECONDS = 5.0  # of all walks over one resource
MAX_WAIT_SECONDS = 15.0

_BUSY = "Several resources that take long to validate are waiting; send this one again later, or in smaller parts."


class Pace:
    """The turns of what takes long; one for the server."""

    def __init__(self) -> None:
        self._turn = Lock()

    def watch(self) -> Watch:
        """Return the watch of one resource."""
        return Watch(self._turn)


class Watch:
    """What is left of the time for all walks over one resource, and whether they have turned out to be long."""

    __slots__ = ("_is_long", "_left", "_turn")

    def __init__(self, turn: Lock) -> None:
        self._turn = turn
        self._left = MAX_SECONDS
        self._is_long = False

    async def walk(
        self, resource: Json, answers: Answers[Profile], advice: bool, look: Callable[[Run], Findings]
    ) -> Findings:
        """Return what a walk finds. `look` is called in another thread where it takes long, after it was called here.

        Raises Unavailable where others that take long have to be waited for too long.
        """
        if not self._is_long:
            run = Run(answers, resource, advice=advice, max_steps=SHORT_STEPS, seconds=SHORT_SECONDS)
            found = look(run)
            if not run.is_spent:
                return found
            self._is_long = True
        try:
            async with timeout(MAX_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable(_BUSY, retry_after=10) from None
        began = monotonic()
        try:
            return await to_thread(look, Run(answers, resource, advice=advice, seconds=self._left))
        finally:
            self._left = max(0.0, self._left - (monotonic() - began))
            self._turn.release()
