"""Counts a CSV's records by account, for reports that hold those of subaccounts too.

Best effort: a file of which the accounts cannot be told is a file all the same. So nothing here
fails; the answer is None instead.
"""

from __future__ import annotations

import csv
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.core.model import Report

COLUMN: Final = "account_id"

_LONGEST: Final = 2 * 1024 * 1024
"""Bytes without the end of a record, after which nothing is counted any more."""

_MOST: Final = 10_000
"""Accounts; no primary account has as many subaccounts."""

_LONGEST_ID: Final = 32
"""Characters of an account's id, which has 8: what is longer is something else."""

_AT_ONCE: Final = 64 * 1024
"""Bytes that are parsed without letting go of Python's lock: a millisecond or two."""


def with_subaccounts(report: Report) -> bool:
    """Whether the report holds records of other accounts too."""
    return report.series.includes_subaccounts


class AccountCounter:
    """Counts as the bytes come, in blocks cut anywhere; memory is bounded."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._rest = b""
        self._column: int | None = None
        self._given_up = False

    def feed(self, block: bytes) -> None:
        """Takes the next bytes."""
        for start in range(0, len(block), _AT_ONCE):
            if self._given_up:
                return
            self._take(self._rest + block[start : start + _AT_ONCE])

    def finish(self) -> dict[str, int] | None:
        """Records by account; None where they cannot be told."""
        if not self._given_up and self._rest:
            self._count(self._rest)
        if self._given_up or self._column is None:
            return None
        return dict(self._counts)

    def _take(self, piece: bytes) -> None:
        """Counts the whole records at the beginning, and keeps what follows."""
        end = piece.rfind(b"\n") + 1
        quotes = piece.count(b'"', 0, end)
        while end and quotes % 2:  # that line feed stands inside a field
            before = piece.rfind(b"\n", 0, end - 1) + 1
            quotes -= piece.count(b'"', before, end)
            end = before
        if end:
            self._count(piece[:end])
        self._rest = piece[end:]
        self._given_up |= len(self._rest) > _LONGEST

    def _count(self, records: bytes) -> None:
        # Only the account ids matter, which are ASCII: Latin-1 takes any bytes.
        rows: Iterator[list[str]] = csv.reader(_lines(records), strict=True)
        try:
            if self._column is None:
                header = next(rows)
                self._column = [name.removeprefix("\u00ef\u00bb\u00bf") for name in header].index(
                    COLUMN
                )
            counts = Counter(map(itemgetter(self._column), filter(None, rows)))
        except (csv.Error, ValueError, IndexError, StopIteration):
            self._given_up = True
            return
        self._given_up = not all(map(_may_be_id, counts))
        if not self._given_up:
            self._counts.update(counts)
            self._given_up = len(self._counts) > _MOST


def _may_be_id(text: str) -> bool:
    return len(text) <= _LONGEST_ID and text.isprintable()


def _lines(records: bytes) -> Iterable[str]:
    return records.decode("latin-1").removesuffix("\n").split("\n")
