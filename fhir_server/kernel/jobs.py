"""Runs the jobs of tenants in this process: claims one at a time, renews its lease, writes how it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fhir_server.api.errors import Failure
from fhir_server.api.operation import JobCancelled, JobLost, JobProgress
from fhir_server.api.ports import Clock, JobRecord, Jobs
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.outcomes import Issue, operation_outcome

Json = dict[str, Any]
Run = Callable[[Tenant, JobRecord, JobProgress], Awaitable[Json]]

POLL_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Progress:
    """A running job's line to the queue."""

    def __init__(self, jobs: Jobs, tenant: Tenant, job: JobRecord, owner: str, clock: Clock) -> None:
        self._jobs, self._tenant, self._job, self._owner, self._clock = jobs, tenant, job, owner, clock
        self._checkpoint = job.checkpoint

    @property
    def checkpoint(self) -> Json:
        """What was saved last."""
        return self._checkpoint

    async def save(self, checkpoint: Json, message: str) -> None:
        """Keep how far it is; raises JobCancelled, or JobLost, when the job is no longer this process's to run."""
        now = self._clock.now()
        if not await self._jobs.save(self._tenant, self._job.id, self._owner, checkpoint, message, now):
            found = await self._jobs.get(self._tenant, self._job.id)
            raise JobLost if found is not None and found.state == "running" else JobCancelled
        self._checkpoint = checkpoint


class JobRunner:
    """Polls the queue until it is stopped. A job that dies with its process is taken up by another's runner.

    With a `kind` it runs such jobs only: they need not wait for the long ones of others.
    """

    def __init__(
        self, jobs: Jobs, tenants: Callable[[], list[Tenant]], run: Run, clock: Clock, owner: str, kind: str = ""
    ) -> None:
        self._jobs, self._tenants, self._run, self._clock, self._owner = jobs, tenants, run, clock, owner
        self._kind = kind

    async def run_forever(self) -> None:
        """Run jobs as they come. Ends when cancelled; a job under way is left to be taken up again."""
        while True:
            worked = False
            for tenant in self._tenants():
                try:
                    worked = await self.run_one(tenant) or worked
                except Exception as error:  # noqa: BLE001  the queue being away must not end the runner
                    _log.warning("job_queue_away error=%s", type(error).__name__)
            if not worked:
                await asyncio.sleep(POLL_SECONDS)

    async def run_one(self, tenant: Tenant) -> bool:
        """Claim and run one job of a tenant; False when there is none."""
        job = await self._jobs.claim(tenant, self._owner, self._clock.now(), self._kind)
        if job is None:
            return False
        progress = Progress(self._jobs, tenant, job, self._owner, self._clock)
        try:
            state, result = "done", await self._run(tenant, job, progress)
        except JobCancelled:
            return True
        except Failure as failure:
            state, result = "failed", operation_outcome(failure.issues)
        except Exception as error:  # noqa: BLE001  whatever a job does, its record must say that it ended
            _log.exception("job_failed kind=%s id=%s", job.kind, job.id)
            text = f"The job ended with an internal error ({type(error).__name__})."
            state, result = "failed", operation_outcome([Issue("exception", text)])
        await self._jobs.finish(tenant, job.id, self._owner, state, result, self._clock.now())
        return True
