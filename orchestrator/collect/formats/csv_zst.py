"""``csv.zst``: the CSV in Zstandard (RFC 8878), one frame with a checksum.

Python 3.14 has it in the standard library; older ones need the extra ``zst``.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final

from orchestrator.collect.formats.base import FileSubject, OutputFormat, PackedFile, Writer
from orchestrator.collect.inflate import BLOCK
from orchestrator.collect.safe_open import read_blocks
from orchestrator.errors import CorruptArchive, InputError

_LEVEL: Final = 3  # The library's own default: smaller than gzip's level 6, several times as fast.


def _library() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:  # not installed, or built without it
            continue
    raise InputError(
        "csv.zst files need the library backports.zstd, which is not installed; install it with"
        " `pip install 'backports.zstd>=1'`, or set output.format to another format"
    )


_ZSTD: Final = _library()


class _CsvZst(OutputFormat):
    def open(self, path: Path, subject: FileSubject) -> Writer:  # noqa: ARG002 - types no column
        parameter = _ZSTD.CompressionParameter
        options = {parameter.compression_level: _LEVEL, parameter.checksum_flag: 1}
        return PackedFile(path, _ZSTD.ZstdCompressor(options=options))

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        stream = _ZSTD.ZstdDecompressor()
        try:
            for piece in read_blocks(file):
                if stream.eof:
                    raise CorruptArchive("something follows the end of the zstd file")
                yield stream.decompress(piece, BLOCK)
                while not stream.needs_input and not stream.eof:
                    yield stream.decompress(b"", BLOCK)
        except _ZSTD.ZstdError as error:
            raise CorruptArchive("the zstd file's bytes are damaged") from error
        if not stream.eof:
            raise CorruptArchive("the zstd file's bytes end too early: they are cut off")
        if stream.unused_data:
            raise CorruptArchive("something follows the end of the zstd file")


FORMAT: Final = _CsvZst()
