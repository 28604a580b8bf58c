"""Aligned tables, made as the rows come."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_MEASURED: Final = 500
"""So many rows decide the widths; later ones that are wider stand out, and nothing is lost."""


def aligned(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    indent: str = "",
) -> Iterator[str]:
    """The lines of a table, the headers first; nothing where there are no rows.

    Args:
        headers: the names of the columns.
        rows: a cell a column each; read as they come, in constant memory.
        right: the columns of numbers, flush right.
        indent: what every line begins with.
    """
    left = iter(rows)
    measured = list(islice(left, _MEASURED))
    if not measured:
        return
    widths = [max(map(len, column)) for column in zip(headers, *measured, strict=True)]
    for row in chain((headers,), measured, left):
        cells = [
            cell.rjust(width) if header in right else cell.ljust(width)
            for header, cell, width in zip(headers, row, widths, strict=True)
        ]
        yield f"{indent}{'  '.join(cells)}".rstrip()


def tab_separated(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table for programs: the names of the columns, then a row a line."""
    for row in chain((headers,), rows):
        yield "\t".join(cell.replace("\t", "\\t") for cell in row)
