"""Makes the published form of an archive in one pass: unpack, check, count, hash, write.

Work in steps: each function here is a generator that pauses every few dozen megabytes, so that
whoever drives it in a thread can stop between two steps.
"""

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.cancellable_thread import in_steps
from orchestrator.collect.formats.base import ColumnsDoNotFit, FileSubject, OutputFormat
from orchestrator.collect.output_file import Converted, OutputFile
from orchestrator.collect.safe_open import read_blocks

_MOST_PASSES: Final = 3
"""Passes over one archive: one that finds what does not fit, one that writes, and one to spare."""


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
        items_count: bounds what may be unpacked; it is not compared with the count here.
        lenient: takes a CSV that ends inside a quoted field, too.
        by_account: counts the records of each account as well, which takes its time.
        reserve: called with about the number of bytes of the file before; may raise `NoRoom`.

    Returns:
        The records counted; hash and size of the published form.

    Raises:
        CorruptArchive: structure, packed bytes, CRC or quotes are wrong.
        OSError: the disk.
    """
    member = read_member(archive)
    inflate.check_size(member, items_count)
    if reserve is not None:
        reserve(output_format.expected_bytes(member))
    return (
        yield from write_csv(
            partial(inflate.blocks, archive, member),
            output,
            output_format,
            subject,
            archive=archive,
            lenient=lenient,
            by_account=by_account,
        )
    )


def write_csv(
    blocks: Callable[[], Iterator[bytes]],
    output: Path,
    output_format: OutputFormat,
    subject: FileSubject,
    *,
    archive: BinaryIO | None = None,
    lenient: bool = False,
    by_account: bool = False,
) -> Generator[None, None, Converted]:
    """Writes a CSV in the published form; arguments, result and errors are those of `convert`.

    Args:
        blocks: the CSV, from its beginning at each call.
        archive: that it comes from, open for reading; None: it comes from something else.
    """
    for _ in range(_MOST_PASSES):
        file = OutputFile(output, output_format, subject, by_account=by_account)
        with contextlib.closing(file):
            try:
                yield from in_steps(blocks(), file.take)
                if archive is not None:
                    yield from each_block(archive, file.take_packed)
                return file.finish(lenient=lenient)
            except ColumnsDoNotFit as misfit:
                subject = replace(subject, fallbacks=misfit.columns)
    raise AssertionError("the first pass finds every column that does not fit")


def hash_in_steps(file: BinaryIO) -> Generator[None, None, str]:
    """The SHA-256 of a file, in hex, from its first byte."""
    digest = hashlib.sha256()
    yield from each_block(file, digest.update)
    return digest.hexdigest()


def each_block(file: BinaryIO, take: Callable[[bytes], None]) -> Generator[None, None, None]:
    """Passes on a file from its first byte, in blocks."""
    file.seek(0)
    yield from in_steps(read_blocks(file), take)
