"""What processes cost: CPU time and memory, and a ruler to compare CPU by. https://man7.org/linux/man-pages/man5/proc.5.html

A shared or throttled machine does the same work in less or more CPU time from one minute to the next; so each figure is
scaled by how long a fixed piece of JSON work took just before and after it.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.patients import transaction

# CPU figures are those of a machine that does the ruler's work in this time.
RULER_SECONDS = 0.010
_TICKS_FROM = 11  # utime and stime, counted from the field after the program's name


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time that the processes have used so far, all their threads included."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += sum(map(int, fields[_TICKS_FROM : _TICKS_FROM + 2]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_megabytes(pid: int) -> float:
    """Return a process's share of the memory in RAM (PSS): pages it shares with others are divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def ruler() -> float:
    """Return how many times slower than the ruler's machine this one is at the moment: the best of three tries."""
    text = json.dumps(transaction(0))
    best = min(_seconds_for(text) for _ in range(3))
    return best / RULER_SECONDS


def _seconds_for(text: str) -> float:
    began = time.process_time()
    for _ in range(10):
        json.dumps(json.loads(text))
    return time.process_time() - began


def machine() -> str:
    """Return the model and number of the processors."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores, {model}"
