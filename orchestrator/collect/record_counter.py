"""Counts the records of a CSV without reading its fields.

A record ends at a line feed outside quotes. Message bodies hold line breaks, commas and doubled
quotes, so lines are not records. Any two quotes without a line feed between them leave the state
at every line feed as it was, be they a doubled quote or the end of one field and the beginning of
the next. So everything but quotes and line feeds is dropped, then quotes in pairs; hardly
anything is left to look at.
"""

from __future__ import annotations

from typing import Final

from orchestrator.errors import CorruptArchive

_BLANKS: Final = b"\r\n\t "
_BORING: Final = bytes(byte for byte in range(256) if byte not in b'"\n')


class RecordCounter:
    """Counts as the bytes come, in blocks cut anywhere."""

    def __init__(self) -> None:
        self._ends = 0
        self._lines = 0
        self._inside = False
        self._is_blank = True
        self._blank_ends = 0  # line feeds with which the bytes so far end, and nothing but blanks

    def feed(self, block: bytes) -> None:
        """Takes the next bytes."""
        if not block:
            return
        text = block.rstrip(_BLANKS)
        tail = block.count(b"\n", len(text))
        self._blank_ends = tail if text else self._blank_ends + tail
        self._is_blank &= not text
        rest = block.translate(None, _BORING).replace(b'""', b"")
        pieces = rest.split(b'"')
        # Pieces between quotes alternate between outside and inside; each is line feeds alone.
        self._ends += sum(map(len, pieces[self._inside :: 2]))
        self._lines += len(rest) - (len(pieces) - 1)
        self._inside ^= len(pieces) % 2 == 0

    def finish(self) -> int:
        """The records, the header line not counted; 0 for a file without a single byte.

        A last record counts without its line feed, CR LF counts once, and blank lines at the end
        are no records.

        Raises:
            CorruptArchive: the last quote was never closed.
        """
        if self._inside:
            raise CorruptArchive("the CSV ends inside a quoted field: it is cut or damaged")
        return self._without_header(self._ends)

    def finish_leniently(self) -> int:
        """As `finish`; but where the last quote was never closed, lines are counted instead.

        For files that a person has taken as they are.
        """
        return self._without_header(self._lines if self._inside else self._ends)

    def _without_header(self, ends: int) -> int:
        # The first line feed of those at the end may be the last record's; the header has one.
        return 0 if self._is_blank else max(0, ends - self._blank_ends)
