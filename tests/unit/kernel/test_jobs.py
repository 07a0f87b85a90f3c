"""A running job's line to the queue: who may go on, and how it learns that it may not."""

from __future__ import annotations

from typing import cast

import pytest

from fhir_server.api.operation import JobCancelled, JobLost
from fhir_server.api.ports import Clock, JobRecord, Jobs
from fhir_server.api.tenant import Tenant
from fhir_server.kernel.jobs import Progress


class Queue:
    """A queue whose one job is in some state, and no longer this worker's."""

    def __init__(self, state: str) -> None:
        self.state = state

    async def save(self, *_: object) -> bool:
        return False

    async def get(self, *_: object) -> JobRecord | None:
        return JobRecord("a", "kind", "", {}, self.state) if self.state else None


class Clocked:
    def now(self) -> int:
        return 1


@pytest.mark.parametrize(("state", "ends"), [("cancelled", JobCancelled), ("running", JobLost), ("", JobCancelled)])
async def test_a_job_that_is_lost_is_told_from_one_that_is_cancelled(state: str, ends: type[Exception]) -> None:
    job = JobRecord("a", "kind", "", {}, checkpoint={"at": 1})
    progress = Progress(cast(Jobs, Queue(state)), cast(Tenant, None), job, "me", cast(Clock, Clocked()))
    with pytest.raises(JobCancelled) as ended:
        await progress.save({"at": 2}, "half")
    assert type(ended.value) is ends
    assert progress.checkpoint == {"at": 1}
