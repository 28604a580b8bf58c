"""One pass from the archive to the file in its published form: unpack, check, count, hash, write.

Work in steps: each function here is a generator that pauses every few dozen megabytes, so that
whoever drives it in a thread can stop between two steps.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from orchestrator.collect import inflate
from orchestrator.collect.account_counter import AccountCounter
from orchestrator.collect.archive import read_member
from orchestrator.collect.formats import open_output, read_blocks
from orchestrator.collect.record_counter import RecordCounter
from orchestrator.core.settings import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path
    from typing import BinaryIO


_STEP: Final = 32 * 1024 * 1024
"""Bytes of CSV between two pauses: some tens of milliseconds (gzip: half a second)."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion found and made; records by account only where they were asked for."""

    rows: int
    size_bytes: int
    sha256: str
    accounts: dict[str, int] | None = None


def convert(
    archive: BinaryIO,
    output: Path,
    form: Format,
    items_count: int | None,
    *,
    lenient: bool = False,
    by_account: bool = False,
    room: Callable[[int], None] | None = None,
) -> Generator[None, None, Converted]:
    """Checks an archive and writes its CSV in the published form.

    Args:
        archive: as it came from the API, open for reading.
        output: the file to write; not touched for `Format.ZIP`, where the archive is the file.
        form: the published form.
        items_count: bounds what may be unpacked; it is not compared with the count here.
        lenient: takes a CSV that ends inside a quoted field, too.
        by_account: counts the records of each account as well, which takes its time.
        room: is told how many bytes are about to be written, about, and may raise.

    Returns:
        The records counted; hash and size of the published form.

    Raises:
        CorruptArchive: structure, packed bytes, CRC or quotes are wrong.
        OSError: the disk.
    """
    member = read_member(archive)
    inflate.check_size(member, items_count)
    if room is not None:
        room(member.size_bytes if form is Format.CSV else member.packed_bytes)
    written = open_output(form, output)
    with contextlib.nullcontext() if written is None else contextlib.closing(written):
        counter = RecordCounter()
        by_whom = AccountCounter() if by_account else None
        since_pause = 0
        for block in inflate.blocks(archive, member):
            counter.feed(block)
            if by_whom is not None:
                by_whom.feed(block)
            if written is not None:
                written.write(block)
            since_pause += len(block)
            if since_pause >= _STEP:
                since_pause = 0
                yield
        rows = counter.finish_leniently() if lenient else counter.finish()
        accounts = by_whom.finish() if by_whom is not None else None
        if written is not None:
            written.finish()
            return Converted(rows, written.size_bytes, written.sha256, accounts)
    digest = yield from hash_in_steps(archive)
    return Converted(rows, archive.seek(0, 2), digest, accounts)


def hash_in_steps(file: BinaryIO) -> Generator[None, None, str]:
    """The SHA-256 of a file, in hex, from its first byte."""
    digest = hashlib.sha256()
    since_pause = 0
    file.seek(0)
    for block in read_blocks(file):
        digest.update(block)
        since_pause += len(block)
        if since_pause >= _STEP:
            since_pause = 0
            yield
    return digest.hexdigest()
