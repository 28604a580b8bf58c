"""Reads a collected file again and says what no longer agrees with the ledger."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from orchestrator.collect.formats import output_format
from orchestrator.collect.safe_open import hash_file, read
from orchestrator.core.settings import Format
from orchestrator.errors import CorruptArchive

if TYPE_CHECKING:
    from pathlib import Path


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


def verify(path: Path, sha256: str, rows: int, form: Format) -> list[Finding]:
    """Compares a file with what the ledger says of it; reads it as a stream, in constant memory.

    Returns:
        What was found; empty where all is right. The rows of parquet files are not counted.
    """
    try:
        if not stat.S_ISREG(mode := path.lstat().st_mode):
            kind = "link, which is not followed" if stat.S_ISLNK(mode) else "folder or device"
            return [Finding(Fault.UNREADABLE, path, f"{path}: not a file, but a {kind}")]
        found = hash_file(path)
        findings = []
        if found != sha256:
            findings.append(
                Finding(
                    Fault.HASH,
                    path,
                    f"{path}: the content has changed since it was collected (SHA-256 {found},"
                    f" the ledger has {sha256})",
                )
            )
        if form is not Format.PARQUET:
            findings += _compare_rows(path, rows, form)
    except (FileNotFoundError, NotADirectoryError):
        return [Finding(Fault.MISSING, path, f"{path}: the file is missing")]
    except OSError as error:
        return [Finding(Fault.UNREADABLE, path, f"{path}: cannot be read ({error.strerror})")]
    return findings


def _compare_rows(path: Path, rows: int, form: Format) -> list[Finding]:
    try:
        counted = count(path, form)
    except CorruptArchive as error:
        return [Finding(Fault.UNREADABLE, path, f"{path}: its records cannot be counted: {error}")]
    if counted == rows:
        return []
    return [
        Finding(Fault.ROWS, path, f"{path}: it holds {counted:,} records, the ledger has {rows:,}")
    ]


def count(path: Path, form: Format) -> int:
    """The records of a published file; see `count_rows`."""
    steps = count_rows(path, form)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            counted: int = done.value
            return counted
