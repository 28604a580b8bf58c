"""Aligned tables, made as the rows come."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, zip_longest
from typing import Final

from orchestrator.core.model import Series
from orchestrator.texts import field_text

_MEASURED: Final = 500
"""Rows that decide the widths of columns; a later row that is wider sticks out, uncut."""

_MIN_FOLDED: Final = 16
"""The narrowest that a column of several lines becomes: words of filters are about as long."""


def aligned(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    indent: str = "",
    spare: Sequence[str] = (),
    folded: Sequence[str] = (),
    width: int | None = None,
) -> Iterator[str]:
    """The lines of a table, the headers first; nothing where there are no rows.

    Args:
        rows: a cell a column each; read as they come, in constant memory.
        right: the columns of numbers, flush right.
        indent: what every line begins with.
        spare: columns that are left out in turn while the table is wider than `width` all the same.
        folded: columns of several words, whose cells go over several lines where the table is wider
            than `width`.
        width: of the terminal; None: there is none, and every row is one line.
    """
    remaining = iter(rows)
    measured = list(islice(remaining, _MEASURED))
    if not measured:
        return
    widths = [max(map(len, column)) for column in zip(headers, *measured, strict=True)]
    shown = list(range(len(headers)))
    least = list(widths)
    for at in map(headers.index, folded):
        least[at] = min(widths[at], max(len(headers[at]), _MIN_FOLDED))

    def excess(of: list[int]) -> int:
        needed = len(indent) + sum(of[at] + 2 for at in shown) - 2
        return 0 if width is None else max(0, needed - width)

    for header in spare:
        if excess(least):
            shown.remove(headers.index(header))
    for at in map(headers.index, folded):
        widths[at] = max(widths[at] - excess(widths), least[at])
    for row in chain((headers,), measured, remaining):
        cells = [
            _lines(row[at], widths[at]) if headers[at] in folded else [row[at]] for at in shown
        ]
        for line in zip_longest(*cells, fillvalue=""):
            texts = [
                text.rjust(widths[at]) if headers[at] in right else text.ljust(widths[at])
                for at, text in zip(shown, line, strict=True)
            ]
            yield f"{indent}{'  '.join(texts)}".rstrip()


def _lines(cell: str, width: int) -> list[str]:
    """A cell in lines, broken after commas where it has some, else at spaces."""
    comma = "," if ", " in cell else ""
    lines: list[str] = []
    for part in cell.split(f"{comma} "):
        if lines and len(f"{lines[-1]}{comma} {part}{comma}") <= width:
            lines[-1] += f"{comma} {part}"
        else:
            lines[-1:] = [*(f"{line}{comma}" for line in lines[-1:]), part]
    return lines


def tab_separated(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table for programs: the names of the columns, then a row a line."""
    for row in chain((headers,), rows):
        yield "\t".join(cell.replace("\t", "\\t") for cell in row)


def series_cells(series: Series) -> list[str]:
    """What names a series in a table: account, product, direction, filter.

    A filter is ``status=delivered provider=whatsapp``, or ``all``.
    """
    filters = " ".join(f"{name}={field_text(value)}" for name, value in series.filters.items())
    return [series.account_id, series.product, series.direction or "any", filters or "all"]
