"""Unpacks an archive while it still comes: inflate, count, hash, write, all in one pass.

The archive's directory stands at its end, so that only then it is known whether the file is what
it should be. Until then this pass is a guess under strict bounds: it never writes more than the
checks would allow for what has come so far. `agrees` says at the end whether it has seen exactly
what the directory promises. If not, or if the pass has given up, the spooled archive is looked at
from its beginning (see `convert`), whose word counts.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from orchestrator.collect import disk, inflate
from orchestrator.collect.archive import DEFLATED, read_start
from orchestrator.collect.convert import Converted
from orchestrator.collect.counting import AccountCounter, RecordCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from orchestrator.collect.archive import Member
    from orchestrator.collect.formats.base import OutputFormat
    from orchestrator.collect.inflate import Inflater

SLICE: Final = 32 * 1024
"""Packed bytes that the engine is given at once."""

BATCH: Final = 2 * 1024 * 1024
"""Bytes of CSV that one thread hands to the next: a step of a millisecond or two."""


class StreamingUnpacker:
    """One archive on its way. `unpack` and `store` may run side by side, each in order.

    Args:
        output: the file to write; not touched where the archive is the file.
        output_format: of the published file.
        items_count: bounds what may be unpacked.
        by_account: counts the records of each account as well.
        engine: inflates.
        room: is told how many bytes are about to be written, and may raise `NoRoom`.

    Attributes:
        given_up: this archive is nothing for one pass; what comes is ignored.
    """

    def __init__(
        self,
        output: Path,
        output_format: OutputFormat,
        items_count: int | None,
        *,
        by_account: bool,
        engine: Inflater,
        room: Callable[[int], None] | None = None,
    ) -> None:
        self._room = room
        self._engine = engine
        self._largest = inflate.largest_csv(items_count)
        self._stream = engine.raw()
        self._begin: bytes | None = b""  # None: the header has been read
        self._offset = 0
        self._fed = 0
        self._size_bytes = 0
        self._promised: int | None = None
        self._crc = 0
        self._counter = RecordCounter()
        self._accounts = AccountCounter() if by_account else None
        self._output = output
        self._is_archive = output_format.is_archive
        self._writer = output_format.open(output)
        self.given_up = False

    # --- while the archive comes ------------------------------------------------------------------

    def unpack(self, pieces: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Takes the next bytes of the archive; the CSV's next bytes, in batches."""
        batch: list[bytes] = []
        held = 0
        for block in self._blocks(pieces):
            batch.append(block)
            held += len(block)
            if held >= BATCH:
                yield batch
                batch, held = [], 0
        if batch:
            yield batch

    def store(self, batch: Sequence[bytes]) -> None:
        """Takes a batch of `unpack` into the file.

        Raises:
            NoRoom: it may not be written.
            OutputError: the disk.
        """
        if not self.given_up and not self._is_archive:
            if self._room is not None:
                self._room(sum(map(len, batch)))
            with disk.translate_os_errors(self._output, "write"):
                for block in batch:
                    self._writer.write(block)

    def _blocks(self, pieces: Sequence[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._writer.take_packed(piece)
            packed = piece if self._begin is None else self._behind_header(piece)
            if packed is not None:
                # Whole pieces would be copied again and again, as what is left of them.
                for at in range(0, max(len(packed), 1), SLICE):
                    if not self.given_up:
                        yield from self._inflated(packed[at : at + SLICE])

    def _behind_header(self, piece: bytes) -> bytes | None:
        """The packed bytes at the end of a piece, once the header is whole."""
        assert self._begin is not None
        self._begin += piece
        start = read_start(self._begin)
        if start is None or len(self._begin) < start.offset:
            return None
        packed, self._begin = self._begin[start.offset :], None
        self._offset, self._promised = start.offset, start.size_bytes
        self.given_up = not start.deflated
        return packed

    def _inflated(self, packed: bytes) -> Iterator[bytes]:
        """What a piece unpacks to. An empty one asks for what the engine still holds."""
        stream = self._stream
        waiting = packed
        try:
            ended = stream.eof
            while not ended:
                fed = len(waiting)
                block = stream.decompress(waiting, inflate.BLOCK)
                # At the end both hold what is left, or only the latter: zlib's word is not plain.
                ended = stream.eof
                waiting = stream.unused_data if ended else stream.unconsumed_tail
                self._fed += fed - len(waiting)
                if block:
                    self._take(block)
                    if self.given_up:
                        return
                    yield block
                if not waiting and (packed or not block):
                    return
        except self._engine.error:
            self.given_up = True

    def _take(self, block: bytes) -> None:
        self._size_bytes += len(block)
        allowed = inflate.most_of(self._fed)
        if self._promised is not None:
            allowed = min(allowed, self._promised)
        if self._largest is not None:
            allowed = min(allowed, self._largest)
        if self._size_bytes > allowed:
            self.given_up = True
            return
        self._crc = self._engine.crc32(block, self._crc)
        self._counter.feed(block)
        if self._accounts is not None:
            self._accounts.feed(block)

    # --- when it has come -------------------------------------------------------------------------

    def agrees(self, member: Member) -> bool:
        """Whether what has been unpacked is the archive's file to the last bit.

        Raises:
            OutputError: the disk.
        """
        for batch in self.unpack([b""]):  # what the engine still holds
            self.store(batch)
        return (
            not self.given_up
            and self._begin is None
            and self._stream.eof
            and (member.method, member.offset) == (DEFLATED, self._offset)
            and (member.packed_bytes, member.size_bytes) == (self._fed, self._size_bytes)
            and member.crc == self._crc
        )

    def finish(self) -> Converted:
        """The file is whole; `agrees` has said so.

        Raises:
            CorruptArchive: the CSV's last quote was never closed.
            OSError: the disk.
        """
        rows = self._counter.finish()
        accounts = self._accounts.finish() if self._accounts is not None else None
        self._writer.finish()
        return Converted(rows, self._writer.size_bytes, self._writer.sha256, accounts)

    def abandon(self) -> None:
        """Lets go of the file and removes it; may be called again."""
        self.given_up = True
        with contextlib.suppress(OSError):  # of a full disk: what is buffered cannot be written
            self._writer.close()
        if not self._is_archive:
            self._output.unlink(missing_ok=True)
