"""``parquet``: the records with typed columns (see `collect.parquet_writer`)."""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from orchestrator.collect import safe_open
from orchestrator.collect.formats.base import (
    FileContent,
    FileSubject,
    HashingFile,
    OutputFormat,
    Writer,
)
from orchestrator.collect.parquet_reader import READ_ROWS, count_records, damage, rows_of
from orchestrator.collect.parquet_writer import ParquetWriter, pa, pq, unique
from orchestrator.core.file_columns import FileColumn, FileColumns
from orchestrator.core.record_columns import column_type, columns_of


class _ParquetFile(Writer):
    """A `Writer` of Parquet."""

    def __init__(self, path: Path, subject: FileSubject) -> None:
        self._path = path
        self._facts = subject.facts
        self._file = HashingFile(path)
        self._writer = ParquetWriter(
            self._file.write,
            subject.fallbacks,
            columns_if_empty=columns_of(subject.product, subject.direction),
        )

    def write(self, block: bytes, inside: bool | None = None) -> None:
        self._writer.write(block, inside)

    def finish(self) -> FileContent:
        self._writer.finish(self._facts)
        content = self._file.finish()
        with safe_open.read(self._path) as file:
            if rows_of(file) != self._writer.rows:
                raise OSError(errno.EIO, "the Parquet file does not hold what was written")
        return content._replace(rows=self._writer.rows)

    def close(self) -> None:
        self._writer.close()
        self._file.close()


class _Parquet(OutputFormat):
    keeps_bytes = False

    def open(self, path: Path, subject: FileSubject) -> Writer:
        return _ParquetFile(path, subject)

    def columns(self, names: Sequence[str], subject: FileSubject) -> FileColumns:
        names = unique(names or columns_of(subject.product, subject.direction))
        return tuple(
            FileColumn(name, (subject.fallbacks.get(name) or column_type(name)).value)
            for name in names
        )

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        with damage():
            parquet = pq.ParquetFile(file)
            if not parquet.schema_arrow.names:
                return  # of an empty CSV of an unknown product
            yield _csv_line(parquet.schema_arrow.names)
            for batch in parquet.iter_batches(batch_size=READ_ROWS, use_threads=False):
                columns = [_texts(column) for column in batch.columns]
                yield b"".join(map(_csv_line, zip(*columns, strict=True)))

    def count(self, file: BinaryIO) -> int:
        return count_records(file)


def _texts(column: Any) -> list[str | bytes]:
    """The values of a column as a CSV has them."""
    values = column.to_pylist()
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return list(values)
    if pa.types.is_timestamp(column.type):
        return ["" if value is None else value.isoformat() for value in values]
    if pa.types.is_decimal(column.type):
        return ["" if value is None else f"{value.normalize():f}" for value in values]
    return ["" if value is None else str(value) for value in values]


def _csv_line(fields: Sequence[str | bytes]) -> bytes:
    quoted = (
        (value if isinstance(value, bytes) else value.encode()).replace(b'"', b'""')
        for value in fields
    )
    return b'"' + b'","'.join(quoted) + b'"\n'


FORMAT: Final = _Parquet()
