"""Makes the published form of an archive in one pass: unpack, check, count, hash, write.

All of it can be cancelled (see `cancellable_thread.each_block`).
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.cancellable_thread import each_block
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
) -> Converted:
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
    return write_csv(
        partial(inflate.blocks, archive, member),
        output,
        output_format,
        subject,
        archive=archive,
        lenient=lenient,
        by_account=by_account,
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
) -> Converted:
    """Writes a CSV in the published form; arguments, result and errors are those of `convert`.

    Args:
        blocks: the CSV, from its beginning at each call.
        archive: that it comes from, open for reading; None: it comes from something else.
    """
    for _ in range(_MOST_PASSES):
        file = OutputFile(output, output_format, subject, by_account=by_account)
        with contextlib.closing(file):
            try:
                each_block(blocks(), file.take)
                if archive is not None:
                    archive.seek(0)
                    each_block(read_blocks(archive), file.take_packed)
                return file.finish(lenient=lenient)
            except ColumnsDoNotFit as misfit:
                subject = replace(subject, fallbacks=misfit.columns)
    raise AssertionError("the first pass finds every column that does not fit")
