"""Writes Parquet: typed columns, nothing altered, in bounded memory.

Needs pyarrow (the extra ``parquet``). A value that does not fit the type of its column is never
altered: `ParquetWriter.finish` raises `ColumnsDoNotFit`, and the caller writes the file again with
the columns that it names as text.
"""

import csv
import io
import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from orchestrator.collect.csv_records import (
    BLANKS,
    BLOCK_BYTES,
    MAX_HEADER_BYTES,
    RecordBlocks,
    end_of_first_record,
)
from orchestrator.collect.formats.base import (
    ColumnsDoNotFit,
    Fallback,
)
from orchestrator.core.record_columns import ColumnType, column_type
from orchestrator.errors import CorruptArchive, InputError

# Milliseconds after which freed memory goes back to the system: by default a second, in which
# hundreds of megabytes go by. pyarrow's allocator reads it once, as it is loaded.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "100")
try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq
except ImportError as missing:
    raise InputError(
        "parquet files need the library pyarrow, which is not installed; install it with"
        " `pip install 'pyarrow>=21'`, or set output.format to another format"
    ) from missing

__all__ = ["ParquetWriter", "pa", "pq", "unique"]

ROW_GROUP_ROWS: Final = 50_000
"""Rows of a row group, at most: readers skip and fetch whole row groups."""

ROW_GROUP_BYTES: Final = 5 * 1024 * 1024
"""Bytes of CSV after which a row group ends early. Two groups are in memory at a time: one that is
read, and one that is written."""

_MAX_DICTIONARY_BYTES: Final = 32 * 1024
"""A column chunk whose values do not repeat goes on without a dictionary behind so many bytes:
with one, ids take a fifth of the whole time, and more room."""

_BUFFER_BYTES: Final = 1024 * 1024
"""Bytes of Parquet that are handed to Python at once: for each piece the encoder has to wait until
no other thread runs Python."""

_BATCH_ROWS: Final = 256
"""Rows after which the encoder looks whether the dictionary has got too large."""

_ZSTD_LEVEL: Final = 1
"""Higher levels take several times as long for a few percent."""

UNTYPED_KEY: Final = "orchestrator.columns_without_type"
"""Metadata of a file: the columns that are text since a value did not fit, with commas."""

_NOTHING: Final = pa.nulls(1, pa.string())[0]
"""No value. To make a scalar of a Python object, pyarrow imports pandas where that is installed,
which takes 40 MB: so these two are made otherwise."""

_ZERO: Final = pa.Array.from_buffers(pa.int32(), 1, [None, pa.py_buffer(bytes(4))])[0]

_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    ColumnType.MONEY: pa.decimal128(18, 8),
    ColumnType.INTEGER: pa.int64(),
    Fallback.TEXT: pa.string(),
    Fallback.BYTES: pa.binary(),
}

_READ_AS: Final = {**_TYPES, ColumnType.INTEGER: pa.string()}
"""As which type a column is read first: integers as text, to see how they are written."""

_ORDERED: Final = {ColumnType.TIMESTAMP, ColumnType.MONEY, ColumnType.INTEGER}
"""Columns whose smallest and largest value in each row group the file tells."""


class _Sink(io.RawIOBase):
    """What pyarrow writes into.

    Attributes:
        abandoned: the file is of no use: what still comes is dropped. pyarrow writes its buffers
            also when it is closed after an error.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._write = write
        self._size_bytes = 0
        self.abandoned = False

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size_bytes

    def write(self, block: Any) -> int:
        piece = bytes(block)
        if not self.abandoned:
            self._write(piece)
        self._size_bytes += len(piece)
        return len(piece)


class ParquetWriter:
    """Takes the blocks of a CSV with a header, and writes Parquet into a file.

    Args:
        write: is called with the next bytes of the file, in order.
        fallbacks: columns that are not to have the type of `core.record_columns`.
        columns_if_empty: of a CSV without a byte, which has no header.
        block_bytes: records are converted in blocks of about this length.

    Attributes:
        rows: records that have been written.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        fallbacks: Mapping[str, Fallback] | None = None,
        *,
        columns_if_empty: Sequence[str] = (),
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self._sink = _Sink(write)
        self._buffer = pa.BufferedOutputStream(pa.PythonFile(self._sink, mode="w"), _BUFFER_BYTES)
        self._fallbacks = dict(fallbacks or {})
        self._blocks = RecordBlocks(block_bytes)
        self._columns_if_empty = columns_if_empty
        self._kinds: dict[str, ColumnType | Fallback] = {}
        self._writer: pq.ParquetWriter | None = None
        self._tables: list[pa.Table] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._misfits: dict[str, Fallback] = {}
        self._blank_end = b""
        self._encoder = ThreadPoolExecutor(1, "parquet")
        self._encoding: Future[None] | None = None
        # Held here until it is written, as memory is best freed by the thread that has taken it.
        self._group: pa.Table | None = None
        self.rows = 0

    def write(self, block: bytes, inside: bool | None = None) -> None:
        """Takes the next bytes of the CSV.

        Args:
            inside: they end inside a quoted field; None: that is not known.

        Raises:
            CorruptArchive: it is no CSV with as many fields in each record as in its header.
        """
        for records in self._blocks.push(block, inside):
            self._convert(records)

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Writes what is left, and the footer.

        Args:
            metadata: about the file; the columns that fell back are added.

        Raises:
            ColumnsDoNotFit: the file is of no use, and has to be written again.
            CorruptArchive: as for `write`; or there is no header.
        """
        self._convert(self._blocks.rest())
        if not self._kinds:
            self._open(self._columns_if_empty)
        if self._misfits:
            raise ColumnsDoNotFit(self._fallbacks | self._misfits)
        self._write_group(self._waiting_rows)
        assert self._writer is not None
        untyped = ",".join(sorted(self._fallbacks))
        self._wait()
        self._writer.add_key_value_metadata({**metadata, UNTYPED_KEY: untyped})
        self._writer.close()
        self._buffer.close()
        self._encoder.shutdown()
        self._writer = None

    def close(self) -> None:
        """Lets go of a file that is not finished."""
        self._sink.abandoned = True
        self._encoder.shutdown()  # waits for the row group that is being written
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if not self._buffer.closed:
            self._buffer.close()

    # --- the header -------------------------------------------------------------------------------

    def _begin(self, records: bytes) -> bytes:
        """Takes the header; the records behind it."""
        end = end_of_first_record(records)
        if end > MAX_HEADER_BYTES:  # each column takes kilobytes of memory
            raise CorruptArchive(f"the header of the CSV is longer than {MAX_HEADER_BYTES:,} bytes")
        header = records[:end]
        try:
            rows = list(
                csv.reader(io.StringIO(header.decode("utf-8-sig"), newline=""), strict=True)
            )
        except (UnicodeDecodeError, csv.Error) as error:
            raise CorruptArchive("the header of the CSV cannot be read") from error
        if len(rows) != 1 or not rows[0]:
            raise CorruptArchive("the CSV has no header")
        self._open(rows[0])
        return records[end:]

    def _open(self, names: Sequence[str]) -> None:
        self._kinds = {
            name: self._fallbacks.get(name) or column_type(name) for name in unique(names)
        }
        schema = pa.schema([(name, _TYPES[kind]) for name, kind in self._kinds.items()])
        self._writer = pq.ParquetWriter(
            self._buffer,
            schema,
            compression="zstd",
            compression_level=_ZSTD_LEVEL,
            dictionary_pagesize_limit=_MAX_DICTIONARY_BYTES,
            write_batch_size=_BATCH_ROWS,
            # Readers skip row groups by moments. Texts are spread over all of them, so theirs would
            # take time for nothing.
            write_statistics=[name for name, kind in self._kinds.items() if kind in _ORDERED],
            write_page_checksum=True,
        )

    # --- records ----------------------------------------------------------------------------------

    def _convert(self, records: bytes) -> None:
        records = self._without_blank_end(records)
        if not records:
            return
        if not self._kinds:
            records = self._begin(records)
            if not records:
                return
        if self._misfits:
            self._find_misfits(records)  # the file is of no use: only the rest of them counts
            return
        if self._encoding is not None and self._encoding.done():
            self._wait()
        try:
            table = self._read(records, list(self._kinds))
        except pa.ArrowInvalid:
            self._find_misfits(records)
            return
        self._tables.append(table)
        self._waiting_rows += table.num_rows
        self._waiting_bytes += len(records)
        if self._waiting_bytes >= ROW_GROUP_BYTES:
            self._write_group(self._waiting_rows)
        elif self._waiting_rows >= ROW_GROUP_ROWS:
            self._write_group(self._waiting_rows // ROW_GROUP_ROWS * ROW_GROUP_ROWS)

    def _without_blank_end(self, records: bytes) -> bytes:
        """The records without blank lines at their end, which count only where more follows."""
        records = self._blank_end + records
        filled = len(records.rstrip(BLANKS))
        end = records.find(b"\n", filled) + 1 or len(records)
        if not filled:
            end = 0
        self._blank_end = records[end:]
        return records[:end]

    def _write_group(self, rows: int) -> None:
        """Writes the first rows of what waits."""
        if not rows:
            return
        table = pa.concat_tables(self._tables)
        self._wait()
        self._group = table.slice(0, rows)
        self._encoding = self._encoder.submit(self._encode)
        rest = table.slice(rows)
        self._waiting_bytes = self._waiting_bytes * rest.num_rows // table.num_rows
        self._waiting_rows = rest.num_rows
        self._tables = [rest] if rest.num_rows else []
        self.rows += rows

    def _encode(self) -> None:
        # An argument would live on in the encoder's thread for a moment, and then be freed there.
        assert self._writer is not None
        self._writer.write_table(self._group, row_group_size=ROW_GROUP_ROWS)

    def _wait(self) -> None:
        """Returns when the row group that is being encoded is written."""
        if self._encoding is not None:
            encoding, self._encoding = self._encoding, None
            encoding.result()
        self._group = None

    def _read(self, records: bytes, names: Sequence[str]) -> pa.Table:
        """The records as a table of these columns.

        Raises:
            ArrowInvalid: a value does not fit its column, or a record has other fields.
        """
        table = self._parse(records, {name: _READ_AS[self._kinds[name]] for name in names})
        for position, name in enumerate(names):
            match self._kinds[name]:
                case ColumnType.MONEY:
                    table.column(position).validate(full=True)  # it is read with digits too many
                case ColumnType.INTEGER:
                    whole = _whole_numbers(table.column(position))
                    table = table.set_column(position, name, whole)
                case ColumnType.TEXT | ColumnType.TIMESTAMP | Fallback():
                    pass
        return table

    def _parse(self, records: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
        return pa_csv.read_csv(
            pa.py_buffer(records),
            read_options=pa_csv.ReadOptions(
                column_names=list(self._kinds), block_size=len(records) + 1, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""],
                strings_can_be_null=False,
                check_utf8=not _is_utf8(records),
            ),
        )

    def _find_misfits(self, records: bytes) -> None:
        """Which columns of these records do not fit their types.

        Raises:
            CorruptArchive: not the types are the trouble: the records are no such CSV.
        """
        for name in self._kinds:
            if self._misfits.get(name) is Fallback.BYTES:
                continue
            if name in self._misfits or not self._reads(records, name):
                is_text = self._parses(records, name, pa.string())
                self._misfits[name] = Fallback.TEXT if is_text else Fallback.BYTES
        if not self._misfits or not self._parses(records, next(iter(self._kinds)), pa.binary()):
            raise CorruptArchive("a record of the CSV has other fields than its header")

    def _reads(self, records: bytes, name: str) -> bool:
        try:
            self._read(records, [name])
        except pa.ArrowInvalid:
            return False
        return True

    def _parses(self, records: bytes, name: str, kind: pa.DataType) -> bool:
        try:
            self._parse(records, {name: kind})
        except pa.ArrowInvalid:
            return False
        return True


def unique(names: Sequence[str]) -> list[str]:
    """The names of columns as a file has them: one that comes again gets a number."""
    taken = set(names)
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        free = name
        while seen[name] > 1 and (free := f"{name}_{seen[name]}") in taken:
            seen[name] += 1
        taken.add(free)
        result.append(free)
    return result


def _is_utf8(records: bytes) -> bool:
    """Whether all is UTF-8: then each field is, and need not be looked at by itself."""
    if records.isascii():
        return True
    ends = pa.py_buffer(struct.pack("=2i", 0, len(records)))
    text = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(records)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _whole_numbers(texts: Any) -> Any:
    """A column of text as integers; empty text is no value.

    Raises:
        ArrowInvalid: one of them is none, or written otherwise, as 007 or 0x10.
    """
    given = pc.if_else(pc.equal(pc.binary_length(texts), _ZERO), _NOTHING, texts)
    numbers = pc.cast(given, pa.int64())
    if not pc.all(pc.equal(pc.cast(numbers, pa.string()), given), min_count=0).as_py():
        raise pa.ArrowInvalid("a value is not written as a whole number")
    return numbers
