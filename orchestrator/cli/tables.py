"""Aligned tables, made as the rows come."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final

_MEASURED: Final = 500
"""Rows that decide the widths of columns; a later row that is wider sticks out, uncut."""


def aligned(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    indent: str = "",
    spare: Sequence[str] = (),
    width: int | None = None,
) -> Iterator[str]:
    """The lines of a table, the headers first; nothing where there are no rows.

    Args:
        headers: the names of the columns.
        rows: a cell a column each; read as they come, in constant memory.
        right: the columns of numbers, flush right.
        indent: what every line begins with.
        spare: columns that are left out in turn while the table is wider than `width`.
        width: of the terminal; None: there is none, and no column is left out.
    """
    remaining = iter(rows)
    measured = list(islice(remaining, _MEASURED))
    if not measured:
        return
    widths = [max(map(len, column)) for column in zip(headers, *measured, strict=True)]
    shown = list(range(len(headers)))
    for header in spare if width is not None else ():
        if len(indent) + sum(widths[at] + 2 for at in shown) - 2 <= (width or 0):
            break
        shown.remove(headers.index(header))
    for row in chain((headers,), measured, remaining):
        cells = [
            row[at].rjust(widths[at]) if headers[at] in right else row[at].ljust(widths[at])
            for at in shown
        ]
        yield f"{indent}{'  '.join(cells)}".rstrip()


def tab_separated(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table for programs: the names of the columns, then a row a line."""
    for row in chain((headers,), rows):
        yield "\t".join(cell.replace("\t", "\\t") for cell in row)
