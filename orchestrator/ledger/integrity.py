"""Checks a ledger's file for damage, before anything is bought by it.

SQLite itself notices only what it stumbles over; an index that lacks a report would have that
report bought again. So all of the file is read once a run: at about 5 ms a megabyte. A small one
is read before the run begins. For a large one that would be a long silence before the first
request; it is read beside the beginning of the run, which looks at and downloads what is bought
already, and buys nothing until the check has passed.
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from anyio import to_thread

from orchestrator.errors import LedgerError
from orchestrator.ledger.hardening import open_file
from orchestrator.ledger.sqlite_errors import way_back
from orchestrator.presence import is_file

SMALL_BYTES: Final = 64 * 1024 * 1024  # Up to this size the check takes a third of a second.


def is_large(path: Path) -> bool:
    """Whether the file of a ledger is too large to be checked before anything else."""
    return is_file(path) and path.stat().st_size > SMALL_BYTES


def refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    """Refuses a ledger whose pages or indexes contradict each other.

    Raises:
        LedgerError: it is damaged.
        sqlite3.Error: so damaged that it cannot even be checked.
    """
    (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result != "ok":
        raise LedgerError(f"the ledger {path}: the file is damaged; {way_back()}")


async def check_beside(path: Path) -> None:
    """`refuse_damage` in a thread, on a connection of its own; ends at once when cancelled.

    Raises:
        LedgerError: it is damaged.
        sqlite3.Error: so damaged that it cannot even be checked.
    """
    connection = open_file(path, "mode=ro")
    begun = passed = False

    def check() -> None:
        nonlocal begun
        begun = True
        with closing(connection):
            refuse_damage(connection, path)

    try:
        await to_thread.run_sync(check, abandon_on_cancel=True)
        passed = True
    finally:
        if not begun:
            connection.close()
        elif not passed:
            with suppress(sqlite3.ProgrammingError):  # it has ended by itself
                connection.interrupt()
