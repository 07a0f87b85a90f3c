"""Tables in files: rows with only the wanted columns, and every wrong row named by file and line.

Comma-separated: https://www.rfc-editor.org/rfc/rfc4180. Without quotes, by tabs: SNOMED CT RF2; by pipes: UMLS RRF.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from terminology.loaders.files import Files
from terminology.loaders.findings import Findings, broken

Row = tuple[int, Sequence[str]]


def quoted(
    files: Files,
    name: str,
    columns: Sequence[str],
    findings: Findings,
    *,
    optional: Sequence[str] = (),
    delimiter: str = ",",
    encoding: str = "",
) -> Iterator[Row]:
    """Yield (line, values of `columns`, then of `optional`) for each row of a table whose first row is its header.

    An optional column that is not there is empty throughout. Raises Unprocessable for a header without a column, and
    where quotes do not end.
    """
    reader = csv.reader(_texts(files, name, encoding), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        places = [_place(name, header, column) for column in columns]
        places += [header.index(column) if column in header else -1 for column in optional]
        for values in reader:
            if len(values) == len(header):
                yield reader.line_num, [values[place] if place >= 0 else "" for place in places]
            elif values:
                findings.bad(name, reader.line_num, f"{len(values)} columns, where the header has {len(header)}.")
    except csv.Error as error:
        raise broken(name, reader.line_num, f"the table cannot be read on from here ({error}).") from None


def header_of(files: Files, name: str, *, delimiter: str = ",", encoding: str = "") -> list[str]:
    """Return the header of a table."""
    try:
        return next(csv.reader(_texts(files, name, encoding), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise broken(name, 1, f"the header cannot be read ({error}).") from None


def tabbed(files: Files, name: str, header: Sequence[str], findings: Findings) -> Iterator[Row]:
    """Yield the rows of a table of SNOMED CT RF2, whose header must be exactly that. Raises Unprocessable."""
    rows = files.lines(name)
    _, first = next(rows, (0, ""))
    if first.split("\t") != list(header):
        raise broken(name, 1, f"the header is not {' '.join(header)}, as in RF2.")
    width = len(header)
    for line, text in rows:
        values = text.split("\t")
        if len(values) == width:
            yield line, values
        elif text:
            findings.bad(name, line, f"{len(values)} columns, where the header has {width}.")


def piped(files: Files, name: str, width: int, findings: Findings) -> Iterator[Row]:
    """Yield the rows of a table of RRF: no header, and a pipe after every value, the last one too."""
    for line, text in files.lines(name):
        values = text.split("|")
        if len(values) == width + 1 and not values[-1]:
            yield line, values
        elif text:
            findings.bad(name, line, f"{len(values) - 1} values with a pipe after each, where RRF has {width}.")


def _place(name: str, header: Sequence[str], column: str) -> int:
    if column not in header:
        raise broken(name, 1, f"the header has no column {column}.")
    return header.index(column)


def _texts(files: Files, name: str, encoding: str) -> Iterator[str]:
    return (text + "\n" for _, text in files.lines(name, encoding))
