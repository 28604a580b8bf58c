"""Translates errors of SQLite: by their codes, since its texts differ between versions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orchestrator.core.commands import JOB, typed
from orchestrator.errors import LedgerError

_UNWRITABLE: Final = (
    "it cannot be opened or written; check the owner and the mode of the file, of its -wal "
    "and -shm where they are, and of its directory"
)
_HELD: Final = "another program holds it; close that program"

_ADVICE: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; make room and run again: nothing is lost",
    sqlite3.SQLITE_IOERR: "it cannot be read or written: the disk is full or fails, or `ulimit -f` "
    "is low; run again: nothing is lost",
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
}
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG})


def way_back() -> str:
    """What a person can do about a ledger that is damaged, or was changed."""
    rebuild = typed("run", JOB, "--rebuild-ledger")
    return f"restore it from a backup, or move it away and use {rebuild}"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns what SQLite or the disk refuses of a ledger into a `LedgerError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        which = "" if error.filename in (None, str(path)) else f"{error.filename}: "
        raise LedgerError(f"the ledger {path}: {which}{error.strerror}; check `state`") from error


def explain(error: sqlite3.Error, path: Path) -> LedgerError:
    """The error for a user: what has failed, and what to do."""
    # Errors of the module itself (a closed connection) have no code; an extended one has more bits.
    code = getattr(error, "sqlite_errorcode", -1) & 0xFF
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    advice = _ADVICE.get(code, f"SQLite reports {name}; check the disk and run again")
    if code in _DAMAGE:
        advice = f"the file is damaged; {way_back()}"
    return LedgerError(f"the ledger {path}: {advice}")
