"""Ledgers of a million reports, made by SQL within seconds, as runs would have left them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.app.manifest_sync import entries
from orchestrator.collect.manifest_writing import write_manifest
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.model import Series
from orchestrator.ledger.rows import body_text
from orchestrator.ledger.sqlite import connect, reading

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

FIRST_DAY: Final = date(2023, 1, 1)
_DAY_SECONDS: Final = 24 * 60 * 60
_MOST_CHUNKS: Final = 1000
API_KEY: Final = "abcd1234"
SECRET: Final = "BENCHMARK_SECRET"


@dataclass(frozen=True, slots=True)
class Dataset:
    """So many series, so many daily reports each.

    Attributes:
        folder: holds job, config, ledger and manifest.
        series: how many, each of an account of its own.
        chunks: of each series.
        open: how many of the reports, the last ones, are submitted and not finished.
    """

    folder: Path
    series: int
    chunks: int
    open: int = 0

    @classmethod
    def of(cls, folder: Path, reports: int, open_reports: int = 0) -> Dataset:
        """About so many reports: at most a thousand a series, and at least ten series."""
        chunks = min(_MOST_CHUNKS, max(1, round(reports**0.5)))
        return cls(folder, max(1, reports // chunks), chunks, open_reports)

    @property
    def reports(self) -> int:
        """How many there are in all."""
        return self.series * self.chunks

    @property
    def job(self) -> Path:
        """The job file; it wants what the ledger holds."""
        return self.folder / "job.yaml"

    @property
    def state(self) -> Path:
        """The ledger."""
        return self.folder / "state" / "ledger.db"

    @property
    def end(self) -> date:
        """The first day that is not wanted."""
        return FIRST_DAY + timedelta(days=self.chunks)

    def write_job(self, base_url: str) -> None:
        """Writes job and config."""
        self.folder.mkdir(parents=True, exist_ok=True)
        accounts = ", ".join(_account(number) for number in range(self.series))
        self.job.write_text(
            f"name: nightly\naccounts: [{accounts}]\n"
            "products: [{product: SMS, direction: outbound}]\n"
            f"windows: [{{from: {FIRST_DAY}, to: {self.end}}}]\nchunk: 1 day\n",
            encoding="utf-8",
        )
        (self.folder / "config.yaml").write_text(
            f"api: {{base_url: '{base_url}'}}\nstate: state/ledger.db\n"
            "output: {directory: reports}\n"
            f"credentials: {{default: {{api_key: {API_KEY}, api_secret: '${{{SECRET}}}'}}}}\n",
            encoding="utf-8",
        )

    def make_ledger(self) -> None:
        """Makes the ledger: five events a collected report, two an open one."""
        with closing(connect(self.state)) as connection:
            connection.execute("PRAGMA journal_mode = MEMORY")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            for number in range(self.series):
                one = Series.of(_account(number), "SMS", "outbound")
                connection.execute(
                    "INSERT INTO series (key, account_id, kind, body) VALUES (?, ?, ?, ?)",
                    (one.key, one.account_id, one.kind, body_text(one)),
                )
            self._fill(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")

    def _fill(self, connection: sqlite3.Connection) -> None:
        epoch = int(datetime.combine(FIRST_DAY, datetime.min.time(), UTC).timestamp())
        numbers = {
            "total": self.reports,
            "chunks": self.chunks,
            "collected": self.reports - self.open,
            "epoch": epoch,
            "day": _DAY_SECONDS,
            "bought": (epoch + (self.chunks + 1) * _DAY_SECONDS) * 1000 - self.reports * 200,
        }
        connection.execute(_REPORTS, numbers)
        connection.execute(_EVENTS)

    def make_manifest(self) -> int:
        """Writes the manifest as the end of a run does; its size in bytes."""
        output = self.folder / "reports"
        with reading(self.state) as store:
            write_manifest(FolderStore(output), entries(store), datetime.now(UTC), store.point())
        return (output / "manifest.jsonl").stat().st_size


def _account(number: int) -> str:
    return f"acct{number:04}"


_UUID: Final = "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(8)))"

_REPORTS: Final = f"""
WITH RECURSIVE number (n) AS (
    SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :total
)
INSERT INTO report (
    id, series_id, window_start, window_end, state, is_open, has_window, api_key, job, intended_at,
    server_ahead, request_id, submitted_at, ready_at, items_count, download_url, rows, size_bytes,
    sha256, target, changed_at
)
SELECT
    n + 1, n / :chunks + 1, :epoch + n % :chunks * :day, :epoch + (n % :chunks + 1) * :day,
    iif(done, 'collected', 'submitted'), NOT done, 1, '{API_KEY}', 'nightly', :bought + n * 200,
    150, {_UUID}, :bought + n * 200 + 120, iif(done, :bought + n * 200 + 9000, NULL),
    iif(done, n % 5000, NULL), iif(done, 'https://api.nexmo.com/v3/media/' || {_UUID}, NULL),
    iif(done, n % 5000, NULL), iif(done, n % 5000 * 150, NULL),
    iif(done, lower(hex(randomblob(32))), NULL),
    iif(done, printf(
        'report_account=acct%04d/report_product=SMS/report_direction=outbound/report_filter=all/'
        || '%sT000000Z_%sT000000Z.csv', n / :chunks,
        strftime('%Y%m%d', :epoch + n % :chunks * :day, 'unixepoch'),
        strftime('%Y%m%d', :epoch + (n % :chunks + 1) * :day, 'unixepoch')
    ), NULL),
    :bought + n * 200 + 9500
FROM (SELECT n, n < :collected AS done FROM number)
"""

_EVENTS: Final = """
INSERT INTO event (report_id, at, kind, from_state, to_state, facts)
SELECT
    report.id, intended_at + step * 1000, kind, prior, next,
    CASE step
        WHEN 1 THEN json_object('request_id', request_id)
        WHEN 2 THEN json_object('items_count', items_count, 'download_url', download_url)
        WHEN 3 THEN json_object(
            'sha256', sha256, 'rows', rows, 'size_bytes', size_bytes, 'target', target
        )
        ELSE '{}'
    END
FROM report CROSS JOIN (
    SELECT 0 AS step, 'Intended' AS kind, NULL AS prior, 'submitting' AS next
    UNION ALL SELECT 1, 'Created', 'submitting', 'submitted'
    UNION ALL SELECT 2, 'Finished', 'submitted', 'ready'
    UNION ALL SELECT 3, 'Verified', 'ready', 'verified'
    UNION ALL SELECT 4, 'Published', 'verified', 'collected'
)
WHERE is_open = 0 OR step < 2
"""
