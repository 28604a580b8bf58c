"""The seam `OutputFormat`: how the records of a report become a file, and how it is read again.

A format is one file in this package and one line in `core.settings.Format` (see `output_format`).
It must not know where files stand, what they are called or whether their content is right.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, ClassVar, NamedTuple, Protocol

from orchestrator.collect import safe_open
from orchestrator.collect.archive import Member
from orchestrator.collect.cancellable_thread import each_block
from orchestrator.collect.counting import RecordCounter
from orchestrator.collect.disk import WritebackFile
from orchestrator.core.file_columns import FileColumn, FileColumns
from orchestrator.core.model import Report
from orchestrator.core.settings import ColumnRules, OutputSettings, Secret
from orchestrator.texts import utc_text


class Fallback(Enum):
    """What a typed column becomes where a value does not fit its type."""

    TEXT = "text"
    BYTES = "bytes"
    """For a column that is no UTF-8."""


class ColumnsDoNotFit(Exception):
    """Values do not fit the types of their columns: the file has to be written again.

    Attributes:
        columns: those that must be written otherwise, in all passes so far.
    """

    def __init__(self, columns: Mapping[str, Fallback]) -> None:
        super().__init__(f"values do not fit the types of {', '.join(columns)}")
        self.columns = dict(columns)


@dataclass(frozen=True, slots=True)
class FileSubject:
    """What a file is about, for formats that type its columns or say so in the file."""

    product: str = ""  # by its canonical name; empty where it is unknown
    direction: str | None = None  # of its records; None where the product has none
    # are written into the file, where its format has a place for them
    facts: Mapping[str, str] = field(default_factory=dict)
    # columns that do not have the type that their names say
    fallbacks: Mapping[str, Fallback] = field(default_factory=dict)
    rules: ColumnRules = field(default_factory=ColumnRules)  # which columns are left out or hashed
    # of the hashes; None where `rules` has none
    hash_key: Secret | None = field(default=None, repr=False)

    @classmethod
    def of(cls, report: Report, output: OutputSettings) -> FileSubject:
        """What the file of a report is about. Equal reports make equal facts.

        Args:
            output: the settings, with the key of the hashes itself in place of its reference.
        """
        facts = {
            "orchestrator.request_id": report.request_id or "",
            "orchestrator.account_id": report.series.account_id,
            "orchestrator.product": report.series.product,
            "orchestrator.window_start": utc_text(report.window.start),
            "orchestrator.window_end": utc_text(report.window.end),
        }
        product = report.series.product
        return cls(
            product,
            report.series.direction,
            facts,
            rules=output.columns.of(product),
            hash_key=output.hash_key,
        )


class FileContent(NamedTuple):
    """A finished file: its size, and its SHA-256 in hex, taken while it was written."""

    size_bytes: int
    sha256: str
    rows: int | None = None  # records, where the format tells them apart itself


class Writer(ABC):
    """A file that is being written. Its methods are called in threads, one at a time."""

    @abstractmethod
    def write(self, block: bytes, inside: bool | None = None) -> None:
        """Takes the next bytes of the CSV, cut anywhere.

        Args:
            inside: they end inside a quoted field; None: that is not known.

        Raises:
            OSError: the disk. Nothing but `close` may be called from then on.
        """

    @abstractmethod
    def finish(self) -> FileContent:
        """Writes the rest, syncs the file and closes it.

        Raises:
            OSError: the disk.
            ColumnsDoNotFit: it has to be written again, with other types.
            CorruptArchive: the CSV has records that the format cannot hold.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the file, finished or not; may be called again."""


class OutputFormat(ABC):
    """One form in which files are published. Stateless: one object serves all reports.

    Equal records must make equal files, byte for byte, on every machine and at any time: a file
    that is fetched again after a crash is compared with the one that stands there.
    """

    is_archive: ClassVar[bool] = False
    """The published file is the archive as it came: the `Writer` writes nothing itself."""

    keeps_bytes: ClassVar[bool] = True
    """The CSV that `blocks` gives is the very one that was written, byte for byte; otherwise it has
    the same records, with equal values."""

    @abstractmethod
    def open(self, path: Path, subject: FileSubject) -> Writer:
        """A new file; whatever stands under the path gives way.

        Raises:
            OSError: the disk.
        """

    @abstractmethod
    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        """The CSV of a file of this format, in blocks, in constant memory.

        Raises:
            CorruptArchive: the file is damaged or cut, or something follows its end.
            OSError: the disk.
        """

    def count(self, file: BinaryIO) -> int:
        """The records of a file of this format.

        Lenient, as it may be a file that a person took as it was: where the last quote was never
        closed, lines are counted.

        Raises:
            CorruptArchive: as `blocks`.
            OSError: the disk.
        """
        counter = RecordCounter()
        each_block(self.blocks(file), counter.feed)
        return counter.finish_leniently()

    def columns(
        self,
        names: Sequence[str],
        subject: FileSubject,  # noqa: ARG002 - has no types
    ) -> FileColumns:
        """The columns of a file that is made of a CSV with these."""
        return _without_types(tuple(names))

    def expected_bytes(self, member: Member) -> int:
        """About how many bytes a file of an archive's records takes on the disk."""
        return member.packed_bytes


@lru_cache(maxsize=64)  # the files of a series have the same, nearly always
def _without_types(names: tuple[str, ...]) -> FileColumns:
    return tuple(map(FileColumn, names))


class HashingFile(Writer):
    """A `Writer` of the CSV as it is."""

    def __init__(self, path: Path) -> None:
        self._file = safe_open.create(path)
        self._writeback = WritebackFile(self._file)
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, block: bytes, inside: bool | None = None) -> None:  # noqa: ARG002
        self._hash.update(block)
        self.size_bytes += len(block)
        self._file.write(block)
        self._writeback.wrote(len(block))

    def finish(self) -> FileContent:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return FileContent(self.size_bytes, self._hash.hexdigest())

    def close(self) -> None:
        self._file.close()


class Packer(Protocol):
    """Compresses a stream, as `zlib.compressobj` does."""

    def compress(self, block: bytes, /) -> bytes:
        """Takes the next bytes; what can be written of the packed stream."""

    def flush(self) -> bytes:
        """The end of the packed stream."""


class PackedFile(Writer):
    """A `Writer` of the CSV compressed by a `Packer`."""

    def __init__(self, path: Path, packer: Packer) -> None:
        self._file = HashingFile(path)
        self._packer = packer

    def write(self, block: bytes, inside: bool | None = None) -> None:  # noqa: ARG002
        self._file.write(self._packer.compress(block))

    def finish(self) -> FileContent:
        self._file.write(self._packer.flush())
        return self._file.finish()

    def close(self) -> None:
        self._file.close()
