"""Metrics: what is counted, and that workers' counts are added up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from fhir_server.http.metrics import Metrics


def test_requests_are_counted_by_interaction_and_status_and_timed_by_interaction() -> None:
    metrics = Metrics()
    metrics.observe("read", 200, 0.002)
    metrics.observe("read", 200, 0.2)
    metrics.observe("read", 404, 0.002)
    lines = metrics.exposition().decode().splitlines()
    assert 'fhir_requests_total{interaction="read",status="200"} 2.0' in lines
    assert 'fhir_requests_total{interaction="read",status="404"} 1.0' in lines
    assert 'fhir_request_seconds_bucket{interaction="read",le="0.0025"} 2.0' in lines
    assert 'fhir_request_seconds_count{interaction="read"} 3.0' in lines


def test_the_counts_of_all_workers_are_added_up_dead_ones_included(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from fhir_server.http.metrics import Metrics
metrics = Metrics(sys.argv[1])
metrics.observe("create", 201, 0.01)
print(metrics.exposition().decode(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    counts = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path], env=environment, capture_output=True, text=True, check=False
        )
        counts += [line for line in done.stdout.splitlines() if line.startswith("fhir_requests_total")]
    assert counts == [f'fhir_requests_total{{interaction="create",status="201"}} {n}.0' for n in (1, 2, 3)]
