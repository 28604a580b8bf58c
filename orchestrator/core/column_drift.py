"""How the columns change between the files of a series. All pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from orchestrator.core.file_columns import FileColumns
from orchestrator.core.model import Series
from orchestrator.texts import utc_text

T = TypeVar("T")

_MOST_COLUMNS: Final = 1_000
"""Columns of a series that are named as appeared, as vanished and as retyped: files that each have
other columns must not fill summaries and notifications."""

_MOST_CHARACTERS: Final = 64 * 1024
"""Of the names together, but for the last: one may be as long as a whole header."""


@dataclass(frozen=True, slots=True)
class FileShape:
    """What a collected file has as columns."""

    columns: FileColumns  # of the file
    # names of columns that `output.columns` has left out or hashed
    by_rule: frozenset[str] = frozenset()


class ShapeChange(NamedTuple):
    """Two neighbours in time among the files of a series that have other columns."""

    before: FileShape
    after: FileShape
    at: datetime  # the first moment of the later file
    change: int  # the later of the changes of the ledger by which the two were collected


@dataclass(slots=True)
class ColumnDrift:
    """How the columns of a series' files have changed: each column with where it did first.

    What `output.columns` does is not among it, nor is another order of the columns. Of each kind
    only the first are kept (see `is_full`).
    """

    series: Series
    # columns that files have and earlier ones had not
    appeared: dict[str, datetime] = field(default_factory=dict)
    vanished: dict[str, datetime] = field(default_factory=dict)  # the reverse
    # columns of which both have the type, and not the same: with both types
    retyped: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether any column has changed."""
        return bool(self.appeared or self.vanished or self.retyped)

    def add(self, change: ShapeChange) -> None:
        """Takes the next change in the order of time."""
        before, after = dict(change.before.columns), dict(change.after.columns)
        by_rule = change.before.by_rule | change.after.by_rule
        for name in after:
            if name not in by_rule and name not in before:
                _keep(self.appeared, name, change.at)
        for name, old in before.items():
            if name in by_rule:
                continue
            if name not in after:
                _keep(self.vanished, name, change.at)
            elif old is not None and (new := after[name]) is not None and old != new:
                _keep(self.retyped, name, (old, new, change.at))

    @property
    def as_json(self) -> dict[str, Any]:
        """For `--json`, without the series."""
        return {
            "appeared": {name: utc_text(at) for name, at in self.appeared.items()},
            "vanished": {name: utc_text(at) for name, at in self.vanished.items()},
            "retyped": {
                name: {"from": old, "to": new, "since": utc_text(at)}
                for name, (old, new, at) in self.retyped.items()
            },
        }


def is_full(columns: Mapping[str, object]) -> bool:
    """Whether no more columns are named beside these."""
    return len(columns) >= _MOST_COLUMNS or sum(map(len, columns)) >= _MOST_CHARACTERS


def _keep(columns: dict[str, T], name: str, what: T) -> None:
    if name not in columns and not is_full(columns):
        columns[name] = what


def drift_of(series: Series, changes: Iterable[ShapeChange], after: int = 0) -> ColumnDrift:
    """The drift of a series, of changes in the order of time.

    Args:
        after: only what came with files that were collected by later changes of the ledger.
    """
    drift = ColumnDrift(series)
    for change in changes:
        if change.change > after:
            drift.add(change)
    return drift
