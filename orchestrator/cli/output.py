"""Prints on standard output: lines and streamed JSON; series and windows look alike in both."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.core.column_changes import ColumnChanges
from orchestrator.reporting.wrapping import terminal_width, wrapped
from orchestrator.texts import field_text, printable, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from orchestrator.app.files import ReportFile
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Series

_BLOCK: Final = 64 * 1024
"""Characters that are written at once."""


def write(pieces: Iterable[str]) -> None:
    """Writes pieces of text as they come, in blocks; memory does not grow with their number."""
    block: list[str] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            _put("".join(block))
            block.clear()
            size = 0
    _put("".join(block))
    # A reader who has gone away is noticed here, not when the interpreter ends.
    sys.stdout.flush()


def _put(text: str) -> None:
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        # A terminal that knows fewer letters than a filter or a path has.
        encoding = sys.stdout.encoding
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def write_lines(lines: Iterable[str]) -> None:
    """Writes lines as they come; a terminal gets them wrapped.

    See `fit` for what is shown otherwise than it is.
    """
    width = terminal_width(sys.stdout)
    write(f"{piece}\n" for line in lines for piece in wrapped(fit(line), width))


def say(line: str, *, err: bool = False) -> None:
    """Writes one message to standard output or standard error; a terminal gets it wrapped."""
    width = terminal_width(sys.stderr if err else sys.stdout)
    for piece in wrapped(line, width):
        click.echo(piece, err=err)


def fit(line: str) -> str:
    """A line that is safe to show: what would move the cursor, or break it in two, is escaped.

    A server's words and a job's filters must not be able to paint the terminal.
    """
    return printable(line)


def json_text(value: Any) -> str:
    """Compact JSON in ASCII, which every terminal and every program takes."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def json_list(items: Iterable[str]) -> Iterator[str]:
    """A JSON array of items that are JSON already, an item a line."""
    yield "["
    before = "\n"
    for item in items:
        yield before
        yield item
        before = ",\n"
    yield "]"


def optional_moment(moment: datetime | None) -> str | None:
    """As `utc_text`; None stays None."""
    return None if moment is None else utc_text(moment)


def window_fields(window: Window) -> dict[str, str]:
    """A window as JSON has it; the end is the first moment that is not in it."""
    return {"start": utc_text(window.start), "end": utc_text(window.end)}


def series_fields(series: Series) -> dict[str, Any]:
    """What names a series in JSON; the filter holds the fields that are not at their default."""
    return {
        "account_id": series.account_id,
        "product": series.product,
        "direction": series.direction,
        "filter": series.filters,
    }


def file_fields(file: ReportFile) -> dict[str, object]:
    """A collected file as JSON has it."""
    return {
        **series_fields(file.series),
        "date_start": utc_text(file.window.start),
        "date_end": utc_text(file.window.end),
        "path": file.url or str(file.path),
        "rows": file.rows,
        "sha256": file.sha256,
        "request_id": file.request_id,
        "report": file.report,
        "collected_at": utc_text(file.collected_at),
        "edition": file.edition,
        "replaces": file.replaces,
        "finding": file.finding,
        "size_bytes": file.size_bytes,
        "columns": (file.columns or ColumnChanges()).as_json,
    }


def filter_words(filters: Mapping[str, str | bool]) -> str:
    """A filter for people: ``status=delivered provider=whatsapp``, or ``all``."""
    return " ".join(f"{name}={field_text(value)}" for name, value in filters.items()) or "all"


def series_cells(series: Series) -> list[str]:
    """What names a series in a table: account, product, direction, filter."""
    return [
        series.account_id,
        series.product,
        series.direction or "any",
        filter_words(series.filters),
    ]
