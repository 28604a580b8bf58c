"""Decodes compressed bodies piece by piece, in bounded memory.

Every call asks for plain bytes, but a server may compress all the same, or label a plain body as
compressed. So the first bytes decide before the label does: gzip begins with a magic number, a ZIP
with ``PK``, JSON with a bracket.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from multidict import CIMultiDictProxy

BLOCK: Final = 256 * 1024  # Maximum number of decoded bytes that are held at once

_GZIP: Final = b"\x1f\x8b"
_BEGIN: Final = 4  # Bytes that are needed to tell what a body is
_MAX_LAYERS: Final = 4  # Maximum number of codings that are applied to one body

_MAX_RATIO: Final = 200
"""Decoded bytes for each encoded byte, beyond which a body is taken for a decompression bomb."""

_ALWAYS_ALLOWED: Final = 64 * 1024**2  # Decoded bytes below which no ratio is too high

_ZLIB_WITH_HEADER: Final = zlib.MAX_WBITS
_ZLIB_RAW: Final = -zlib.MAX_WBITS
_ZLIB_GZIP: Final = zlib.MAX_WBITS | 16


class EncodingError(ValueError):
    """A body cannot be decoded; the text says why."""


def codings(headers: CIMultiDictProxy[str]) -> tuple[str, ...]:
    """What ``Content-Encoding`` says, in the order in which the codings were applied.

    ``identity`` is none.
    """
    if "Content-Encoding" not in headers:
        return ()
    parts = ",".join(headers.getall("Content-Encoding")).lower().split(",")
    return tuple(word for text in parts if (word := text.strip()) not in {"", "identity"})


def is_zip(begin: bytes) -> bool:
    """Whether bytes begin as a ZIP does."""
    return begin.startswith(b"PK")


def is_json(begin: bytes) -> bool:
    """Whether bytes begin as a JSON object or list does."""
    return begin.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}


@dataclass(slots=True)
class Decoder:
    """Decodes one body in blocks of at most `BLOCK` bytes, and refuses decompression bombs."""

    labels: Sequence[str]  # its codings, by its own headers
    is_plain: Callable[[bytes], bool]  # whether bytes begin as what was asked for does
    layers: int = _MAX_LAYERS  # the most codings, one around the other, that are taken off
    _begin: bytes | None = b""  # None: the first bytes were judged
    _inflate: _Inflate | None = None
    _inner: Decoder | None = None

    @property
    def decodes(self) -> bool:
        """Whether what comes out is not what goes in."""
        return self._inflate is not None

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The next bytes.

        Raises:
            EncodingError: they are damaged, or a bomb.
        """
        if self._begin is not None:
            self._begin += piece
            if len(self._begin) < _BEGIN:
                return
            piece, self._begin = self._begin, None
            self._judge(piece)
        yield from self._through(piece)

    def finish(self) -> Iterator[bytes]:
        """The last bytes, after the last piece.

        Raises:
            EncodingError: it is cut off, damaged, or a bomb.
        """
        if self._begin is not None:
            piece, self._begin = self._begin, None
            self._judge(piece)
            yield from self._through(piece)
        if self._inflate is not None:
            assert self._inner is not None
            self._inflate.check_end()
            yield from self._inner.finish()

    def _through(self, piece: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            if piece:
                yield piece
            return
        assert self._inner is not None
        for block in self._inflate.feed(piece):
            yield from self._inner.feed(block)

    def _judge(self, begin: bytes) -> None:
        if not self.layers:
            return
        rest = list(self.labels)
        if begin.startswith(_GZIP):
            for name in ("gzip", "x-gzip"):
                if name in rest:
                    rest.remove(name)
            self._inflate = _Inflate("gzip", _ZLIB_GZIP)
        elif "deflate" in rest and begin and not self.is_plain(begin):
            rest.remove("deflate")
            self._inflate = _Inflate("deflate", _ZLIB_WITH_HEADER if _is_zlib(begin) else _ZLIB_RAW)
        if self._inflate is not None:
            self._inner = Decoder(rest, self.is_plain, self.layers - 1)


def _is_zlib(begin: bytes) -> bool:
    """Whether bytes begin with the header of zlib (RFC 1950)."""
    return begin[0] & 0x0F == zlib.DEFLATED and int.from_bytes(begin[:2]) % 31 == 0


class _Inflate:
    """One layer of gzip or deflate."""

    def __init__(self, name: str, wbits: int) -> None:
        self._name = name
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits)
        self._taken = 0
        self._given = 0
        self._tail = b""
        self._over = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._taken += len(piece)
        waiting = piece
        while waiting and not self._over:
            if self._stream.eof:
                # Another member of a gzip file may follow; whatever else does is no part of it.
                waiting = self._tail + waiting
                if len(waiting) < len(_GZIP):
                    self._tail = waiting
                    return
                self._tail = b""
                if self._wbits != _ZLIB_GZIP or not waiting.startswith(_GZIP):
                    self._over = True
                    return
                self._stream = zlib.decompressobj(self._wbits)
            block = self._block(waiting)
            waiting = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if block:
                self._count(block)
                yield block
        if not self._stream.eof and not self._over:
            while block := self._block(b""):  # what it has taken in and not given out
                self._count(block)
                yield block

    def check_end(self) -> None:
        if not self._stream.eof:
            raise EncodingError(f"its {self._name} coding is cut off")

    def _block(self, packed: bytes) -> bytes:
        try:
            return self._stream.decompress(packed, BLOCK)
        except zlib.error:
            raise EncodingError(f"its {self._name} coding is damaged") from None

    def _count(self, block: bytes) -> None:
        self._given += len(block)
        if self._given > max(_ALWAYS_ALLOWED, _MAX_RATIO * self._taken):
            raise EncodingError(
                f"its {self._name} coding unpacks to more than {_MAX_RATIO} times its size"
            )
