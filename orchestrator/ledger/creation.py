"""Makes new ledgers. Each gets its name when it is complete, so an empty file is damage."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from orchestrator.errors import LedgerError
from orchestrator.fsync import make_folder, sync_folder
from orchestrator.ledger.schema import migrate
from orchestrator.ledger.sqlite_errors import way_back
from orchestrator.presence import exists, is_file

_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
_UNFINISHED: Final = ".new"  # What the name of a new ledger ends in until it is complete.


def begin_if_none(path: Path) -> None:
    """Makes a new ledger where there is no file; call it under the run's lock.

    A link that leads to where none is yet stays: the ledger is begun at its end.

    Raises:
        sqlite3.Error: the disk.
        OSError: the disk.
    """
    path = path.resolve()
    make_folder(path.parent)
    if exists(path):
        return
    unfinished = path.with_name(path.name + _UNFINISHED)
    remove_ledger(unfinished)
    try:
        # SQLite gives its -wal and -shm files the rights of the ledger.
        unfinished.touch(0o600, exist_ok=False)
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            migrate(connection, str(unfinished))
        give_name(unfinished, path)
    finally:
        remove_ledger(unfinished)


def give_name(unfinished: Path, path: Path) -> None:
    """Gives a ledger that is whole, in one file, its name, where there is no ledger.

    Raises:
        OSError: the disk.
    """
    # A log that a lost ledger has left would be taken for this one's.
    remove_ledger(path)
    unfinished.replace(path)
    sync_folder(path.parent)


def refuse_empty(path: Path) -> None:
    """Refuses a ledger without a byte: what it knew would be bought again.

    Raises:
        LedgerError: it is empty; or a folder, a pipe or a device.
    """
    if exists(path) and not is_file(path):
        raise LedgerError(f"the ledger {path} is no file; point `state` at the ledger")
    if is_file(path) and not path.stat().st_size:
        raise LedgerError(
            f"the ledger {path} is an empty file: what it knew is lost; {way_back()}; if it never "
            "knew anything, remove it"
        )


def remove_ledger(path: Path) -> None:
    """Removes what is there of a ledger: its file, and its logs."""
    for file in files_of(path):
        file.unlink(missing_ok=True)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files of which a ledger may consist: itself, and the logs that SQLite keeps beside it."""
    return tuple(path.with_name(path.name + suffix) for suffix in _SUFFIXES)
