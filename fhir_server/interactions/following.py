"""Following the search parameters and definitions of tenants: what one worker puts in force, all soon work by.

Each process asks the database about the tenants it serves once in a while, and before a write at the latest when it has
not for longer. So nothing is written with parameters that were out of force for more than a few seconds, which is what
reindexing waits for before it begins. https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from fhir_server.api.editions import ParameterSets
from fhir_server.api.errors import Unavailable
from fhir_server.api.tenant import Tenant
from fhir_server.interactions.settling import Settler
from fhir_server.validation.knowledge import KnowledgeOfTenants

# A tenant that nobody asked for anything in so long is not followed until somebody does.
IDLE_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How soon changed parameters are followed, in seconds.

    `ask`: how often the database is asked. `late`: how long its answer is good enough to write by. `grace`: when every
    write that was begun by an older set has ended; what lies between `late` and `grace` is for the write itself.
    """

    ask: float = 1.0
    late: float = 3.0
    grace: float = 10.0

    @classmethod
    def of(cls, grace: int) -> Pace:
        """Return the pace that a grace asks for."""
        return cls(min(1.0, grace / 10), grace * 0.3, grace)


class Following:
    """Keeps the editions and the knowledge of this process in step with the database."""

    def __init__(self, sets: ParameterSets, settler: Settler, knowledge: KnowledgeOfTenants, pace: Pace) -> None:
        self.pace = pace
        self._sets = sets
        self._settler = settler
        self._knowledge = knowledge
        self._heard: dict[str, float] = {}
        self._used: dict[str, float] = {}
        self._tenants: dict[str, Tenant] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def tenants(self) -> list[Tenant]:
        """Return the tenants this process has served."""
        return list(self._tenants.values())

    def is_late(self, tenant: Tenant) -> bool:
        """Whether it is too long ago that the database was asked about a tenant, which is being served now."""
        now = time.monotonic()
        self._used[tenant.name] = now
        return now - self._heard.get(tenant.name, -self.pace.late) >= self.pace.late

    async def catch_up(self, tenant: Tenant) -> None:
        """Work by the set in force; the database is asked unless somebody else just did."""
        async with self._locks.setdefault(tenant.name, asyncio.Lock()):
            if self.is_late(tenant):
                await self.ask(tenant)

    async def ask(self, tenant: Tenant) -> None:
        """Ask the database which set and which definitions are in force, and work by them."""
        self._tenants[tenant.name] = tenant
        asked = time.monotonic()
        generation = self._settler.generation(tenant)
        news, _ = await asyncio.gather(self._sets.news(tenant, generation), self._knowledge.ask(tenant))
        if news is not None:
            self._settler.adopt(tenant, news)
        self._heard[tenant.name] = asked
        if news is not None and news.announced:
            await self._settler.finish_abandoned(tenant, news)

    async def run_forever(self) -> None:
        """Follow the tenants in use until cancelled; that the database is away ends nothing."""
        while True:
            await asyncio.sleep(self.pace.ask)
            for name, used in list(self._used.items()):
                if time.monotonic() - used > IDLE_SECONDS:
                    del self._used[name]
                    continue
                try:
                    await self.ask(self._tenants[name])
                except Unavailable:
                    continue
                except Exception as error:  # noqa: BLE001  a worker that follows no more would refuse no write
                    _log.warning("parameters_not_followed error=%s", type(error).__name__)
