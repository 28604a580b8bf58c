"""The tables of the ledger, and the steps from each version of them to the next."""

import sqlite3
from typing import Final

from orchestrator.errors import LedgerError

APPLICATION_ID: Final = 0x4F524348
"""Marks an SQLite file as a ledger of this program ("ORCH")."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE series (
            id         INTEGER PRIMARY KEY,
            key        TEXT NOT NULL UNIQUE,  -- SHA-256 of the canonical body, hex
            account_id TEXT NOT NULL,
            kind       TEXT NOT NULL,         -- SHA-256 of the body without the account, hex
            body       TEXT NOT NULL,         -- the canonical body, JSON
            retried_at INTEGER NOT NULL DEFAULT 0  -- failures up to then no longer count
        ) STRICT
        """,
        "CREATE INDEX series_account ON series (account_id)",
        "CREATE INDEX series_kind ON series (kind)",
        # Windows are seconds, other moments milliseconds since 1970-01-01T00:00:00Z.
        # is_open and has_window follow from the state; they are columns so that indexes can be
        # partial on them.
        """
        CREATE TABLE report (
            id              INTEGER PRIMARY KEY,
            series_id       INTEGER NOT NULL REFERENCES series (id),
            window_start    INTEGER NOT NULL,
            window_end      INTEGER NOT NULL CHECK (window_start < window_end),
            state           TEXT NOT NULL,
            is_open         INTEGER NOT NULL,
            has_window      INTEGER NOT NULL,
            api_key         TEXT NOT NULL,
            job             TEXT NOT NULL,
            intended_at     INTEGER NOT NULL,
            server_ahead    INTEGER NOT NULL,
            callback_url    TEXT,
            request_id      TEXT,
            submitted_at    INTEGER,
            ready_at        INTEGER,
            items_count     INTEGER,
            download_url    TEXT,
            rows            INTEGER,
            size_bytes      INTEGER,
            sha256          TEXT,
            target          TEXT,
            reason          TEXT NOT NULL DEFAULT '',
            changed_at      INTEGER NOT NULL,
            edition         INTEGER NOT NULL DEFAULT 1,
            replaces        INTEGER REFERENCES report (id)
        ) STRICT
        """,
        "CREATE UNIQUE INDEX report_request ON report (request_id) WHERE request_id IS NOT NULL",
        "CREATE INDEX report_series ON report (series_id, window_start)",
        "CREATE INDEX report_had ON report (series_id, window_start) WHERE has_window = 1",
        # Covers the counts of `status`, so that a million reports are counted without reading
        # them, and the histories from which chunks are sized.
        """
        CREATE INDEX report_state ON report
        (series_id, state, window_start, window_end, rows, size_bytes)
        """,
        "CREATE INDEX report_edition ON report (series_id, replaces) WHERE replaces IS NOT NULL",
        "CREATE INDEX report_open ON report (id) WHERE is_open = 1",
        """
        CREATE TABLE event (
            id         INTEGER PRIMARY KEY,
            report_id  INTEGER NOT NULL REFERENCES report (id),
            at         INTEGER NOT NULL,
            kind       TEXT NOT NULL,
            from_state TEXT,
            to_state   TEXT NOT NULL,
            facts      TEXT NOT NULL
        ) STRICT
        """,
        "CREATE INDEX event_report ON event (report_id)",
        # The records of a file with subaccounts, by account, where they are not the report's own.
        """
        CREATE TABLE foreign_rows (
            report_id  INTEGER NOT NULL REFERENCES report (id),
            account_id TEXT NOT NULL,
            rows       INTEGER NOT NULL,
            PRIMARY KEY (report_id, account_id)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE given_up (
            id           INTEGER PRIMARY KEY,
            series_id    INTEGER NOT NULL REFERENCES series (id),
            window_start INTEGER NOT NULL,
            window_end   INTEGER NOT NULL CHECK (window_start < window_end),
            report_id    INTEGER REFERENCES report (id),
            reason       TEXT NOT NULL,
            at           INTEGER NOT NULL,
            acknowledged INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX given_up_series ON given_up (series_id, window_start)",
        """
        CREATE TABLE resolved (
            job          TEXT NOT NULL,
            series_id    INTEGER NOT NULL REFERENCES series (id),
            window_start INTEGER NOT NULL,
            window_end   INTEGER NOT NULL CHECK (window_start < window_end),
            PRIMARY KEY (job, series_id, window_start)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE mark (
            job       TEXT NOT NULL,
            series_id INTEGER NOT NULL REFERENCES series (id),
            at        INTEGER NOT NULL,
            PRIMARY KEY (job, series_id)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        # Read page by page in this order, so that a million open reports are never in memory.
        "DROP INDEX report_open",
        "CREATE INDEX report_open ON report (ready_at, id, series_id) WHERE is_open = 1",
        """
        CREATE INDEX report_unknown ON report (series_id)
        WHERE is_open = 1 AND request_id IS NULL
        """,
        # Covers what is had, so that a plan does not read a million reports to know it.
        "DROP INDEX report_had",
        """
        CREATE INDEX report_had ON report (series_id, window_start, window_end)
        WHERE has_window = 1
        """,
    ),
    (
        # The event by which a report came to nothing, where that counts as a purchase: what counts
        # is the order of events, for clocks may be wrong.
        "ALTER TABLE report ADD COLUMN failed INTEGER",
        """
        UPDATE report SET failed = (SELECT max(id) FROM event WHERE report_id = report.id)
        WHERE state IN ('truncated', 'failed', 'aborted', 'expired', 'lost')
        """,
        """
        UPDATE report SET failed = (SELECT max(id) FROM event WHERE report_id = report.id)
        WHERE state = 'absent'
        AND id IN (SELECT report_id FROM event WHERE kind = 'FoundAbsent')
        """,
        # By the API's clock: what was asked for in a day and in a month.
        "CREATE INDEX report_asked ON report (intended_at + server_ahead)",
        "CREATE INDEX report_failed ON report (series_id, failed) WHERE failed IS NOT NULL",
        # The last event before a person had a say: what came to nothing up to it no longer counts.
        "ALTER TABLE series ADD COLUMN retried INTEGER NOT NULL DEFAULT 0",
        """
        UPDATE series SET retried = coalesce((
            SELECT max(event.id) FROM report JOIN event ON event.report_id = report.id
            WHERE report.series_id = series.id AND (
                event.at <= series.retried_at OR event.kind = 'Cancelled'
                OR event.kind = 'Resubmitted' AND event.facts NOT LIKE '%on_unknown%'
            )
        ), 0)
        """,
        "ALTER TABLE series DROP COLUMN retried_at",
        # Which ledger it is, and how far it has got; see `core.model.LedgerPoint`. One row.
        """
        CREATE TABLE identity (
            id         TEXT NOT NULL,
            generation INTEGER NOT NULL,
            changes    INTEGER NOT NULL
        ) STRICT
        """,
        "INSERT INTO identity VALUES (lower(hex(randomblob(16))), 1, 0)",
        # Links, and addresses with tokens, of reports that have no use for them any more.
        """
        UPDATE report SET callback_url = NULL, download_url = NULL
        WHERE is_open = 0 AND state <> 'disputed'
        AND (callback_url IS NOT NULL OR download_url IS NOT NULL)
        """,
    ),
    (
        # What those need who load the files elsewhere. A change is a value of identity.changes;
        # NULL: before this version.
        "ALTER TABLE report ADD COLUMN finding TEXT",  # why a person had to accept the file
        "ALTER TABLE report ADD COLUMN columns TEXT",  # see `core.file_columns`, JSON
        "ALTER TABLE report ADD COLUMN collected_change INTEGER",
        "ALTER TABLE report ADD COLUMN removed_change INTEGER",
        """
        CREATE INDEX report_collected ON report (collected_change)
        WHERE collected_change IS NOT NULL
        """,
        """
        CREATE INDEX report_removed ON report (removed_change)
        WHERE removed_change IS NOT NULL
        """,
        # `changes` of the ledger from whose manifest this one was made; NULL: it is the first.
        "ALTER TABLE identity ADD COLUMN rebuilt_at INTEGER",
        # Of files accepted before, the reason of the dispute that came last.
        """
        UPDATE report SET finding = coalesce((
            SELECT json_extract(facts, '$.reason') FROM event
            WHERE report_id = report.id AND kind = 'Disputed' AND json_valid(facts)
            ORDER BY id DESC LIMIT 1
        ), 'accepted by a person')
        WHERE id IN (SELECT report_id FROM event WHERE kind = 'Accepted')
        AND state IN ('verified', 'collected', 'superseded')
        AND (
            SELECT kind FROM event WHERE report_id = report.id AND kind IN ('Verified', 'Accepted')
            ORDER BY id DESC LIMIT 1
        ) = 'Accepted'
        """,
    ),
    (
        # The columns of files, with their types: JSON, see `core.file_columns`. There are few.
        """
        CREATE TABLE column_list (
            id      INTEGER PRIMARY KEY,
            columns TEXT NOT NULL UNIQUE
        ) STRICT
        """,
        "ALTER TABLE report ADD COLUMN source_sha256 TEXT",  # of the archive, hex
        "ALTER TABLE report ADD COLUMN column_list INTEGER REFERENCES column_list (id)",
        # Tells of most series at once that all files have the same columns.
        """
        CREATE INDEX report_columns ON report (series_id, column_list)
        WHERE column_list IS NOT NULL AND state = 'collected' AND rows > 0
        """,
        # The files that are no longer collected, and still to be removed.
        """
        CREATE INDEX report_to_remove ON report (id)
        WHERE state IN ('superseded', 'erased') AND target IS NOT NULL
        """,
    ),
)

VERSION: Final = len(MIGRATIONS)


def check(connection: sqlite3.Connection, path: str) -> int:
    """The version of a ledger's tables; 0 for a new, empty file.

    Raises:
        LedgerError: it is not a ledger, or a newer one than this program knows.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and tables:
        raise LedgerError(
            f"{path} is an SQLite database, but not a ledger; point `state` at another file"
        )
    if version > VERSION:
        raise LedgerError(
            f"{path} was written by a newer version of orchestrator (its tables are version "
            f"{version}, this program knows up to {VERSION}); update orchestrator"
        )
    return int(version) if tables else 0


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Brings the tables up to `VERSION`, each step together with its record in one transaction.

    Raises:
        LedgerError: see `check`.
    """
    if check(connection, path) == VERSION:
        return
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    for version, steps in enumerate(MIGRATIONS, start=1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            (reached,) = connection.execute("PRAGMA user_version").fetchone()
            if reached < version:
                for step in steps:
                    connection.execute(step)
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
