"""Breaks the lines of messages between words, so that a narrow terminal does not cut words in two.

Only what goes to a terminal is wrapped: a pipe, a file and a log get each message as one line.
"""

import os
import re
from collections.abc import Iterator
from typing import Final, TextIO

MIN_WIDTH: Final = 40
"""Columns; on a narrower terminal nothing is wrapped, since commands and paths would not fit."""

_HANGING: Final = "    "
"""What the second and all further lines of a message begin with, after its own indentation."""

_PIECE: Final = re.compile(r"`[^`]*`\S*|\S+")
"""A word, or a command in backquotes, which stays on one line so that it can be copied."""


def terminal_width(stream: TextIO) -> int | None:
    """The columns of the terminal that a stream writes to; None: it is none, or too narrow."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError, AttributeError):
        return None
    return columns if columns >= MIN_WIDTH else None


def wrapped(line: str, width: int | None) -> Iterator[str]:
    """The line in pieces of at most `width` columns, the later ones indented.

    A longer word stays whole. A row of a table, which has two spaces between its cells, is not
    wrapped: its columns would no longer stand below each other.
    """
    text = line.lstrip(" ")
    if width is None or len(line) <= width or "  " in text:
        yield line
        return
    indent = line[: len(line) - len(text)]
    current = ""
    for piece in _PIECE.findall(text):
        if not current:
            current = indent + piece
        elif len(current) + 1 + len(piece) <= width:
            current += f" {piece}"
        else:
            yield current
            current = indent + _HANGING + piece
    yield current
