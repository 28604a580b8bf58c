"""``zip``: the archive as it came from the API."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from orchestrator.collect import inflate
from orchestrator.collect.archive import read_member
from orchestrator.collect.formats.base import FileContent, FileSubject, OutputFormat, Writer


class _ArchiveHash(Writer):
    """A `Writer` that writes nothing: it takes hash and size of the archive, which is the file."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def write(self, block: bytes, inside: bool | None = None) -> None:
        pass

    def take_packed(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size_bytes += len(piece)

    def finish(self) -> FileContent:
        return FileContent(self._size_bytes, self._hash.hexdigest())

    def close(self) -> None:
        pass


class _Zip(OutputFormat):
    is_archive = True

    def open(self, path: Path, subject: FileSubject) -> Writer:  # noqa: ARG002 - the archive is moved there
        return _ArchiveHash()

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        member = read_member(file)
        inflate.check_size(member, None)
        return inflate.blocks(file, member)


FORMAT: Final = _Zip()
