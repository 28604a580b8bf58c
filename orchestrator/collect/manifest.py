"""The manifest: a projection of the ledger beside the files, from which it can be rebuilt.

``manifest.jsonl`` is JSON Lines in UTF-8: a header, an entry a line, and an end line that counts
the lines before it, so that a manifest that was cut is known by its missing end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

_LONGEST_LINE: Final = 16 * 1024 * 1024
_REMEDY: Final = "restore manifest.jsonl from a backup, or let a run write it anew from the ledger"


def write_manifest(directory: Path, entries: Iterable[Entry], made_at: datetime) -> int:
    """Replaces the manifest of an output directory; how many entries it has.

    The entries are written as they come, in constant memory. The old manifest stands until the
    new one is complete and synced; if `entries` raises, it stays.

    Args:
        directory: the output directory; made if it is not there.
        entries: in the order they are to stand.
        made_at: the present moment, aware.

    Raises:
        OutputError: the disk.
    """
    place = directory / layout.MANIFEST
    part = directory / layout.PARTIAL / layout.MANIFEST_PART
    with disk.in_words(place, "write"):
        disk.Folders(directory).make(part.parent)
        try:
            with part.open("wb") as file:
                count = _write(file, entries, made_at)
            disk.sync_file(part)
            part.replace(place)
            disk.sync_folder(directory)
        finally:
            disk.remove(part)
    return count


def _write(file: BinaryIO, entries: Iterable[Entry], made_at: datetime) -> int:
    count = 0
    file.write(header_line(made_at))
    for entry in entries:
        file.write(entry_line(entry))
        count += 1
    file.write(end_line(count + 1))
    return count


def read_manifest(path: Path) -> Iterator[Entry]:
    """Yields the entries of a manifest in their order, in constant memory.

    That it is whole is known only when the iterator has ended: act on the entries in one
    transaction.

    Raises:
        InputError: it is not there, cannot be read, is malformed (with the line) or cut.
    """
    try:
        with path.open("rb") as file:
            yield from _entries(path, file)
    except FileNotFoundError as error:
        raise InputError([_mistake(path, 0, "", "there is no manifest")]) from error
    except OSError as error:
        raise InputError([_mistake(path, 0, "", f"cannot be read ({error.strerror})")]) from error


def _entries(path: Path, file: BinaryIO) -> Iterator[Entry]:
    number = 0
    ended = False
    try:
        while raw := file.readline(_LONGEST_LINE):
            number += 1
            if ended:
                raise BadLine("", "something follows the end line")
            if not raw.endswith(b"\n"):
                raise BadLine("", "the line is cut off or endless")
            fields = parse_line(raw)
            if number == 1:
                check_header(fields)
                continue
            counted = end_count(fields)
            if counted is None:
                yield parse_entry(fields)
            elif counted == number - 1:
                ended = True
            else:
                raise BadLine("lines", f"{counted} lines were written, {number - 1} are there")
        if not ended:
            number += 1
            raise BadLine("", "the end line is missing: the manifest is cut off")
    except BadLine as error:
        raise InputError([_mistake(path, number, error.key, str(error))]) from error


def _mistake(path: Path, line: int, key: str, what: str) -> Mistake:
    return Mistake(str(path), line, 1 if line else 0, key, what, _REMEDY)
