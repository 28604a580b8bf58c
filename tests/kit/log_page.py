"""Reads docs/logs.md: it declares what a log in JSON holds, and tests hold lines to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "logs.md"

_FIELD: Final = re.compile(r"`(\w+)`( \(not always\))?")
"""A field in the last column, and whether a line may lack it."""


@dataclass(frozen=True)
class LineType:
    """One type of lines: the fields beside the common ones, and which of them may be missing."""

    fields: frozenset[str]
    optional: frozenset[str]


def _rows(head: str) -> list[list[str]]:
    """The cells of the table that begins with this line."""
    table = PAGE.read_text(encoding="utf-8").partition(head)[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def _line_type(cell: str) -> LineType:
    fields = dict(_FIELD.findall(cell))
    return LineType(frozenset(fields), frozenset(name for name in fields if fields[name]))


COMMON: Final = [name.strip("`") for name, *_ in _rows("| field | |")]
"""The fields that every line has, in their order."""

EVENTS: Final = {
    name.strip("`"): _line_type("".join(cells[1:]))
    for name, *cells in _rows("| type | when | fields |")
}
"""The types of lines, by name."""
