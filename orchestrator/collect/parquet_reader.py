"""Counts the records of a Parquet file, and finds what is damaged in it. Needs pyarrow."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from orchestrator.collect.parquet_writer import pa, pq
from orchestrator.errors import CorruptArchive

READ_ROWS: Final = 5_000
"""Rows that are read at once when a file is counted."""

_MAGIC: Final = b"PAR1"


@contextmanager
def damage(words: str = "it cannot be read as Parquet") -> Iterator[None]:
    """Turns what pyarrow finds wrong with a file into a `CorruptArchive` of these words.

    An error of the disk, which has a number, stays one.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptArchive(words) from error


def rows_of(file: BinaryIO) -> int:
    """The number of records that the footer of a Parquet file tells.

    Raises:
        CorruptArchive: it is no Parquet.
        OSError: the disk.
    """
    with damage("it is not a Parquet file"):
        rows: int = pq.ParquetFile(file).metadata.num_rows
    return rows


def count_records(file: BinaryIO) -> int:
    """The records of a Parquet file, every page of it read and decoded.

    Raises:
        CorruptArchive: it is damaged, or its footer tells another number.
        OSError: the disk.
    """
    with damage():
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
        _refuse_additions(file, parquet.metadata)
        batches = parquet.iter_batches(batch_size=READ_ROWS, use_threads=False)
        rows: int = sum(batch.num_rows for batch in batches)
        told = parquet.metadata.num_rows
    if rows != told:
        raise CorruptArchive(f"its footer tells {told:,} records, and it holds {rows:,}")
    return rows


def _refuse_additions(file: BinaryIO, metadata: Any) -> None:
    """Raises `CorruptArchive` where something stands in a file that its footer does not know."""
    end = len(_MAGIC)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            begin = column.data_page_offset
            if column.dictionary_page_offset is not None:
                begin = min(begin, column.dictionary_page_offset)
            end = max(end, begin + column.total_compressed_size)
    size = file.seek(0, io.SEEK_END)
    file.seek(-8, io.SEEK_END)
    footer_bytes = int.from_bytes(file.read(4), "little")
    if end + footer_bytes + 8 != size:
        raise CorruptArchive("something stands in the Parquet file that does not belong to it")
