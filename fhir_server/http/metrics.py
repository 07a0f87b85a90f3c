"""Counts and times of requests for Prometheus, by interaction and status; never an id. docs/guide/run-it.md

With a shared folder (`fhir-server serve` makes one) the workers' counts are added up, whichever of them answers, and
those of a worker that was killed stay in the sum.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The counters of one worker. `shared` is the folder of settings.metrics_dir, '' for this process alone."""

    def __init__(self, shared: str = "") -> None:
        self._shared = shared
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "fhir_requests", "Requests answered.", ("interaction", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "fhir_request_seconds", "Time to answer.", ("interaction",), buckets=BUCKETS, registry=self._registry
        )
        self._counters: dict[tuple[str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}

    def observe(self, interaction: str, status: int, seconds: float) -> None:
        """Count one answered request. `interaction` is one of a closed set (`read`, `search-type`, `$everything`)."""
        counter = self._counters.get((interaction, status))
        if counter is None:
            counter = self._counters[interaction, status] = self._requests.labels(interaction, str(status))
            self._times.setdefault(interaction, self._seconds.labels(interaction))
        counter.inc()
        self._times[interaction].observe(seconds)

    def exposition(self) -> bytes:
        """Return all counts as Prometheus reads them."""
        if not self._shared:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together, path=self._shared)  # type: ignore[no-untyped-call]  # it has no types
        return generate_latest(together)
