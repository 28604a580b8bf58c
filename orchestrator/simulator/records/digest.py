"""A digest of records that depends neither on their order nor on how they were chunked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO

_MASK = (1 << 128) - 1


@dataclass(slots=True)
class RecordDigest:
    """Counts records and adds up their hashes, in constant memory.

    Two digests are equal if they have the same records equally often, in any order (except for
    a collision of 128 bits). A record's hash is BLAKE2b-128 of its fields, each in UTF-8 and
    closed with the byte 0x1F; the header is not counted.
    """

    rows: int = 0
    total: int = 0

    def add(self, fields: Sequence[str]) -> None:
        """Counts one record."""
        packed = "\x1f".join(fields).encode() + b"\x1f"
        digest = blake2b(packed, digest_size=16).digest()
        self.total = (self.total + int.from_bytes(digest, "big")) & _MASK
        self.rows += 1

    def add_all(self, records: Iterable[Sequence[str]]) -> RecordDigest:
        """Counts many records; returns itself."""
        for fields in records:
            self.add(fields)
        return self

    def __add__(self, other: RecordDigest) -> RecordDigest:
        return RecordDigest(self.rows + other.rows, (self.total + other.total) & _MASK)

    @property
    def digest(self) -> str:
        """The sum of the hashes: 32 hex digits."""
        return f"{self.total:032x}"


def digest_csv(stream: IO[bytes]) -> RecordDigest:
    """The digest of a CSV file with a header row, read from its bytes.

    Raises:
        ValueError: it has no header row, or is not UTF-8.
    """
    with io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        reader = csv.reader(text, strict=True)
        if next(reader, None) is None:
            raise ValueError("the CSV file is empty: not even a header row")
        return RecordDigest().add_all(filter(None, reader))  # an empty line is no record
