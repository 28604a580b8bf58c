"""The manifest: a projection of the ledger beside the files, from which it can be rebuilt.

``manifest.jsonl`` is JSON Lines in UTF-8: a header, an entry a line, and an end line that counts
the lines before it, so that a manifest that was cut is known by its missing end.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

from orchestrator.collect import disk, layout
from orchestrator.collect.manifest_lines import (
    BadLine,
    Entry,
    FileEntry,
    MarkEntry,
    ResolvedEntry,
    check_header,
    end_count,
    end_line,
    entry_line,
    header_events,
    header_line,
    parse_entry,
    parse_line,
)
from orchestrator.errors import InputError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["Entry", "FileEntry", "MarkEntry", "ResolvedEntry", "read_manifest", "write_manifest"]

_BUFFER_BYTES: Final = 1024 * 1024
_END_BYTES: Final = 512
"""More than the end line takes."""

_LONGEST_LINE: Final = 16 * 1024 * 1024
_REMEDY: Final = "restore manifest.jsonl from a backup, or let a run write it anew from the ledger"


def write_manifest(
    directory: Path,
    entries: Iterable[Entry],
    made_at: datetime,
    events: int = 0,
    ledger: str = "",
) -> int:
    """Replaces the manifest of an output directory; how many entries it has.

    The entries are written as they come, in constant memory. The old manifest stands until the
    new one is complete and synced; if `entries` raises, it stays.

    Args:
        directory: the output directory; made if it is not there.
        entries: in the order they are to stand.
        made_at: the present moment, aware.
        events: how many events the ledger has seen; tells a ledger that was set back.
        ledger: its fingerprint; see `is_current`.

    Raises:
        OutputError: the disk.
    """
    place = directory / layout.MANIFEST
    part = directory / layout.PARTIAL / layout.MANIFEST_PART
    with disk.in_words(place, "write"):
        disk.Folders(directory).make(part.parent)
        try:
            with part.open("wb", buffering=_BUFFER_BYTES) as file:
                count = _write(file, header_line(made_at, events, ledger), entries)
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


def is_current(directory: Path, ledger: str) -> bool:
    """Whether the manifest there is whole, and was made of the ledger as it is.

    Reads all of it, about a second a gigabyte: what was cut or changed since is to be made anew.

    Args:
        directory: the output directory.
        ledger: the ledger's fingerprint.
    """
    try:
        with (directory / layout.MANIFEST).open("rb") as file:
            header = parse_line(file.readline(_LONGEST_LINE))
            check_header(header)
            if header.get("ledger") != ledger:
                return False
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END_BYTES))
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


def events_known(directory: Path) -> int:
    """How many events the ledger had seen when the manifest there was made; 0 if none tells."""
    try:
        with (directory / layout.MANIFEST).open("rb") as file:
            return header_events(parse_line(file.readline(_LONGEST_LINE)))
    except (OSError, BadLine):
        return 0


def read_manifest(path: Path) -> Iterator[Entry]:
    """Yields the entries of a manifest in their order, in constant memory.

    That it is whole is known only when the iterator has ended: act on the entries in one
    transaction.

    Raises:
        InputError: it is not there, cannot be read, is malformed (with the line) or cut.
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


class _Lines:
    """Reads line by line, and knows the number of the line that is being read."""

    def __init__(self) -> None:
        self.number = 0

    def entries(self, file: BinaryIO) -> Iterator[Entry]:
        check_header(self._next(file, "the manifest is empty"))
        while True:
            fields = self._next(file, "the end line is missing: the manifest is cut off")
            counted = end_count(fields)
            if counted is not None:
                break
            yield parse_entry(fields)
        if counted != self.number - 1:
            raise BadLine("lines", f"{counted} lines were written, {self.number - 1} are there")
        if file.read(1):
            self.number += 1
            raise BadLine("", "something follows the end line")

    def _next(self, file: BinaryIO, if_none: str) -> dict[str, Any]:
        self.number += 1
        raw = file.readline(_LONGEST_LINE)
        if not raw:
            raise BadLine("", if_none)
        if not raw.endswith(b"\n"):
            raise BadLine("", "the line is cut off or endless")
        return parse_line(raw)


def _mistake(path: Path, line: int, key: str, what: str) -> Mistake:
    return Mistake(str(path), line, 1 if line else 0, key, what, _REMEDY)
