"""What only all concepts together tell: codes that occur twice, parents that are missing, and circles of parents."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from terminology.loaders.findings import Findings, broken
from terminology.loaders.release import Found

_SHOWN = 5


class Hierarchy:
    """Looks at concepts as they pass. Holds of each its code and, as numbers, its line and its parents."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._numbers: dict[str, int] = {}
        self._lines = array("q")  # 0 for a code that was named as a parent and has not come itself
        self._files: list[str] = []
        self._file_of = array("h")
        self._edges = array("q")  # number of a concept, number of its parent, ...

    def passing(self, concepts: Iterator[Found]) -> Iterator[Found]:
        """Yield the concepts whose codes have not come before; note the others."""
        for found in concepts:
            number = self._number(found.concept.code)
            file = self._file(found.file)
            if self._lines[number]:
                first = f"{self._files[self._file_of[number]]}, line {self._lines[number]}"
                text = f"the code {found.concept.code[:60]!r} stands here a second time; first: {first}."
                self._findings.bad(found.file, found.line, text)
                continue
            self._lines[number] = max(1, found.line)
            self._file_of[number] = file
            for parent in found.concept.parents:
                self._edges.extend((number, self._number(parent)))
            yield found

    def close(self) -> None:
        """Note missing parents. Raises Unprocessable for concepts that are above themselves."""
        codes = list(self._numbers)
        for at in range(0, len(self._edges), 2):
            child, parent = self._edges[at], self._edges[at + 1]
            if not self._lines[parent]:
                text = f"the parent {codes[parent][:60]!r} of {codes[child][:60]!r} is not in the release."
                self._findings.bad(self._files[self._file_of[child]], self._lines[child], text)
        circle = self._circle(len(codes))
        if circle:
            shown = " -> ".join(codes[number][:60] for number in [*circle[:_SHOWN], circle[0]])
            first = circle[0]
            text = f"the parents go round in a circle: {shown}."
            raise broken(self._files[self._file_of[first]], self._lines[first], text)

    def _number(self, code: str) -> int:
        number = self._numbers.get(code)
        if number is None:
            number = self._numbers[code] = len(self._numbers)
            self._lines.append(0)
            self._file_of.append(0)
        return number

    def _file(self, name: str) -> int:
        if not self._files or self._files[-1] != name:
            if name in self._files:
                return self._files.index(name)
            self._files.append(name)
        return len(self._files) - 1

    def _circle(self, count: int) -> list[int]:
        """Return the concepts of a circle, each before its parent, or nothing: take away what has no parents left."""
        open_parents = array("q", bytes(8 * count))
        first_edge = array("q", [-1]) * count  # of a parent: the last edge that leads to it
        next_edge = array("q", [-1]) * (len(self._edges) // 2)
        for edge in range(len(self._edges) // 2):
            child, parent = self._edges[2 * edge], self._edges[2 * edge + 1]
            open_parents[child] += 1
            next_edge[edge] = first_edge[parent]
            first_edge[parent] = edge
        free = [number for number in range(count) if not open_parents[number]]
        while free:
            edge = first_edge[free.pop()]
            while edge >= 0:
                child = self._edges[2 * edge]
                open_parents[child] -= 1
                if not open_parents[child]:
                    free.append(child)
                edge = next_edge[edge]
        left = next((number for number in range(count) if open_parents[number]), -1)
        return self._walk(left, open_parents) if left >= 0 else []

    def _walk(self, start: int, open_parents: array[int]) -> list[int]:
        """Follow parents that are left until one comes again; what lies between is the circle."""
        above: dict[int, int] = {}
        for at in range(0, len(self._edges), 2):
            if open_parents[self._edges[at]] and open_parents[self._edges[at + 1]]:
                above.setdefault(self._edges[at], self._edges[at + 1])
        path: dict[int, int] = {}
        number = start
        while number not in path:
            path[number] = len(path)
            number = above[number]
        return list(path)[path[number] :]
