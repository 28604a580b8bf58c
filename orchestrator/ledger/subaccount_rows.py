"""Stores how many records of other accounts are in files of series with subaccounts."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.core import lifecycle
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import SubaccountRows
from orchestrator.core.lifecycle import Event, State
from orchestrator.core.model import Series
from orchestrator.ledger.rows import refuse_damaged


def note(connection: sqlite3.Connection, report_id: int, event: Event) -> None:
    """Keeps what an event says of other accounts' records."""
    match event:
        case lifecycle.Verified(foreign=foreign) | lifecycle.Accepted(foreign=foreign):
            connection.executemany(
                "INSERT OR REPLACE INTO foreign_rows VALUES (?, ?, ?)",
                [(report_id, account_id, rows) for account_id, rows in foreign or ()],
            )
        case lifecycle.FileMissing():
            connection.execute("DELETE FROM foreign_rows WHERE report_id = ?", (report_id,))
        case _:
            pass


def of(connection: sqlite3.Connection, report_id: int) -> tuple[tuple[str, int], ...]:
    """The records of other accounts in one report's file, by account."""
    return tuple(
        (account_id, number)
        for account_id, number in connection.execute(
            "SELECT account_id, rows FROM foreign_rows WHERE report_id = ? ORDER BY account_id",
            (report_id,),
        )
    )


def of_all_files(
    connection: sqlite3.Connection, series_of: Callable[[int], Series]
) -> Iterator[SubaccountRows]:
    """Every such count of the collected files, by file."""
    cursor: Any = connection.execute(
        "SELECT series_id, window_start, window_end, report_id, account_id, foreign_rows.rows AS n"
        " FROM foreign_rows JOIN report ON report.id = report_id WHERE state = ?"
        " ORDER BY report_id, account_id",
        (State.COLLECTED.value,),
    )
    for row in cursor:
        with refuse_damaged(f"report {row['report_id']}"):
            window = Window.of_epoch(row["window_start"], row["window_end"])
        series = series_of(row["series_id"])
        yield SubaccountRows(series, window, row["report_id"], row["account_id"], row["n"])
