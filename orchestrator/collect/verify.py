"""Reads a collected file again and says what no longer agrees with the ledger."""

import errno
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Final

from orchestrator.collect.disk import explain
from orchestrator.collect.formats import output_format
from orchestrator.collect.safe_open import hash_of
from orchestrator.collect.stores.base import OutputStore
from orchestrator.core.settings import Format
from orchestrator.errors import CorruptArchive

_NOT_A_FILE: Final = {
    errno.ELOOP: "link, which is not followed",
    errno.EISDIR: "folder or device",
    errno.ENXIO: "folder or device",
}


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
    path: str
    text: str

    def __str__(self) -> str:
        return self.text


def verify(
    store: OutputStore, key: str, sha256: str, rows: int, file_format: Format
) -> list[Finding]:
    """Compares a file with what the ledger says of it; reads it as a stream, in constant memory.

    Returns:
        What is wrong; empty where all is right.

    Raises:
        InputError: its format needs a library that is not installed.
        OutputError: the key leads out of the store.
    """
    path = store.location(key)
    findings = []
    try:
        with store.open(key) as file:
            content_hash = hash_of(file)
            if content_hash != sha256:
                text = "the content has changed since it was collected"
                hashes = f"SHA-256 {content_hash}, the ledger has {sha256}"
                findings.append(Finding(Fault.HASH, path, f"{path}: {text} ({hashes})"))
            file.seek(0)
            findings += _compare_rows(file, path, rows, file_format)
    except (FileNotFoundError, NotADirectoryError):
        return [Finding(Fault.MISSING, path, f"{path}: the file is missing")]
    except OSError as error:
        return [Finding(Fault.UNREADABLE, path, _why_unreadable(error, path))]
    return findings


def _why_unreadable(error: OSError, path: str) -> str:
    kind = _NOT_A_FILE.get(error.errno or 0)
    if kind and error.filename in (None, path):  # else it is a folder above it
        return f"{path}: not a file, but a {kind}"
    return explain(error, path, "read")


def _compare_rows(file: BinaryIO, path: str, rows: int, file_format: Format) -> list[Finding]:
    try:
        counted = count(file, file_format)
    except CorruptArchive as error:
        return [Finding(Fault.UNREADABLE, path, f"{path}: its records cannot be counted: {error}")]
    if counted == rows:
        return []
    return [
        Finding(Fault.ROWS, path, f"{path}: it holds {counted:,} records, the ledger has {rows:,}")
    ]


def count(file: BinaryIO, file_format: Format) -> int:
    """The records of a published file, read from where it stands; see `OutputFormat.count`."""
    return output_format(file_format).count(file)
