"""The columns of a collected file, what is otherwise about them than the API sent, both as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
    return tuple(FileColumn(column["name"], column.get("type")) for column in listed)


def _is_column(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("type"), str | None)
    )


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """Names of the columns that are otherwise than the API sent them."""

    dropped: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()  # hold an HMAC-SHA-256 in the place of each value
    # are text in a typed file, since a value did not fit the type
    without_type: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether any column is otherwise."""
        return bool(self.dropped or self.hashed or self.without_type)

    @property
    def by_rule(self) -> tuple[str, ...]:
        """Those that `output.columns` has changed."""
        return self.dropped + self.hashed

    @property
    def as_json(self) -> dict[str, list[str]]:
        """For ledger, manifest and `--json`."""
        return {name: list(getattr(self, name)) for name in self.__match_args__}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ColumnChanges:
        """The reverse of `as_json`; a key that is missing has no columns.

        Raises:
            ValueError: a value is no list of names.
        """
        for columns in fields.values():
            if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
                raise ValueError(f"{columns!r} is no list of columns")
        return cls(*(tuple(fields.get(name, ())) for name in cls.__match_args__))
