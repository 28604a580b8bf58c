"""Reads a collected file again and says what no longer agrees with the ledger."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from orchestrator.collect.formats import output_format
from orchestrator.collect.safe_open import hash_file, read
from orchestrator.errors import CorruptArchive

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.settings import Format


class Fault(Enum):
    """What is wrong with a collected file."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    HASH = "hash"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a file, in a word for programs and a sentence for people."""

    fault: Fault
    path: Path
    text: str

    def __str__(self) -> str:
        return self.text


def verify(path: Path, sha256: str, rows: int, file_format: Format) -> list[Finding]:
    """Compares a file with what the ledger says of it; reads it as a stream, in constant memory.

    Returns:
        What is wrong; empty where all is right.

    Raises:
        InputError: its format needs a library that is not installed.
    """
    try:
        if not stat.S_ISREG(mode := path.lstat().st_mode):
            kind = "link, which is not followed" if stat.S_ISLNK(mode) else "folder or device"
            return [Finding(Fault.UNREADABLE, path, f"{path}: not a file, but a {kind}")]
        content_hash = hash_file(path)
        findings = []
        if content_hash != sha256:
            findings.append(
                Finding(
                    Fault.HASH,
                    path,
                    f"{path}: the content has changed since it was collected (SHA-256"
                    f" {content_hash}, the ledger has {sha256})",
                )
            )
        findings += _compare_rows(path, rows, file_format)
    except (FileNotFoundError, NotADirectoryError):
        return [Finding(Fault.MISSING, path, f"{path}: the file is missing")]
    except OSError as error:
        return [Finding(Fault.UNREADABLE, path, f"{path}: cannot be read ({error.strerror})")]
    return findings


def _compare_rows(path: Path, rows: int, file_format: Format) -> list[Finding]:
    try:
        counted = count(path, file_format)
    except CorruptArchive as error:
        return [Finding(Fault.UNREADABLE, path, f"{path}: its records cannot be counted: {error}")]
    if counted == rows:
        return []
    return [
        Finding(Fault.ROWS, path, f"{path}: it holds {counted:,} records, the ledger has {rows:,}")
    ]


def count(path: Path, file_format: Format) -> int:
    """The records of a published file; see `OutputFormat.count`."""
    with read(path) as file:
        steps = output_format(file_format).count(file)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                counted: int = done.value
                return counted
