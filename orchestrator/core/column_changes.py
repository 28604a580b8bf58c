"""How the columns of a collected file differ from those that the API sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """Names of columns."""

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
