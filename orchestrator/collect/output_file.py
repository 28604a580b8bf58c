"""Opens the file of a report for writing: in its format, with the rules for its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect.column_filter import ColumnFilter

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.collect.formats.base import FileSubject, OutputFormat, Writer


def open_writer(output_format: OutputFormat, path: Path, subject: FileSubject) -> Writer:
    """A new file for the CSV of a report; columns that its rules name do not get into it.

    Raises:
        OSError: the disk.
    """
    writer = output_format.open(path, subject)
    if not subject.rules:
        return writer
    return _FilteredFile(writer, ColumnFilter(subject.rules, subject.hash_key))


class _FilteredFile:
    """A `Writer` that passes the CSV on without the clear values of some columns."""

    def __init__(self, writer: Writer, columns: ColumnFilter) -> None:
        self._writer = writer
        self._columns = columns

    def write(self, block: bytes) -> None:
        if rest := self._columns.push(block):
            self._writer.write(rest)

    def take_packed(self, piece: bytes) -> None:
        self._writer.take_packed(piece)

    def finish(self) -> None:
        if rest := self._columns.finish():
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
