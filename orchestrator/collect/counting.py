"""Counts the records of a CSV as it streams by, in all and by account.

It never changes a byte, and says nothing of whether a count is right.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

from orchestrator.collect.csv_records import BLANKS, RecordBlocks
from orchestrator.errors import CorruptArchive

_ALL_BUT_QUOTES_AND_LINE_FEEDS: Final = bytes(byte for byte in range(256) if byte not in b'"\n')

ACCOUNT_COLUMN: Final = "account_id"
_MAX_RECORD_BYTES: Final = 2 * 1024 * 1024  # Without a record's end accounts stay unknown.
_MAX_ACCOUNTS: Final = 10_000  # No primary account has as many subaccounts.
_MAX_ID_LENGTH: Final = 32  # Characters; an account's id has 8, what is longer is something else.
_PARSED_BYTES: Final = 64 * 1024  # Parsed with Python's lock held: a millisecond or two.


class RecordCounter:
    """Counts records without reading fields, as the bytes come, in blocks cut anywhere.

    A record ends at a line feed outside quotes. Message bodies hold line breaks, commas and
    doubled quotes, so lines are not records. Any two quotes without a line feed between them leave
    the state at every line feed as it was, be they a doubled quote or the end of one field and the
    beginning of the next. So everything but quotes and line feeds is dropped, then quotes in
    pairs; hardly anything is left to look at.

    Attributes:
        inside: what has come ends inside a quoted field.
    """

    def __init__(self) -> None:
        self._ends = 0
        self._lines = 0
        self.inside = False
        self._is_blank = True
        self._blank_ends = 0  # line feeds in the blanks with which the bytes so far end

    def feed(self, block: bytes) -> None:
        """Takes the next bytes."""
        if not block:
            return
        text = block.rstrip(BLANKS)
        tail = block.count(b"\n", len(text))
        self._blank_ends = tail if text else self._blank_ends + tail
        self._is_blank &= not text
        rest = block.translate(None, _ALL_BUT_QUOTES_AND_LINE_FEEDS).replace(b'""', b"")
        pieces = rest.split(b'"')
        # Pieces between quotes alternate between outside and inside; each is line feeds alone.
        self._ends += sum(map(len, pieces[self.inside :: 2]))
        self._lines += len(rest) - (len(pieces) - 1)
        self.inside ^= len(pieces) % 2 == 0

    def finish(self) -> int:
        """The records, the header line not counted; 0 for a file without a single byte.

        A last record counts without its line feed, CR LF counts once, and blank lines at the end
        are no records.

        Raises:
            CorruptArchive: the last quote was never closed.
        """
        if self.inside:
            raise CorruptArchive("the CSV ends inside a quoted field: it is cut or damaged")
        return self._without_header(self._ends)

    def finish_leniently(self) -> int:
        """As `finish`; but where the last quote was never closed, lines are counted instead.

        For files that a person has taken as they are.
        """
        return self._without_header(self._lines if self.inside else self._ends)

    def _without_header(self, ends: int) -> int:
        # The first line feed of those at the end may be the last record's; the header has one.
        return 0 if self._is_blank else max(0, ends - self._blank_ends)


class AccountCounter:
    """Counts records by account, for reports that hold those of subaccounts too.

    Takes blocks cut anywhere, in bounded memory. Best effort: a file of which the accounts cannot
    be told is a file all the same, so nothing here fails; the result is None instead.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._blocks = RecordBlocks(_PARSED_BYTES, _MAX_RECORD_BYTES)
        self._column: int | None = None
        self._given_up = False

    def feed(self, block: bytes) -> None:
        """Takes the next bytes."""
        if self._given_up:
            return
        try:
            for records in self._blocks.push(block):
                self._count(records)
        except CorruptArchive:
            self._given_up = True

    def finish(self) -> dict[str, int] | None:
        """Records by account; None where they cannot be told."""
        if rest := self._blocks.rest():
            self._count(rest)
        if self._given_up or self._column is None:
            return None
        return dict(self._counts)

    def _count(self, records: bytes) -> None:
        if self._given_up:
            return
        # Only the account ids matter, which are ASCII: Latin-1 takes any bytes.
        rows: Iterator[list[str]] = csv.reader(_lines(records), strict=True)
        try:
            if self._column is None:
                header = next(rows)
                self._column = [name.removeprefix("\u00ef\u00bb\u00bf") for name in header].index(
                    ACCOUNT_COLUMN
                )
            counts = Counter(map(itemgetter(self._column), filter(None, rows)))
        except (csv.Error, ValueError, IndexError, StopIteration):
            self._given_up = True
            return
        self._given_up = not all(map(_may_be_id, counts))
        if not self._given_up:
            self._counts.update(counts)
            self._given_up = len(self._counts) > _MAX_ACCOUNTS


def _may_be_id(text: str) -> bool:
    return len(text) <= _MAX_ID_LENGTH and text.isprintable()


def _lines(records: bytes) -> Iterable[str]:
    return records.decode("latin-1").removesuffix("\n").split("\n")
