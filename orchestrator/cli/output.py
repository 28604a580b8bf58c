"""Prints lines, wrapped for a terminal, and JSON as it is made; messages go to standard error."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import click

from orchestrator.reporting.logs import json_line
from orchestrator.reporting.wrapping import terminal_width, wrapped
from orchestrator.texts import printable

_BLOCK: Final = 64 * 1024  # Characters that are written at once.


def log_line(level: str, text: str, **facts: object) -> str:
    """A line of the log in JSON, where no run is there to write it; see docs/logs.md."""
    return json_line(datetime.now(UTC), level, text, facts)


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

    A server's words and a job's filters must not be able to paint the terminal: see `printable`.
    """
    width = terminal_width(sys.stdout)
    write(f"{piece}\n" for line in lines for piece in wrapped(printable(line), width))


def say(line: str, *, err: bool = False) -> None:
    """Writes one message to standard output or standard error; a terminal gets it wrapped."""
    width = terminal_width(sys.stderr if err else sys.stdout)
    for piece in wrapped(line, width):
        click.echo(piece, err=err)


def json_text(value: Any) -> str:
    """Compact JSON in ASCII, which every terminal and every program takes."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def json_list(items: Iterable[str | Iterator[str]]) -> Iterator[str]:
    """A JSON array of items that are JSON already, whole or in pieces; an item a line."""
    yield "["
    before = "\n"
    for item in items:
        yield before
        yield from (item,) if isinstance(item, str) else item
        before = ",\n"
    yield "]"
