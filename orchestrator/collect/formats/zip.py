"""``zip``: the archive as it came from the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.formats.base import FileContent, FileSubject, OutputFormat, Writer


class _Nothing(Writer):
    """A `Writer` that writes nothing: the archive is the file."""

    def write(self, block: bytes, inside: bool | None = None) -> None:
        pass

    def finish(self) -> FileContent:
        return FileContent(0, "")

    def close(self) -> None:
        pass


class _Zip(OutputFormat):
    is_archive = True

    def open(self, path: Path, subject: FileSubject) -> Writer:  # noqa: ARG002 - the archive is moved there
        return _Nothing()

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        member = read_member(file)
        inflate.check_size(member, None)
        return inflate.blocks(file, member)


FORMAT: Final = _Zip()
