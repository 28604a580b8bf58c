"""Opens the file of a report for writing: in its format, with the rules for its columns."""

from __future__ import annotations

from pathlib import Path

from orchestrator.collect.column_filter import ColumnFilter
from orchestrator.collect.formats.base import FileSubject, OutputFormat, Writer
from orchestrator.core.column_changes import ColumnChanges


def open_writer(output_format: OutputFormat, path: Path, subject: FileSubject) -> OutputFile:
    """A new file for the CSV of a report; columns that its rules name do not get into it.

    Raises:
        OSError: the disk.
    """
    writer = output_format.open(path, subject)
    columns = ColumnFilter(subject.rules, subject.hash_key) if subject.rules else None
    return OutputFile(writer, columns, tuple(sorted(subject.fallbacks)))


class OutputFile:
    """A `Writer` that passes the CSV on, without the clear values of some columns.

    Args:
        writer: takes the CSV.
        columns: leaves columns out; None: all of them are passed on.
        without_type: columns that `writer` does not give their type.
    """

    def __init__(
        self, writer: Writer, columns: ColumnFilter | None, without_type: tuple[str, ...]
    ) -> None:
        self._writer = writer
        self._columns = columns
        self._without_type = without_type
        if columns is None:
            self.write = writer.write  # type: ignore[method-assign] # nothing in between

    def write(self, block: bytes) -> None:
        assert self._columns is not None
        if rest := self._columns.push(block):
            self._writer.write(rest)

    def take_packed(self, piece: bytes) -> None:
        self._writer.take_packed(piece)

    def finish(self) -> None:
        if self._columns is not None and (rest := self._columns.finish()):
            self._writer.write(rest)
        self._writer.finish()

    def close(self) -> None:
        self._writer.close()

    @property
    def sha256(self) -> str:
        return self._writer.sha256

    @property
    def size_bytes(self) -> int:
        return self._writer.size_bytes

    @property
    def columns(self) -> ColumnChanges | None:
        """What the file has otherwise than its CSV; None: nothing. Right after `finish`."""
        columns = self._columns
        dropped, hashed = (columns.dropped, columns.hashed) if columns is not None else ((), ())
        return ColumnChanges(dropped, hashed, self._without_type) or None
