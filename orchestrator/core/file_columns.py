"""The columns of a collected file, and how they are written down."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from orchestrator.texts import short


class FileColumn(NamedTuple):
    """A column of a file."""

    name: str
    # a word of `core.record_columns.ColumnType`, or ``bytes``; None in formats that have no types
    type: str | None = None


FileColumns = tuple[FileColumn, ...]
"""In the order of the file."""


def columns_as_json(columns: Iterable[FileColumn]) -> list[dict[str, str]]:
    """For ledger and manifest."""
    return [
        {"name": column.name} if column.type is None else column._asdict() for column in columns
    ]


def columns_from_json(listed: Any) -> FileColumns:
    """The reverse of `columns_as_json`.

    Raises:
        ValueError: it is no list of columns.
    """
    if not isinstance(listed, list) or not all(map(_is_column, listed)):
        raise ValueError(f"{short(repr(listed), 80)} is no list of columns")
    return tuple(FileColumn(one["name"], one.get("type")) for one in listed)


def _is_column(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("type"), str | None)
    )
