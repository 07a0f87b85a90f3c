"""The durable queue of jobs in MongoDB: every step is one atomic command. See api.ports.Jobs."""

from __future__ import annotations

from fhir_server.api.ports import JobRecord
from fhir_server.api.tenant import Tenant
from fhir_server.store.documents import JOBS, Json
from fhir_server.store.driver import DURABLE, Driver

LEASE_MS = 30_000
MAX_ATTEMPTS = 5
OPEN = ("queued", "running")


class MongoJobs:
    """A tenant's jobs, each a document with the time until which its holder has it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    async def add(self, tenant: Tenant, job: JobRecord, now: int) -> None:
        """Keep a new job."""
        row: Json = {
            "_id": job.id, "kind": job.kind, "base_url": job.base_url, "input": job.input, "state": "queued",
            "lease": 0, "attempts": 0, "checkpoint": {}, "message": "", "result": {}, "created": now,
        }  # fmt: skip
        await self._driver.command(tenant.database, {"insert": JOBS, "documents": [row], "writeConcern": DURABLE})

    async def get(self, tenant: Tenant, job_id: str) -> JobRecord | None:
        """Return a job."""
        found = await self._driver.command(tenant.database, {"find": JOBS, "filter": {"_id": job_id}, "limit": 1})
        return next((_record(row) for row in found["cursor"]["firstBatch"]), None)

    async def claim(self, tenant: Tenant, owner: str, now: int, kind: str = "") -> JobRecord | None:
        """Take the oldest job that nobody holds; one that lost its holder too often is given up."""
        lost = {"state": "running", "lease": {"$lt": now}, "attempts": {"$gte": MAX_ATTEMPTS}}
        gone = {"$set": {"state": "failed", "result": {"diagnostics": f"given up after {MAX_ATTEMPTS} attempts"}}}
        updates = [{"q": lost, "u": gone, "multi": True}]
        await self._driver.command(tenant.database, {"update": JOBS, "updates": updates, "writeConcern": DURABLE})
        reply = await self._driver.command(
            tenant.database,
            {
                "findAndModify": JOBS,
                "query": {"state": {"$in": list(OPEN)}, "lease": {"$lt": now}, **({"kind": kind} if kind else {})},
                "sort": {"created": 1},
                "update": {
                    "$set": {"state": "running", "owner": owner, "lease": now + LEASE_MS},
                    "$inc": {"attempts": 1},
                },
                "new": True,
                "writeConcern": DURABLE,
            },
        )
        row = reply.get("value")
        return _record(row) if row else None

    async def save(self, tenant: Tenant, job_id: str, owner: str, checkpoint: Json, message: str, now: int) -> bool:
        """Keep how far the job is and renew the lease; False when it was cancelled or is held by another.

        A job that comes on is given up no sooner than a new one, however often its holders were lost.
        """
        change: Json = {"checkpoint": checkpoint, "message": message, "lease": now + LEASE_MS, "attempts": 1}
        return await self._change(tenant, {"_id": job_id, "owner": owner, "state": "running"}, change)

    async def finish(self, tenant: Tenant, job_id: str, owner: str, state: str, result: Json, now: int) -> None:
        """Write how the job ended, unless another holds it by now."""
        change: Json = {"state": state, "result": result, "finished": now}
        await self._change(tenant, {"_id": job_id, "owner": owner, "state": "running"}, change)

    async def cancel(self, tenant: Tenant, job_id: str, now: int) -> bool:
        """Stop a job that has not ended."""
        asked: Json = {"_id": job_id, "state": {"$in": list(OPEN)}}
        return await self._change(tenant, asked, {"state": "cancelled", "finished": now})

    async def _change(self, tenant: Tenant, query: Json, change: Json) -> bool:
        updates = [{"q": query, "u": {"$set": change}}]
        reply = await self._driver.command(
            tenant.database, {"update": JOBS, "updates": updates, "writeConcern": DURABLE}
        )
        return bool(reply["n"])


def _record(row: Json) -> JobRecord:
    return JobRecord(
        row["_id"], row["kind"], row["base_url"], row["input"], row["state"],
        row["checkpoint"], row["message"], row["result"], row["attempts"],
    )  # fmt: skip
