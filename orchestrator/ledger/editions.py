"""The rules of editions: reports bought on purpose over what is collected already.

An edition has no window of its own until it is collected: its predecessor has it. Both change in
one transaction, so every moment is had by one report and never by two.
"""

import sqlite3

from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report
from orchestrator.errors import InvalidTransition


def has_window(state: State, replaces: int | None) -> bool:
    """Whether a report in this state counts as having its window."""
    return state.has_window and (replaces is None or state in (State.COLLECTED, State.ERASED))


def check(connection: sqlite3.Connection, current: Report) -> None:
    """Makes sure that a newer edition of a report may be bought.

    Raises:
        InvalidTransition: it is not the collected one, or has a newer edition under way.
    """
    row = connection.execute("SELECT state FROM report WHERE id = ?", (current.id,)).fetchone()
    if row is None or row["state"] != State.COLLECTED.value:
        raise InvalidTransition(
            f"{current.series}, {current.window}: report {current.id} is not what is collected of "
            "it (any more), so no newer edition of it is bought"
        )
    under_way = newer(connection, current)
    if under_way is not None:
        raise InvalidTransition(
            f"{current.series}, {current.window}: report {under_way} is a newer edition that is "
            "not settled yet; buying another would be paying twice"
        )


def newer(connection: sqlite3.Connection, current: Report) -> int | None:
    """The number of a newer edition that is open or waits for a person; None if there is none."""
    row = connection.execute(
        "SELECT report.id FROM report INDEXED BY report_edition"
        " JOIN report AS current ON current.id = ?"
        " WHERE report.series_id = current.series_id AND report.replaces = ?"
        " AND (report.is_open = 1 OR report.state = ?)",
        (current.id, current.id, State.DISPUTED.value),
    ).fetchone()
    return None if row is None else int(row[0])


def superseded_ids(connection: sqlite3.Connection, only: int | None = None) -> list[int]:
    """The reports whose file is no longer collected, and still to be removed; by number.

    With `only`: at most this one.
    """
    # A name that a collected report has is never to be removed, whatever else the ledger says.
    cursor = connection.execute(
        """
        SELECT id FROM report AS old INDEXED BY report_to_remove
        WHERE state IN ('superseded', 'erased') AND target IS NOT NULL AND coalesce(id = ?, 1)
        AND NOT EXISTS (
            SELECT 1 FROM report AS current WHERE current.series_id = old.series_id
            AND current.window_start = old.window_start AND current.state = ?
            AND current.target = old.target
        ) ORDER BY id
        """,
        (only, State.COLLECTED.value),
    )
    return [number for (number,) in cursor]
