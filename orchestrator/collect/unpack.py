"""Unpacks an archive while it still comes: inflate, count, hash, write, all in one pass.

The archive's directory stands at its end, so only then can the file be judged. Until then this pass
works within strict bounds: it never writes more than the checks would allow for the bytes that have
come so far. `agrees` says at the end whether it has seen exactly what the directory promises. If
not, or if the pass has given up, the archive on the disk is read again from its beginning by
`convert`, whose result counts.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from orchestrator.collect import disk, inflate
from orchestrator.collect.archive import DEFLATED, Member, read_start
from orchestrator.collect.formats.base import FileSubject, OutputFormat
from orchestrator.collect.inflate import Inflater
from orchestrator.collect.output_file import Converted, OutputFile

SLICE: Final = 256 * 1024  # Packed bytes that the library is given at once: about a block.

BATCH: Final = 1024 * 1024  # Bytes of CSV from thread to thread: a millisecond of work.


class StreamingUnpacker:
    """Unpacks one archive as it arrives.

    `take_packed`, `unpack`, `count` and `store` may run side by side, each in order.

    Args:
        output: the file to write; not touched where the archive is the file.
        items_count: bounds what may be unpacked.
        reserve: called with the number of bytes before they are written; may raise `NoRoom`.

    Attributes:
        given_up: this archive cannot be unpacked in one pass; what comes is ignored.
    """

    def __init__(
        self,
        output: Path,
        output_format: OutputFormat,
        items_count: int | None,
        subject: FileSubject,
        *,
        by_account: bool,
        inflater: Inflater,
        reserve: Callable[[int], None] | None = None,
    ) -> None:
        self._reserve = reserve
        self._inflater = inflater
        self._largest = inflate.largest_csv(items_count)
        self._stream = inflater.raw()
        self._header: bytes | None = b""  # None: it has been read
        self._offset = 0
        self._fed = 0
        self._size_bytes = 0
        self._promised: int | None = None
        self._crc = 0
        self._output = output
        self._is_archive = output_format.is_archive
        self._file = OutputFile(output, output_format, subject, by_account=by_account)
        self.given_up = False

    # --- while the archive comes ------------------------------------------------------------------

    def take_packed(self, pieces: Sequence[bytes]) -> None:
        """Takes the next bytes of the archive as they came, for their hash."""
        for piece in pieces:
            self._file.take_packed(piece)

    def unpack(self, pieces: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Takes the next bytes of the archive; yields the next bytes of the CSV, in batches."""
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

    def count(self, batch: Sequence[bytes]) -> list[tuple[bytes, bool]]:
        """Counts the records of a batch of `unpack`; its blocks as `store` takes them."""
        return [] if self.given_up else [(block, self._file.count(block)) for block in batch]

    def store(self, batch: Sequence[tuple[bytes, bool]]) -> None:
        """Writes a batch of `count` to the file.

        Raises:
            NoRoom: it may not be written.
            OutputError: the disk.
        """
        if not self.given_up and not self._is_archive:
            if self._reserve is not None:
                self._reserve(sum(len(block) for block, _ in batch))
            with disk.translate_os_errors(self._output, "write"):
                for block, inside in batch:
                    self._file.write(block, inside)

    def take(self, pieces: Sequence[bytes]) -> None:
        """Hashes, unpacks, counts and stores; without a piece, what the library still holds.

        Raises:
            NoRoom: it may not be written.
            OutputError: the disk.
        """
        self.take_packed(pieces)
        for batch in self.unpack(pieces or [b""]):
            self.store(self.count(batch))

    def _blocks(self, pieces: Sequence[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            packed = piece if self._header is None else self._behind_header(piece)
            if packed is not None:
                # Of a whole piece the rest would be copied after each block.
                for at in range(0, max(len(packed), 1), SLICE):
                    if not self.given_up:
                        yield from self._inflated(packed[at : at + SLICE])

    def _behind_header(self, piece: bytes) -> bytes | None:
        """The packed bytes at the end of a piece, once the header is whole."""
        assert self._header is not None
        self._header += piece
        start = read_start(self._header)
        if start is None or len(self._header) < start.offset:
            return None
        packed, self._header = self._header[start.offset :], None
        self._offset, self._promised = start.offset, start.size_bytes
        self.given_up = not start.deflated
        return packed

    def _inflated(self, packed: bytes) -> Iterator[bytes]:
        """What a piece unpacks to. An empty piece asks for what the library still holds."""
        stream = self._stream
        waiting = packed
        try:
            ended = stream.eof
            while not ended:
                fed = len(waiting)
                block = stream.decompress(waiting, inflate.BLOCK)
                # At the end zlib puts the rest into both, or only into the latter.
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
        except self._inflater.error:
            self.given_up = True

    def _take(self, block: bytes) -> None:
        self._size_bytes += len(block)
        allowed = inflate.max_unpacked(self._fed)
        if self._promised is not None:
            allowed = min(allowed, self._promised)
        if self._largest is not None:
            allowed = min(allowed, self._largest)
        if self._size_bytes > allowed:
            self.given_up = True
            return
        self._crc = self._inflater.crc32(block, self._crc)

    # --- when it has come -------------------------------------------------------------------------

    def agrees(self, member: Member) -> bool:
        """Whether what has been unpacked is the archive's file to the last bit.

        Raises:
            OutputError: the disk.
        """
        self.take([])
        return (
            not self.given_up
            and self._header is None
            and self._stream.eof
            and (member.method, member.offset) == (DEFLATED, self._offset)
            and (member.packed_bytes, member.size_bytes) == (self._fed, self._size_bytes)
            and member.crc == self._crc
        )

    def finish(self) -> Converted:
        """As `OutputFile.finish`; `agrees` has said that the file is whole."""
        return self._file.finish()

    def abandon(self) -> None:
        """Closes and removes the file; may be called again."""
        self.given_up = True
        with contextlib.suppress(OSError):  # of a full disk: what is buffered cannot be written
            self._file.close()
        if not self._is_archive:
            self._output.unlink(missing_ok=True)
