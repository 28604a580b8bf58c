"""Makes the published form of an archive in one pass: unpack, check, count, hash, write.

Work in steps: each function here is a generator that pauses every few dozen megabytes, so that
whoever drives it in a thread can stop between two steps.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.cancellable_thread import STEP_BYTES
from orchestrator.collect.counting import AccountCounter, RecordCounter
from orchestrator.collect.formats.base import ColumnsDoNotFit, FileSubject, OutputFormat
from orchestrator.collect.output_file import open_writer
from orchestrator.collect.safe_open import read_blocks
from orchestrator.core.column_changes import ColumnChanges

_MOST_PASSES: Final = 3
"""Passes over one archive: one that finds what does not fit, one that writes, and one to spare."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The result of a conversion; records by account only where they were asked for."""

    rows: int
    size_bytes: int
    sha256: str
    accounts: dict[str, int] | None = None
    columns: ColumnChanges | None = None


def convert(
    archive: BinaryIO,
    output: Path,
    output_format: OutputFormat,
    items_count: int | None,
    subject: FileSubject,
    *,
    lenient: bool = False,
    by_account: bool = False,
    reserve: Callable[[int], None] | None = None,
) -> Generator[None, None, Converted]:
    """Checks an archive and writes its CSV in the published form.

    Args:
        archive: as it came from the API, open for reading.
        output: the file to write; not touched where the archive is the file.
        output_format: of the published file.
        items_count: bounds what may be unpacked; it is not compared with the count here.
        subject: what the file is about.
        lenient: takes a CSV that ends inside a quoted field, too.
        by_account: counts the records of each account as well, which takes its time.
        reserve: called with about the number of bytes of the file before; may raise `NoRoom`.

    Returns:
        The records counted; hash and size of the published form.

    Raises:
        CorruptArchive: structure, packed bytes, CRC or quotes are wrong.
        OSError: the disk.
    """
    passes = 0
    while True:
        try:
            return (
                yield from _convert(
                    archive,
                    output,
                    output_format,
                    items_count,
                    subject,
                    lenient=lenient,
                    by_account=by_account,
                    reserve=reserve,
                )
            )
        except ColumnsDoNotFit as misfit:
            passes += 1
            assert passes < _MOST_PASSES, "the first pass finds every column that does not fit"
            subject = replace(subject, fallbacks=misfit.columns)


def _convert(
    archive: BinaryIO,
    output: Path,
    output_format: OutputFormat,
    items_count: int | None,
    subject: FileSubject,
    *,
    lenient: bool,
    by_account: bool,
    reserve: Callable[[int], None] | None,
) -> Generator[None, None, Converted]:
    member = read_member(archive)
    inflate.check_size(member, items_count)
    if reserve is not None:
        reserve(output_format.expected_bytes(member))
    with contextlib.closing(open_writer(output_format, output, subject)) as writer:
        counter = RecordCounter()
        accounts = AccountCounter() if by_account else None
        since_pause = 0
        for block in inflate.blocks(archive, member):
            counter.feed(block)
            if accounts is not None:
                accounts.feed(block)
            writer.write(block)
            since_pause += len(block)
            if since_pause >= STEP_BYTES:
                since_pause = 0
                yield
        rows = counter.finish_leniently() if lenient else counter.finish()
        if output_format.is_archive:
            yield from each_block(archive, writer.take_packed)
        writer.finish()
        counted = accounts.finish() if accounts is not None else None
        return Converted(rows, writer.size_bytes, writer.sha256, counted, writer.columns)


def hash_in_steps(file: BinaryIO) -> Generator[None, None, str]:
    """The SHA-256 of a file, in hex, from its first byte."""
    digest = hashlib.sha256()
    yield from each_block(file, digest.update)
    return digest.hexdigest()


def each_block(file: BinaryIO, take: Callable[[bytes], None]) -> Generator[None, None, None]:
    """Passes on a file from its first byte, in blocks."""
    since_pause = 0
    file.seek(0)
    for block in read_blocks(file):
        take(block)
        since_pause += len(block)
        if since_pause >= STEP_BYTES:
            since_pause = 0
            yield
