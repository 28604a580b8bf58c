"""The collected files of a series, as briefly as the manifest needs them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import CollectedFile, from_ms
from orchestrator.core.lifecycle import State
from orchestrator.ledger import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_window = lru_cache(maxsize=8192)(Window.of_epoch)
"""Most series of a job were collected in the same windows."""


def collected(connection: sqlite3.Connection, series_id: int) -> Iterator[CollectedFile]:
    """The collected files of a series, by window; lazy.

    Raises:
        LedgerError: one lacks what a collected file has.
    """
    cursor = connection.execute(
        "SELECT id, window_start, window_end, changed_at, target, rows, size_bytes, sha256,"
        " request_id, api_key, job, intended_at, server_ahead, submitted_at, ready_at, replaces"
        " FROM report INDEXED BY report_series"
        " WHERE series_id = ? AND state = ? ORDER BY window_start, id",
        (series_id, State.COLLECTED.value),
    )
    for (
        number, start, end, at, target, records, size_bytes, sha256, name, key, job,
        intended_ms, ahead_ms, submitted_ms, ready_ms, replaces,
    ) in cursor:  # fmt: skip
        try:
            if None in (target, records, size_bytes, sha256):
                raise rows.InvalidRow("it is collected, but its file is not known")
            yield CollectedFile(
                _window(start, end),
                target,
                records,
                size_bytes,
                sha256,
                name,
                key,
                job,
                from_ms(at),
                number,
                intended_ms,
                ahead_ms,
                submitted_ms,
                ready_ms,
                replaces,
            )
        except rows.SENSELESS as error:
            raise rows.damaged(f"report {number}", error) from error
