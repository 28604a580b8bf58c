"""Reads the manifest: a projection of the ledger beside the files, from which it can be rebuilt.

``manifest.jsonl`` is JSON Lines in UTF-8: a header, an entry a line for all that the ledger knew
when it was written as a whole, an end line, and then what has changed since, appended as a run
goes: the entries that a transaction has changed, and how far the ledger has got with it. A later
entry of a report takes the place of an earlier one. A last line that was cut, as a kill may leave
it, is no line.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from orchestrator.collect.disk import explain
from orchestrator.collect.layout import MANIFEST
from orchestrator.collect.manifest_entries import Entry
from orchestrator.collect.manifest_reading import (
    BadLine,
    Header,
    checked,
    end_count,
    parse_entry,
    parse_header,
    parse_line,
    parse_point,
)
from orchestrator.collect.safe_open import NO_FILE
from orchestrator.collect.stores.base import OutputStore
from orchestrator.core.model import LedgerPoint
from orchestrator.errors import InputError, Mistake, OutputError

_MAX_LINE_BYTES: Final = 16 * 1024 * 1024  # Bounds the memory; a line of ours is far shorter.

REMEDY: Final = (
    "restore manifest.jsonl from a backup; or, if the ledger beside it is the latest, move the "
    "manifest away: the next run writes it anew from the ledger"
)


# --- its lines ------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Lines:
    """The lines of a manifest after its header, each checked; only those that count."""

    file: BinaryIO
    number: int = 0  # of the latest line, from 1
    header: Header | None = None  # once the first line has been read
    ended: bool = False  # the end line has come; what follows was appended
    appended: int = 0  # how many lines follow it
    size_bytes: int = 0  # up to the end of the latest line
    crc: int = 0  # of the file up to there (version 2)

    def read(self) -> Iterator[bytes]:
        """Yields the lines but header and end.

        Raises:
            BadLine: the latest line is not as it was written, or the end is missing.
        """
        raw = self._next("the manifest is empty")
        header = parse_header(parse_line(raw))
        if header.version == 1:
            self.header = header
            yield from self._first_version(raw)
            return
        self.crc = checked(raw, 0)
        self.header = header
        self.size_bytes = len(raw)
        while True:
            raw = self._next(
                "" if self.ended else "the end line is missing: the manifest is cut off"
            )
            if not raw:
                return
            try:
                crc = checked(raw, self.crc)
            except BadLine:
                if self._is_torn(raw):
                    return
                raise
            self.crc = crc
            self.size_bytes += len(raw)
            if kind_of(raw) == b"end":
                self._end(raw)
                continue
            self.appended += self.ended
            yield raw

    def _first_version(self, raw: bytes) -> Iterator[bytes]:
        """The last line has the SHA-256 of those before it, and nothing follows."""
        digest = hashlib.sha256(raw)
        while True:
            raw = self._next("the end line is missing: the manifest is cut off")
            if kind_of(raw) == b"end":
                break
            digest.update(raw)
            yield raw
        self._end(raw)
        if parse_line(raw).get("sha256", digest.hexdigest()) != digest.hexdigest():
            raise BadLine("sha256", "the lines above are not those that were written")
        if self.file.read(1):
            self.number += 1
            raise BadLine("", "something follows the end line")

    def _end(self, raw: bytes) -> None:
        if self.ended:
            raise BadLine("kind", "a second end line")
        counted = end_count(parse_line(raw))
        if counted != self.number - 1:
            raise BadLine("lines", f"{counted} lines were written, {self.number - 1} are there")
        self.ended = True

    def _next(self, if_none: str) -> bytes:
        """The next line; empty at the end, where that is no mistake."""
        self.number += 1
        raw = self.file.readline(_MAX_LINE_BYTES)
        if not raw and if_none:
            raise BadLine("", if_none)
        if raw and not raw.endswith(b"\n"):
            if not self.ended:
                raise BadLine("", "the line is cut off or endless")
            return b""
        return raw

    def _is_torn(self, raw: bytes) -> bool:
        """Whether nothing that was ever written as a line follows: a power cut leaves noise."""
        if not self.ended:
            return False
        while raw:
            try:
                parse_line(raw)
            except BadLine:
                raw = self.file.readline(_MAX_LINE_BYTES)
            else:
                return False
        return True


def kind_of(raw: bytes) -> bytes:
    """The kind of a line."""
    start = b'{"kind":"'
    if raw.startswith(start):
        return raw[len(start) : raw.find(b'"', len(start))]
    return str(parse_line(raw).get("kind")).encode(errors="replace")


# --- how it stands --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Survey:
    """How the manifest of a store stands."""

    path: str  # where it is, or would be
    exists: bool  # whether there is one
    header: Header | None = None  # None where there is none that can be read
    # the furthest that its ledger had got, as far as it can be read; None: version 1
    point: LedgerPoint | None = None
    # the first line that is not as it was written; None: it is as it was written
    problem: Mistake | None = None
    entries: int = 0  # how many can be read, without what may follow a problem
    appended: int = 0  # lines after what was written as a whole
    size_bytes: int = 0  # up to the end of the last whole line; what follows is of no use
    crc: int = 0  # of the file up to there

    @property
    def tells_nothing(self) -> bool:
        """Whether there is none, or one of a ledger that has never known anything."""
        return not self.exists or (self.problem is None and not self.entries)


def survey(store: OutputStore) -> Survey:
    """Reads all of the manifest of a store, about half a million lines a second.

    Raises:
        InputError: it is no file.
        OutputError: it cannot be read: permissions, the disk, the object store.
    """
    path = store.location(MANIFEST)
    try:
        with store.open(MANIFEST) as file:
            return _survey(path, file)
    except (FileNotFoundError, NotADirectoryError):
        return Survey(path, exists=False)
    except OSError as error:
        raise _unreadable(error, path, REMEDY) from error


def _survey(path: str, file: BinaryIO) -> Survey:
    lines = _Lines(file)
    point: LedgerPoint | None = None
    problem: Mistake | None = None
    entries = 0
    try:
        for raw in lines.read():
            if lines.ended and kind_of(raw) == b"reached":
                point = _point(raw, lines.header)
            else:
                entries += 1
    except BadLine as error:
        problem = _mistake(path, lines.number, error.key, str(error))
        point = _furthest(file, point, lines.header)
    header = lines.header
    return Survey(
        path=path,
        exists=True,
        header=header,
        point=point or (None if header is None else header.point),
        problem=problem,
        entries=entries,
        appended=lines.appended,
        size_bytes=lines.size_bytes,
        crc=lines.crc,
    )


def _point(raw: bytes, header: Header | None) -> LedgerPoint:
    assert header is not None
    assert header.point is not None, "only version 2 has such lines"
    return parse_point(parse_line(raw), header.point.ledger, header.point.generation)


def _furthest(
    file: BinaryIO, point: LedgerPoint | None, header: Header | None
) -> LedgerPoint | None:
    """How far the ledger had got by the lines behind one that is not as it was written."""
    if header is None or header.point is None:
        return point
    while raw := file.readline(_MAX_LINE_BYTES):
        try:
            if kind_of(raw) == b"reached":
                reached = _point(raw, header)
                if point is None or reached.changes > point.changes:
                    point = reached
        except BadLine:
            pass
    return point


# --- reading its entries --------------------------------------------------------------------------


class Reading:
    """The entries of a manifest in their order, in constant memory.

    That it is whole is known only when the iterator has ended: act on the entries in one
    transaction.
    """

    def __init__(self, store: OutputStore, remedy: str = REMEDY) -> None:
        self._store = store
        self._remedy = remedy
        self._lines: _Lines | None = None

    @property
    def line(self) -> int:
        """The number of the line that the latest entry stands in."""
        return 0 if self._lines is None else self._lines.number

    @property
    def is_appended(self) -> bool:
        """Whether the latest entry was appended: it may take another one's place."""
        return self._lines is not None and self._lines.ended

    def __iter__(self) -> Iterator[Entry]:
        """Yields the entries.

        Raises:
            InputError: it is not there, is no file, is malformed (with the line) or cut.
            OutputError: it cannot be read: permissions, the disk, the object store.
        """
        try:
            with self._store.open(MANIFEST) as file:
                self._lines = _Lines(file)
                for raw in self._lines.read():
                    fields = parse_line(raw)
                    if fields.get("kind") != "reached" or not self._lines.ended:
                        yield parse_entry(fields)
        except BadLine as error:
            raise self.mistake(error.key, str(error)) from error
        except FileNotFoundError as error:
            raise self.mistake("", "there is no manifest", 0) from error
        except OSError as error:
            raise _unreadable(error, self._store.location(MANIFEST), self._remedy) from error

    def mistake(self, key: str, what: str, line: int | None = None) -> InputError:
        """What is wrong with a line; None: the latest one; 0: none, but the whole."""
        number = self.line if line is None else line
        return InputError(
            [_mistake(self._store.location(MANIFEST), number, key, what, self._remedy)]
        )


def _unreadable(error: OSError, path: str, remedy: str) -> InputError | OutputError:
    """What ends the reading: another manifest helps only where this one is no file."""
    if error.errno in NO_FILE:
        return InputError([_mistake(path, 0, "", f"cannot be read ({error.strerror})", remedy)])
    return OutputError(explain(error, path, "read"))


def _mistake(path: str, line: int, key: str, what: str, remedy: str = REMEDY) -> Mistake:
    return Mistake(path, line, 1 if line else 0, key, what, remedy)
