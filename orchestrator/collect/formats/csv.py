"""``csv``: the CSV as it stands in the archive, byte for byte."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect.archive import Member
from orchestrator.collect.formats.base import FileSubject, HashingFile, OutputFormat, Writer
from orchestrator.collect.safe_open import read_blocks


class _Csv(OutputFormat):
    def open(self, path: Path, subject: FileSubject) -> Writer:  # noqa: ARG002 - types no column
        return HashingFile(path)

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        return read_blocks(file)

    def expected_bytes(self, member: Member) -> int:
        return member.size_bytes


FORMAT: Final = _Csv()
