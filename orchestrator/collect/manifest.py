"""The manifest: a second record of the ledger beside the files, from which it can be rebuilt.

``manifest.jsonl`` is JSON Lines in UTF-8: a header, an entry a line, and an end line that counts
the lines before it and has their hash. While a command writes the ledger, blocks of entries are
appended behind that (`ManifestJournal`), each ended by a line whose hash vouches for all before it;
what a later line says of a report or a series counts. When the command ends the manifest is
written anew, as short as it can be. A block that a crash has cut is passed over.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from orchestrator.collect import disk, layout
from orchestrator.collect.manifest_lines import (
    BadLine,
    Commit,
    Entry,
    FileEntry,
    GivenUpEntry,
    Header,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    chained,
    commit_line,
    end_count,
    end_line,
    entry_line,
    header_line,
    parse_commit,
    parse_entry,
    parse_header,
    parse_line,
)
from orchestrator.errors import InputError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from orchestrator.core.model import Identity

__all__ = [
    "Entry",
    "FileEntry",
    "GivenUpEntry",
    "MarkEntry",
    "ReportEntry",
    "ResolvedEntry",
    "read_manifest",
    "write_manifest",
]

_BUFFER_BYTES: Final = 1024 * 1024
_TAIL_BYTES: Final = 1024 * 1024
"""More than a block and the line before it take."""

_LONGEST_LINE: Final = 16 * 1024 * 1024
_SYNC_SECONDS: Final = 1.0
"""How often appended lines are synced: the ledger itself is synced at each commit, and a power cut
takes from the manifest no more than a second that the ledger has."""

_REMEDY: Final = (
    "restore manifest.jsonl from a backup; or, where the ledger is there, move it away, and a run "
    "writes it anew"
)


# --- writing all of it ----------------------------------------------------------------------------


def write_manifest(
    directory: Path,
    entries: Iterable[Entry],
    made_at: datetime,
    identity: Identity,
    fingerprint: str = "",
) -> int:
    """Replaces the manifest of an output directory; how many entries it has.

    The entries are written as they come, in constant memory. The old manifest stands until the
    new one is complete and synced; if `entries` raises, it stays.

    Args:
        directory: the output directory; made if it is not there.
        entries: in the order they are to stand.
        made_at: the present moment, aware.
        identity: of the ledger.
        fingerprint: of the ledger's content; see `is_current`.

    Raises:
        OutputError: the disk.
    """
    place = directory / layout.MANIFEST
    part = directory / layout.PARTIAL / layout.MANIFEST_PART
    with disk.in_words(place, "write"):
        disk.Folders(directory).make(part.parent)
        try:
            with part.open("wb", buffering=_BUFFER_BYTES) as file:
                count = _write(file, header_line(made_at, identity, fingerprint), entries)
            disk.sync_file(part)
            part.replace(place)
            disk.sync_folder(directory)
        finally:
            disk.remove(part)
    return count


def _write(file: BinaryIO, header: bytes, entries: Iterable[Entry]) -> int:
    count = 0
    digest = hashlib.sha256(header)
    file.write(header)
    for entry in entries:
        line = entry_line(entry)
        digest.update(line)
        file.write(line)
        count += 1
    file.write(end_line(count + 1, digest.hexdigest()))
    return count


def is_current(directory: Path, fingerprint: str) -> bool:
    """Whether the manifest there is whole, short, and was made of the ledger as it is.

    Reads all of it, about a second a gigabyte: what was cut or changed since is to be made anew.

    Args:
        directory: the output directory.
        fingerprint: of the ledger's content.
    """
    try:
        with (directory / layout.MANIFEST).open("rb") as file:
            header = parse_header(parse_line(file.readline(_LONGEST_LINE)))
            if header.fingerprint != fingerprint:
                return False
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read().splitlines(keepends=True)[-1]
            end = parse_line(tail)
            return end_count(end) is not None and end.get("sha256") == _hash(file, size - len(tail))
    except (OSError, BadLine):
        return False


def _hash(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (block := file.read(min(size, _BUFFER_BYTES))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


# --- how far it has come --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reach:
    """Of which ledger a manifest is, and how far it follows it.

    Attributes:
        header: its first line.
        generation: of the ledger, at its last whole block.
        events: the number of the ledger's latest event there.
        size_bytes: up to the end of that block; what follows was cut by a crash.
        sha256: the hash that vouches for all of that.
    """

    header: Header
    generation: int
    events: int
    size_bytes: int
    sha256: str


def reach(directory: Path) -> Reach | None:
    """How far the manifest there follows its ledger; None where there is none.

    Reads its first line and its end only.

    Raises:
        InputError: it cannot be read, or its first line or its end make no sense.
    """
    path = directory / layout.MANIFEST
    try:
        with path.open("rb") as file:
            header = parse_header(parse_line(file.readline(_LONGEST_LINE)))
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - _TAIL_BYTES)
            file.seek(start)
            return _last_block(header, start, file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BadLine as error:
        raise InputError([_mistake(path, 1, error.key, str(error))]) from error
    except OSError as error:
        raise InputError([_mistake(path, 0, "", f"cannot be read ({error.strerror})")]) from error


def _last_block(header: Header, start: int, tail: bytes) -> Reach:
    end = len(tail)
    for line in reversed(tail.splitlines(keepends=True)):
        here, end = end, end - len(line)
        if not line.endswith(b"\n"):
            continue
        try:
            fields = parse_line(line)
        except BadLine:
            continue
        commit = parse_commit(fields)
        if commit is not None:
            return Reach(header, commit.generation, commit.events, start + here, commit.sha256)
        if end_count(fields) is not None:
            identity = header.identity
            digest = str(fields.get("sha256"))
            return Reach(header, identity.generation, identity.events, start + here, digest)
    raise BadLine("", "the end line is missing: the manifest is cut off")


class ManifestJournal:
    """Appends to the manifest what the ledger has committed.

    It opens the manifest at the first block, and lets go of it at `close`; the next block opens it
    anew. Not for use by two threads at once.

    Args:
        directory: the output directory, whose manifest `reach` has read.
        generation: of the ledger.
        events: the number of the ledger's latest event that the manifest knows.
    """

    def __init__(self, directory: Path, generation: int, events: int) -> None:
        self._directory = directory
        self._path = directory / layout.MANIFEST
        self._generation = generation
        self._file: BinaryIO | None = None
        self._sha256 = ""
        self._events = events
        self._synced_at = 0.0

    def append(self, entries: Iterable[Entry], events: int) -> None:
        """Appends a block; synced within `_SYNC_SECONDS` of the next one, or by `close`.

        Args:
            entries: may be empty: then only how far the ledger has come is noted, if it has.
            events: the number of the ledger's latest event.

        Raises:
            OutputError: the disk.
        """
        lines = [entry_line(entry) for entry in entries]
        if not lines and events == self._events:
            return
        with disk.in_words(self._path, "write"):
            file = self._open()
            block = b"".join(lines)
            self._sha256 = chained(self._sha256, block)
            commit = Commit(self._generation, events, len(lines), self._sha256)
            file.write(block + commit_line(commit))
            self._events = events
            now = time.monotonic()
            if now - self._synced_at >= _SYNC_SECONDS:
                self._synced_at = now
                os.fsync(file.fileno())

    def _open(self) -> BinaryIO:
        if self._file is None:
            found = reach(self._directory)
            assert found is not None, "who appends has made sure that there is a manifest"
            self._file = self._path.open("r+b", buffering=0)
            self._file.truncate(found.size_bytes)
            self._file.seek(found.size_bytes)
            self._sha256 = found.sha256
        return self._file

    def close(self) -> None:
        """Syncs what was appended, and lets go of the file.

        Raises:
            OutputError: the disk.
        """
        if self._file is not None:
            file, self._file = self._file, None
            with disk.in_words(self._path, "write"), file:
                os.fsync(file.fileno())


# --- reading it -----------------------------------------------------------------------------------


def read_manifest(path: Path) -> Iterator[tuple[int, Entry]]:
    """Yields the entries of a manifest in their order, each with its line; in constant memory.

    That it is whole and unchanged is known only when the iterator has ended: act on the entries in
    one transaction.

    Raises:
        InputError: it is not there, cannot be read, is malformed (with the line), cut or changed.
    """
    lines = _Lines()
    try:
        with path.open("rb") as file:
            yield from lines.entries(file)
    except BadLine as error:
        raise InputError([_mistake(path, lines.number, error.key, str(error))]) from error
    except FileNotFoundError as error:
        raise InputError([_mistake(path, 0, "", "there is no manifest")]) from error
    except OSError as error:
        raise InputError([_mistake(path, 0, "", f"cannot be read ({error.strerror})")]) from error


def mistake_at(path: Path, line: int, what: str) -> InputError:
    """What is wrong with an entry that could be read."""
    return InputError([_mistake(path, line, "", what)])


class _Lines:
    """Reads line by line, and knows the number of the line that is being read."""

    def __init__(self) -> None:
        self.number = 0
        self._digest = hashlib.sha256()
        self._last = b""

    def entries(self, file: BinaryIO) -> Iterator[tuple[int, Entry]]:
        header = parse_header(self._next(file, "the manifest is empty"))
        while True:
            fields = self._next(file, "the end line is missing: the manifest is cut off")
            counted = end_count(fields)
            if counted is not None:
                break
            yield self.number, parse_entry(fields)
        if counted != self.number - 1:
            raise BadLine("lines", f"{counted} lines were written, {self.number - 1} are there")
        before = self._digest.hexdigest()
        if fields.get("sha256") != before:
            raise BadLine("sha256", "a line before this one was changed after it was written")
        if header.version == 1:
            if file.read(1):
                self.number += 1
                raise BadLine("", "something follows the end line")
            return
        yield from self._appended(file, before)

    def _appended(self, file: BinaryIO, sha256: str) -> Iterator[tuple[int, Entry]]:
        """The entries of the appended blocks; one that has no end was cut by a crash."""
        block: list[bytes] = []
        while True:
            raw = file.readline(_LONGEST_LINE)
            self.number += 1
            if not raw.endswith(b"\n"):
                return
            fields = parse_line(raw)
            commit = parse_commit(fields)
            if commit is None:
                block.append(raw)
                continue
            sha256 = chained(sha256, b"".join(block))
            if commit.lines != len(block) or commit.sha256 != sha256:
                raise BadLine("sha256", "a line before this one was changed after it was written")
            for number, line in enumerate(block, self.number - len(block)):
                yield number, parse_entry(parse_line(line))
            block.clear()

    def _next(self, file: BinaryIO, if_none: str) -> dict[str, Any]:
        self.number += 1
        raw = file.readline(_LONGEST_LINE)
        if not raw:
            raise BadLine("", if_none)
        if not raw.endswith(b"\n"):
            raise BadLine("", "the line is cut off or endless")
        # Of all lines before this one: the end line has the hash of those before it.
        self._digest.update(self._last)
        self._last = raw
        return parse_line(raw)


def _mistake(path: Path, line: int, key: str, what: str) -> Mistake:
    return Mistake(str(path), line, 1 if line else 0, key, what, _REMEDY)
