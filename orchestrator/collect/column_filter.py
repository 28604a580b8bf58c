"""Leaves columns out of a CSV, and puts keyed hashes in the place of others, as it streams by.

So the clear values never reach the file that is written. A hash is an HMAC-SHA-256 in hex: without
the key nobody can try all phone numbers, which a plain hash would allow; with the same key equal
values have equal hashes, so that files can still be joined.
"""

import csv
import hmac
import io
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from orchestrator.collect.csv_records import RecordBlocks
from orchestrator.core.settings import ColumnRules, Secret, plain_name
from orchestrator.errors import CorruptArchive

_REMEMBERED: Final = 100_000
"""Hashes of recent values that are kept: senders and countries repeat, and a hash costs 2 µs."""

_BLOCK_BYTES: Final = 256 * 1024
"""Records are rewritten in blocks of about this length."""


class ColumnFilter:
    """Takes the blocks of a CSV with a header, and gives those of one with fewer clear columns.

    Every field it gives is quoted, and records end as the header does. Empty values stay empty:
    they say nothing of anybody.

    Args:
        rules: which columns, in whatever case and with whatever space around their names; a name
            that the header lacks changes nothing.
        key: of the hashes; None where `rules` has none.

    Attributes:
        dropped: columns that were left out, in the header's order; known after the header.
        hashed: columns whose values are hashes now.
    """

    def __init__(self, rules: ColumnRules, key: Secret | None) -> None:
        self._rules = rules
        self._hash = _hasher(key)
        self._blocks = RecordBlocks(_BLOCK_BYTES)
        self._change: Callable[[list[str]], list[str]] | None = None
        self._header: list[str] = []  # to be written before the first record
        self._line_end = "\n"
        self._fields = 0
        self.dropped: tuple[str, ...] = ()
        self.hashed: tuple[str, ...] = ()

    def push(self, block: bytes) -> bytes:
        """Takes the next bytes; what may be written of them now, maybe nothing.

        Raises:
            CorruptArchive: a record has not as many fields as the header, or is no UTF-8: what is
                to be left out of it nobody can say.
        """
        return b"".join(map(self._rewrite, self._blocks.push(block)))

    def finish(self) -> bytes:
        """What is left to write once all has come.

        Raises:
            CorruptArchive: as for `push`.
        """
        return self._rewrite(self._blocks.rest())

    def _rewrite(self, records: bytes) -> bytes:
        if not records:
            return b""
        try:
            text = records.decode("utf-8")
            if self._change is None:
                # Before the CSV is read: a byte order mark would hide the quote after it.
                text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
            rows = csv.reader(io.StringIO(text, newline=""), strict=True)
            return self._written(rows, text).encode()
        except (UnicodeDecodeError, csv.Error) as error:
            raise CorruptArchive(
                "its columns cannot be told apart, so none of them can be left out"
            ) from error

    def _written(self, rows: Iterable[list[str]], text: str) -> str:
        rows = iter(rows)
        file = io.StringIO(newline="")
        if self._change is None:
            header = next(rows, None) or []
            self._line_end = "\r\n" if text.split("\n", 1)[0].endswith("\r") else "\n"
            self._begin(header)
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator=self._line_end)
        if self._header:
            writer.writerow(self._header)
            self._header = []
        assert self._change is not None
        for row in rows:
            if len(row) < 2 and not "".join(row).strip():
                file.write(self._line_end)  # a blank line, which is a record or not as before
            elif len(row) != self._fields:
                raise CorruptArchive("a record of the CSV has other fields than its header")
            else:
                writer.writerow(self._change(row))
        return file.getvalue()

    def _begin(self, header: list[str]) -> None:
        drop, hashes = _plain(self._rules.drop), _plain(self._rules.hash)
        names = [plain_name(name) for name in header]
        kept = [place for place, name in enumerate(names) if name not in drop]
        hashed = {place for place in kept if names[place] in hashes}
        if header and not kept:
            raise CorruptArchive("`output.columns` leaves out every column of it")
        self._header = [header[place] for place in kept]
        self._fields = len(header)
        self.dropped = tuple(name for name in header if plain_name(name) in drop)
        self.hashed = tuple(header[place] for place in sorted(hashed))
        places = [(place, place in hashed) for place in kept]
        hash_of = self._hash

        def change(row: list[str]) -> list[str]:
            return [hash_of(row[place]) if clear else row[place] for place, clear in places]

        self._change = change


def _plain(names: Iterable[str]) -> frozenset[str]:
    return frozenset(map(plain_name, names))


def _hasher(key: Secret | None) -> Callable[[str], str]:
    secret = b"" if key is None else key.reveal().encode()

    @lru_cache(_REMEMBERED)
    def hashed(value: str) -> str:
        if not value:
            return ""
        assert secret, "hashes need a key"
        return hmac.digest(secret, value.encode(), "sha256").hex()

    return hashed
