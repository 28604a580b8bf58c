"""Writes the file of a report: in its format, by the rules for its columns, its records counted."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from orchestrator.collect.column_filter import ColumnFilter
from orchestrator.collect.counting import AccountCounter, RecordCounter
from orchestrator.collect.csv_records import HeaderReader
from orchestrator.collect.formats.base import FileSubject, OutputFormat
from orchestrator.core.file_columns import ColumnChanges, FileColumns
from orchestrator.errors import CorruptArchive


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that is whole; records by account only where they were asked for."""

    rows: int
    size_bytes: int
    sha256: str
    accounts: dict[str, int] | None = None
    columns: ColumnChanges | None = None
    file_columns: FileColumns = ()
    source_sha256: str | None = None  # of the archive; None: it was made of something else


class OutputFile:
    """A new file for the CSV of a report.

    `take_packed`, `count` and `write` may run side by side, each in order.

    Args:
        path: of the file; not touched where the archive is the file.
        subject: what the file is about; columns that its rules name do not get into it.
        by_account: counts the records of each account as well, which takes its time.

    Raises:
        OSError: the disk.
    """

    def __init__(
        self, path: Path, output_format: OutputFormat, subject: FileSubject, *, by_account: bool
    ) -> None:
        self._counter = RecordCounter()
        self._accounts = AccountCounter() if by_account else None
        self._columns = ColumnFilter(subject.rules, subject.hash_key) if subject.rules else None
        self._format = output_format
        self._subject = subject
        self._header = HeaderReader()
        self._source = hashlib.sha256()
        self._source_bytes = 0
        self._writer = output_format.open(path, subject)
        self.close = self._writer.close

    def count(self, block: bytes) -> bool:
        """Counts the records of the next bytes of the CSV.

        Returns:
            Whether they end inside a quoted field.
        """
        if not self._header.is_done:
            self._header.feed(block)
        self._counter.feed(block)
        if self._accounts is not None:
            self._accounts.feed(block)
        return self._counter.inside

    def write(self, block: bytes, inside: bool) -> None:
        """Writes the next bytes of the CSV, without the clear values of some columns.

        Raises:
            CorruptArchive: its columns cannot be told apart.
            OSError: the disk.
        """
        if self._columns is not None:
            block, inside = self._columns.push(block), False
        if block:
            self._writer.write(block, inside)

    def take_packed(self, piece: bytes) -> None:
        """Takes the next bytes of the archive as it came."""
        self._source.update(piece)
        self._source_bytes += len(piece)

    def take(self, block: bytes) -> None:
        """`count` and `write`."""
        self.write(block, self.count(block))

    def finish(self, *, lenient: bool = False) -> Converted:
        """Writes the rest, syncs the file and closes it.

        Args:
            lenient: takes a CSV that ends inside a quoted field, too.

        Raises:
            CorruptArchive: the CSV's last quote was never closed, or as for `write`.
            ColumnsDoNotFit: it has to be written again, with other types.
            OSError: the disk.
        """
        rows = self._counter.finish_leniently() if lenient else self._counter.finish()
        accounts = self._accounts.finish() if self._accounts is not None else None
        dropped: tuple[str, ...] = ()
        hashed: tuple[str, ...] = ()
        if self._columns is not None:
            if rest := self._columns.finish():
                self._writer.write(rest, inside=False)
            dropped, hashed = self._columns.dropped, self._columns.hashed
        size_bytes, sha256, written = self._writer.finish()
        source_sha256 = self._source.hexdigest()
        if self._format.is_archive:
            size_bytes, sha256 = self._source_bytes, source_sha256
        if written not in (None, rows) and not lenient:
            raise CorruptArchive(
                f"its CSV has {rows:,} records by its line ends, and {written:,} by its fields"
            )
        self._header.finish()
        names = [name for name in self._header.names if name not in dropped]
        return Converted(
            rows,
            size_bytes,
            sha256,
            accounts,
            ColumnChanges(dropped, hashed, tuple(sorted(self._subject.fallbacks))) or None,
            self._format.columns(names, self._subject),
            source_sha256,
        )
