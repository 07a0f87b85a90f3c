"""The growth of each query as a picture: a small panel for each, all with the same two logarithmic scales.

https://www.w3.org/TR/SVG11/
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10

from tests.benchmarks.search.timing import Timing

WIDTH, HEIGHT, COLUMNS = 260, 130, 3
LEFT, RIGHT, TOP, BOTTOM = 46, 52, 26, 22
LEAST_MS, MOST_MS = 0.3, 10_000.0
_LINES = (1, 10, 100, 1_000, 10_000)
_STYLE = (
    "text{font:11px sans-serif;fill:#222}.t{font-weight:bold}.g{stroke:#ddd}"
    ".p{stroke:#0b62a4;stroke-width:2;fill:none}.d{fill:#0b62a4}"
)


def picture(sizes: Sequence[int], rows: Sequence[Sequence[Timing]]) -> str:
    """Return an SVG of the p50 of each row at each size, both axes logarithmic. A wrong answer has no point."""
    high = -(-len(rows) // COLUMNS) * HEIGHT
    panels = "\n".join(
        f'<g transform="translate({n % COLUMNS * WIDTH} {n // COLUMNS * HEIGHT})">{_panel(sizes, row)}</g>'
        for n, row in enumerate(rows)
    )
    box = f"0 0 {COLUMNS * WIDTH} {high}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">\n<style>{_STYLE}</style>\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{panels}\n</svg>\n'
    )


def _panel(sizes: Sequence[int], row: Sequence[Timing]) -> str:
    points = [
        (_across(sizes, size), _down(timing.p50)) for size, timing in zip(sizes, row, strict=True) if not timing.wrong
    ]
    parts = [f'<text class="t" x="6" y="14">{escape(row[0].name.replace("`", ""))}</text>']
    for value in _LINES:
        y = _down(value)
        parts.append(f'<line class="g" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        label = f"{value} ms" if value < 1_000 else f"{value // 1_000} s"
        parts.append(f'<text x="{LEFT - 4}" y="{y + 4}" text-anchor="end">{label}</text>')
    parts += [
        f'<text x="{_across(sizes, size)}" y="{HEIGHT - 6}" text-anchor="middle">{_short(size)}</text>'
        for size in sizes
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    parts.append(f'<polyline class="p" points="{line}"/>')
    parts += [f'<circle class="d" cx="{x}" cy="{y}" r="2.5"/>' for x, y in points]
    if points:
        last = next(timing for timing in reversed(row) if not timing.wrong)
        parts.append(f'<text x="{points[-1][0] + 5}" y="{points[-1][1] + 4}">{last.p50:.3g} ms</text>')
    return "".join(parts)


def _across(sizes: Sequence[int], size: int) -> float:
    span = log10(sizes[-1] / sizes[0]) or 1
    return round(LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * log10(size / sizes[0]) / span, 1)


def _down(milliseconds: float) -> float:
    share = log10(min(max(milliseconds, LEAST_MS), MOST_MS) / LEAST_MS) / log10(MOST_MS / LEAST_MS)
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)


def _short(size: int) -> str:
    return f"{size // 1_000}k" if size >= 1_000 else str(size)
