"""Refuses ledgers that something else has changed: the file may have been made to do harm.

No function of SQL runs because the schema says so, no row is read that is larger than any of ours,
and a ledger with triggers, views or other columns than ours is refused: they would change what is
written, or read, behind the program's back. What a user adds beside (a table, an index) may stay.
"""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from orchestrator.core.lifecycle import State
from orchestrator.errors import LedgerError
from orchestrator.ledger.schema import VERSION, migrate
from orchestrator.ledger.sqlite_errors import way_back

_MAX_ROW_BYTES: Final = 32 * 1024 * 1024  # A thousand times our longest row.

BUSY_SECONDS: Final = 30.0  # Wait for another program that holds the file; then it is an error.

_STATES: Final = frozenset(state.value for state in State)

_Columns = tuple[tuple[str, str, int], ...]


def harden(connection: sqlite3.Connection) -> None:
    """Has SQLite trust nothing that stands in the file."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_ROW_BYTES)


def open_file(path: Path, options: str) -> sqlite3.Connection:
    """A hardened connection to a file that is there, for any thread.

    Args:
        options: of SQLite's URI, such as ``mode=ro``.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_SECONDS,
    )
    harden(connection)
    return connection


def refuse_tampered(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """Refuses a ledger whose schema is not ours.

    Args:
        version: of its tables; that of an older one is looked at less closely.

    Raises:
        LedgerError: it has a trigger, a view, or other tables and columns than it should.
        sqlite3.Error: it cannot be read.
    """
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_schema"):
        if kind in {"trigger", "view"}:
            raise _tampered(path, f"a {kind}")
        if str(sql).lstrip().upper().startswith("CREATE VIRTUAL") or not isinstance(name, str):
            raise _tampered(path, "a virtual table")
    if version == VERSION:
        tables, indexes = _ours()
        for name, columns in tables.items():
            if _columns(connection, name) != columns:
                raise _tampered(path, f"another table {name}")
        if not indexes <= _indexes(connection):
            raise _tampered(path, "fewer indexes")
        # A report in a state that there is not would be seen by no command: not as collected, not
        # as open, and its time would be bought again.
        for (state,) in connection.execute("SELECT DISTINCT state FROM report"):
            if state not in _STATES:
                raise _tampered(path, "a report in an unknown state")


def _tampered(path: Path, content: str) -> LedgerError:
    return LedgerError(
        f"the ledger {path} holds {content} that this program has not made: something else has "
        f"changed the file; {way_back()}"
    )


def _columns(connection: sqlite3.Connection, table: str) -> _Columns:
    """Name, type and kind (generated or not) of each column of a table."""
    rows = connection.execute(
        "SELECT name, type, hidden FROM pragma_table_xinfo(?) ORDER BY cid", (table,)
    )
    return tuple((str(name), str(kind), int(hidden)) for name, kind, hidden in rows)


def _indexes(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    return frozenset(
        (str(table), str(name))
        for table, name in connection.execute(
            "SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index'"
        )
    )


@cache
def _ours() -> tuple[dict[str, _Columns], frozenset[tuple[str, str]]]:
    """The columns of each table of a new ledger, and its indexes."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, "")
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: _columns(connection, name) for (name,) in names}, _indexes(connection)
