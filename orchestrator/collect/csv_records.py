"""Cuts a stream of CSV where records end, whatever is in them.

Readers of CSV that cut a stream at any byte alter fields that hold line breaks: a CR LF on the
border of two blocks loses its LF (https://github.com/apache/arrow/issues/51368). So blocks end with
a record here, and each can be read by itself.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from orchestrator.errors import CorruptArchive

BLOCK_BYTES: Final = 1024 * 1024
"""About how long blocks are: with shorter ones the fixed cost of reading a block shows."""

csv.field_size_limit(2**31 - 1)
"""Python's own limit, 128 KiB, would let no record with a longer field be read; it is one for the
whole process, and what is read at once here is bounded otherwise."""

MAX_HEADER_BYTES: Final = 64 * 1024
"""A hundred times as long as headers are. Longer ones are not noted: files that each have another
one must not fill the ledger."""

_MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
"""Ten thousand times as long as records are. More is not held in memory: a quote was never closed,
and the rest of the file would be."""

BLANKS: Final = b"\r\n\t "
"""What lines consist of that are no records where they stand at the end of a CSV."""

_QUOTE: Final = b'"'
_LINE_FEED: Final = b"\n"


@dataclass(slots=True, eq=False)
class RecordBlocks:
    """Takes the bytes of a CSV in pieces of any size, and gives blocks of whole records.

    A line feed ends a record where the number of quotes before it is even: quotes inside a quoted
    field are doubled (RFC 4180). Where the blocks end depends on the CSV alone, not on its pieces.
    Each byte is looked at a few times at most, so that one record of many megabytes costs no more
    than many short ones.
    """

    # a block ends with the last record that ends within so many bytes; where none does, with the
    # first that ends at all
    block_bytes: int = BLOCK_BYTES
    max_record_bytes: int = _MAX_RECORD_BYTES  # a record that is longer is refused
    _pending: bytearray = field(default_factory=bytearray)
    # of a record that is longer than a block: how far its end has been looked for, and the quotes
    # up to there
    _searched: int = 0
    _quotes: int = 0

    def push(self, piece: bytes, inside: bool | None = None) -> Iterator[bytes]:
        """Takes the next bytes; the blocks that are whole now. They must be read to their end.

        Args:
            inside: the piece ends inside a quoted field; None: that is not known, and counted.

        Raises:
            CorruptArchive: a record is far too long.
        """
        self._pending += piece
        while len(self._pending) >= self.block_bytes:
            end = self._last_end_within_block(inside) if not self._searched else None
            if end is None:
                end = self._first_end_behind_block()
            if end is None:
                if len(self._pending) > self.max_record_bytes:
                    raise CorruptArchive(
                        f"a record of the CSV is longer than {self.max_record_bytes // 1024**2} "
                        "MiB, or a quote is never closed"
                    )
                return
            yield self._take(end)

    def rest(self) -> bytes:
        """Everything that is left, once the stream has ended; its last line may lack its end."""
        return self._take(len(self._pending))

    def _last_end_within_block(self, inside: bool | None) -> int | None:
        end = self.block_bytes
        if inside is None or len(self._pending) > 2 * end:
            quotes = self._pending.count(_QUOTE, 0, end)
        else:  # all that counts is whether they are even, and there are fewer bytes behind
            quotes = self._pending.count(_QUOTE, end) + inside
        while (found := self._pending.rfind(_LINE_FEED, 0, end)) >= 0:
            quotes -= self._pending.count(_QUOTE, found, end)
            if quotes % 2 == 0:
                return found + 1
            end = found
        return None

    def _first_end_behind_block(self) -> int | None:
        while (found := self._pending.find(_LINE_FEED, self._searched)) >= 0:
            self._quotes += self._pending.count(_QUOTE, self._searched, found)
            self._searched = found + 1
            if self._quotes % 2 == 0:
                return found + 1
        self._quotes += self._pending.count(_QUOTE, self._searched)
        self._searched = len(self._pending)
        return None

    def _take(self, end: int) -> bytes:
        block = bytes(memoryview(self._pending)[:end])
        del self._pending[:end]
        self._searched = self._quotes = 0
        return block


class HeaderReader:
    """Finds the names of the columns of a CSV as it streams by.

    Attributes:
        is_done: the header has come, or is none that can be read.
        names: of the columns, in their order; empty where there is no header.
    """

    def __init__(self) -> None:
        self._begin = b""
        self.is_done = False
        self.names: tuple[str, ...] = ()

    def feed(self, block: bytes) -> None:
        """Takes the next bytes; not to be called once it is done."""
        self._begin += block[: MAX_HEADER_BYTES + 1]
        if end_of_first_record(self._begin) < len(self._begin):
            self.finish()
        self.is_done |= len(self._begin) > MAX_HEADER_BYTES

    def finish(self) -> None:
        """Nothing more comes, or nothing more is needed."""
        if self.is_done:
            return
        self.is_done = True
        header, self._begin = self._begin[: end_of_first_record(self._begin)], b""
        with suppress(UnicodeDecodeError, csv.Error):
            text = header.decode("utf-8-sig")
            self.names = tuple(next(csv.reader(io.StringIO(text, newline=""), strict=True), ()))


def end_of_first_record(block: bytes) -> int:
    """Behind the first record, such as the header; the length of the block if none ends in it."""
    quotes = start = 0
    while (found := block.find(_LINE_FEED, start)) >= 0:
        quotes += block.count(_QUOTE, start, found)
        if quotes % 2 == 0:
            return found + 1
        start = found + 1
    return len(block)
