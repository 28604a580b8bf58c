"""Which library inflates: the fastest that is installed. All of them give the same bytes.

ISA-L (the extra ``fast``) inflates about twice as fast as zlib. What it refuses is looked at again
with zlib, whose word counts; what it takes is proved by checksum and size like everything else.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream(Protocol):
    """A deflated stream that is being unpacked: as `zlib.decompressobj` makes it."""

    @property
    def eof(self) -> bool:
        """The stream's end has been seen."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """What was fed and not taken in yet, as the output was full."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was fed behind the stream's end."""
        ...

    def decompress(self, packed: Any, most: int, /) -> bytes:
        """At most so many of the next bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Inflater:
    """A library that inflates.

    Attributes:
        name: of the library.
        raw: begins a stream of raw deflate, without any header.
        crc32: as `zlib.crc32`.
        error: what is raised for damaged bytes.
    """

    name: str
    raw: Callable[[], Stream]
    crc32: Callable[[bytes, int], int]
    error: type[Exception]


ZLIB: Final = Inflater("zlib", lambda: zlib.decompressobj(-zlib.MAX_WBITS), zlib.crc32, zlib.error)


@cache
def isal() -> Inflater | None:
    """ISA-L, where the extra ``fast`` is installed."""
    try:
        library: Any = import_module("isal.isal_zlib")
    except ImportError:  # not installed, or built for another machine
        return None
    return Inflater(
        "isal", lambda: library.decompressobj(-zlib.MAX_WBITS), library.crc32, library.error
    )


def fastest() -> Inflater:
    """The engine for large archives."""
    return isal() or ZLIB
