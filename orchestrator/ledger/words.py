"""What SQLite says, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import LedgerError
from orchestrator.ledger.damage import REMEDY

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def explain(error: sqlite3.Error, path: Path) -> LedgerError:
    """An error of SQLite in words, with what to do."""
    words = str(error)
    if "disk is full" in words:
        remedy = "the disk is full; make room and run again: nothing is lost"
    elif "readonly" in words or "unable to open" in words:
        remedy = "it cannot be written; check the owner and the mode of the file and its directory"
    elif "disk I/O" in words:
        remedy = "the disk is full or fails, or `ulimit -f` is low; run again: nothing is lost"
    elif "malformed" in words or "not a database" in words:
        remedy = REMEDY
    elif "locked" in words:
        remedy = "another program holds it; close that program"
    else:
        remedy = "check the disk and run again"
    return LedgerError(f"the ledger {path}: {words}; {remedy}")
