"""Counts the records of a published file, whatever its form."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, assert_never

from orchestrator.collect import inflate, safe_open
from orchestrator.collect.archive import read_member
from orchestrator.collect.formats import read_blocks
from orchestrator.collect.record_counter import RecordCounter
from orchestrator.core.settings import Format
from orchestrator.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import BinaryIO

_STEP: Final = 32 * 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


def count_rows(path: Path, form: Format) -> Generator[None, None, int]:
    """The records of a file, leniently, as it may be one that a person took as it was; in steps.

    Raises:
        CorruptArchive: its bytes cannot be unpacked.
        OutputError: a form that cannot be counted yet.
        OSError: the disk.
    """
    counter = RecordCounter()
    since_pause = 0
    with safe_open.read(path) as file:
        for block in csv_blocks(file, form):
            counter.feed(block)
            since_pause += len(block)
            if since_pause >= _STEP:
                since_pause = 0
                yield
    return counter.finish_leniently()


def csv_blocks(file: BinaryIO, form: Format) -> Iterator[bytes]:
    """The CSV of a published file, in blocks.

    Raises:
        CorruptArchive: its bytes cannot be unpacked.
        OutputError: a form that cannot be read yet.
    """
    match form:
        case Format.CSV:
            return read_blocks(file)
        case Format.CSV_GZ:
            return inflate.inflated(read_blocks(file), _GZIP, "the gzip file's bytes")
        case Format.ZIP:
            member = read_member(file)
            inflate.check_size(member, None)
            return inflate.blocks(file, member)
        case Format.PARQUET:
            raise OutputError("the records of a parquet file cannot be counted yet")
    assert_never(form)
