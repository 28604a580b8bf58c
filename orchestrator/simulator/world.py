"""The state of the simulated API: its accounts, its reports, their outcomes and their charges."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from orchestrator.core.products import PRODUCTS
from orchestrator.core.vonage import RETENTION_MONTHS
from orchestrator.simulator import problems
from orchestrator.simulator.billing import Charge, UsageRecord, paid_twice
from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.dates import months_later
from orchestrator.simulator.faults.model import FaultInjector, FaultOfReport
from orchestrator.simulator.faults.reports import Callback, KeepsOn, LateFile, Outcome, Truncated
from orchestrator.simulator.records.columns import USAGE_COLUMNS
from orchestrator.simulator.records.source import Query, Records
from orchestrator.simulator.report_index import STATUSES, ReportIndex
from orchestrator.simulator.reports import Phase, Report, SeededRandom, moment
from orchestrator.simulator.requests import Request
from orchestrator.simulator.settings import ApiKey, Settings
from orchestrator.simulator.work_queue import WorkQueue

LINK_LIFE: Final = timedelta(hours=72)  # How long a finished file can be downloaded.
REPORT_LIFE: Final = timedelta(days=4)  # How long after its create a report is found by its id.

_HEAVY_MICROSECONDS: Final = 3000  # A count of records that takes longer runs in a thread.
_USAGE: Final = "REPORTS-USAGE"


class World:
    """Accounts, reports and their bill. Use it on the loop's thread only.

    Every method first lets happen what is due by the world's clock.
    """

    def __init__(self, settings: Settings, clock: WorldClock) -> None:
        self.settings = settings
        self.clock = clock
        self.records = Records(settings)
        self.injector = FaultInjector(settings.faults)  # the faults, and how often each has struck
        # called when the next callback may be due sooner than before
        self.on_change: Callable[[], None] = lambda: None
        # reports for which a forged callback is to be sent now
        self.forged_callbacks: list[Report] = []
        # ended reports whose callback is to be sent, oldest first
        self.ended_with_callback: list[Report] = []
        self._random = SeededRandom(settings, clock.epoch())
        self.turned_away = 0  # how many creates `Settings.max_open` refused
        self._index = ReportIndex()
        self._synchronous: list[UsageRecord] = []
        self.open_callbacks = 0  # how many reports that are still open have a callback to send
        self._queue = WorkQueue(settings.concurrency, settings.pending_time.total_seconds())

    # --- what the endpoints do -------------------------------------------------------------------

    def create(
        self, key: ApiKey, request: Request, elapsed: float = 0.0, *, stranger: bool = False
    ) -> Report:
        """Creates a report.

        Args:
            elapsed: seconds of the loop since the server began, for faults.
            stranger: somebody else than the client under test asks; no fault strikes.

        Raises:
            Refused: 403, the account is not the key's; 429, it has too many open reports.
        """
        if request.account_id not in key.accounts:
            raise problems.forbidden()
        now = self.advance()
        limit = self.settings.max_open
        if limit is not None and self._index.count_open(key.api_key) >= limit:
            self.turned_away += 1
            raise problems.too_many_open(self.settings.max_open_type)
        number = len(self._index.all)
        query = request.query(self.settings)
        report = Report(
            number=number,
            request_id=("ri3p58f-" if self.settings.dialect.prefix else "")
            + self._random.uuid("report", number),
            file_id=self._random.uuid("file", number),
            key=key.api_key,
            request=request,
            query=query,
            created=now,
            duration=self._random.duration(self.records.expected(query), number),
            style=self._random.style(number),
            stranger=stranger,
        )
        if "report" in self.injector.places and not stranger:
            fault = self.injector.strike("report", request.account_id, request.product, elapsed)
            if isinstance(fault, FaultOfReport):
                report.faults.append(fault)
        self._index.add(report)
        self._queue.admit(report)
        if request.callback_url:
            self.open_callbacks += 1
            callback = report.fault(Callback)
            if callback is not None and callback.forged:
                self.forged_callbacks.append(report)
            self.on_change()
        return report

    def report(self, key: ApiKey, request_id: str) -> Report:
        """A report by its id.

        Raises:
            Refused: 404, it was never created, is another key's, or is older than four days.
        """
        now = self.advance()
        report = self._index.report(request_id)
        if (
            report is None
            or not self._may_see(key, report)
            or now - report.created >= REPORT_LIFE.total_seconds()
            or report.is_hidden(now)
        ):
            raise problems.no_report(request_id)
        return report

    def cancel(self, key: ApiKey, request_id: str) -> Report:
        """Aborts a report that has not ended.

        Raises:
            Refused: 404 as `report`; 409, it has ended.
        """
        report = self.report(key, request_id)
        if report.fault(KeepsOn):
            return report
        if report.phase is Phase.ENDED:
            raise problems.already_final()
        report.final_status, report.rows = "ABORTED", 0
        self._queue.drop(report, self.clock.epoch())
        self._note_end(report)
        self.on_change()
        return report

    def listed(
        self,
        key: ApiKey,
        account_id: str,
        created_from: datetime,
        created_to: datetime,
        statuses: Collection[str] = STATUSES,
    ) -> list[Report]:
        """The reports that an account created between two moments, both included, oldest first.

        Where all `statuses` are those of open reports, others may be left out.

        Raises:
            Refused: 403, the account is not the key's.
        """
        if account_id not in key.accounts:
            raise problems.forbidden()
        now = self.advance()
        under = self.settings.list_under
        reports = self._index.listed(
            created_from.timestamp(),
            created_to.timestamp(),
            account_id=account_id if under != "key" else "",
            api_key=account_id if under != "account" else "",
            statuses=statuses,
        )
        return [
            report
            for report in reports
            if self._may_see(key, report) and not report.is_unlisted(now)
        ]

    def file(self, key: ApiKey, file_id: str) -> Report:
        """The report whose file this is, if it can be downloaded; it may need settling.

        Raises:
            Refused: 404, there is no such file, it is another key's, or older than 72 hours.
        """
        now = self.advance()
        report = self._index.of_file(file_id)
        if report is None or report.ended is None or not self._may_see(key, report):
            raise problems.no_file()
        late = report.fault(LateFile)
        age = now - report.ended
        if age >= LINK_LIFE.total_seconds() or (late is not None and age < late.seconds):
            raise problems.no_file()
        return report

    def charge_query(self, key: ApiKey, request: Request, rows: int) -> str:
        """Adds one answer of the synchronous call to the bill; returns its request id."""
        now = self.advance()
        request_id = self._random.uuid("query", len(self._synchronous))
        charge = Charge.of(request_id, key.api_key, request, rows)
        self._synchronous.append(UsageRecord(charge, "SYNC_JOB_FROM_DATES", now, now, now))
        return request_id

    def find(self, either_id: str) -> Report | None:
        """The report with this id, or whose file has this id, of any key."""
        return self._index.report(either_id) or self._index.of_file(either_id)

    def all_reports(self) -> tuple[Report, ...]:
        """Every report, oldest first; ended ones may need settling."""
        return tuple(self._index.all.values())

    # --- time ------------------------------------------------------------------------------------

    def advance(self) -> float:
        """Starts and ends the reports that are due by now; returns now, in seconds since 1970."""
        now = self.clock.epoch()
        for report in self._queue.advance(now):
            if report.aborted:
                report.final_status, report.rows = "ABORTED", 0
            self._note_end(report)
        return now

    def next_change(self) -> float:
        """When the next report starts or ends, in seconds since 1970; may be infinite."""
        return self._queue.next_change()

    def _note_end(self, report: Report) -> None:
        self._index.ended(report)
        if report.request.callback_url:
            self.open_callbacks -= 1
            self.ended_with_callback.append(report)
            self.on_change()

    # --- what is in a report ---------------------------------------------------------------------

    def is_heavy(self, report: Report) -> bool:
        """Whether counting its records takes so long that a thread should do it."""
        if report.request.product == _USAGE:
            return False
        return self.records.effort(report.query) > _HEAVY_MICROSECONDS

    def count(self, report: Report) -> int:
        """How many records an ended report covers; pure, so any thread may call it."""
        if report.request.product == _USAGE:
            return len(self._usage(self._existing(report), report.ended or 0.0))
        return self.records.count(self._existing(report))

    def settle(self, report: Report, count: int | None = None) -> Report:
        """Fixes the outcome of a report whose work has ended; returns it. Idempotent.

        `count` is the result of that method, where the caller has it already.
        """
        if not report.needs_settling:
            return report
        count = self.count(report) if count is None else count
        report.query = self._existing(report)
        limit = self.settings.max_rows
        word = "TRUNCATED" if limit is not None and count > limit else "SUCCESS"
        rows = count if limit is None else min(count, limit)
        outcome, truncated = report.fault(Outcome), report.fault(Truncated)
        if outcome is not None or truncated is not None:
            word = outcome.status if outcome is not None else "TRUNCATED"
            if word == "TRUNCATED":
                most = None if truncated is None else truncated.rows
                rows = min(rows, count // 2 if most is None else most)
        report.final_status = word
        report.rows = rows if word in ("SUCCESS", "TRUNCATED") else 0
        return report

    def content(
        self, report: Report
    ) -> tuple[tuple[str, ...], tuple[int, ...], Iterator[list[str]]]:
        """Columns, positions of those that may hold quotes, and the records of a settled report.

        Another thread may draw the records; there may be more of them than the file holds.
        """
        if report.request.product == _USAGE:
            names = tuple(USAGE_COLUMNS)
            rows = self._usage(report.query, report.ended or 0.0)
            return names, tuple(range(len(names))), iter(rows)
        schema = report.query.schema
        return schema.names, schema.quoted, self.records.rows(report.query)

    def _existing(self, report: Report) -> Query:
        """The query, narrowed to the records that existed when its processing began."""
        if report.started is None or report.final_status is not None:
            return report.query
        return self._visible(report.query, report.started)

    def _visible(self, query: Query, at: float) -> Query:
        """The query, narrowed to the records that have arrived by a moment and are still kept."""
        start, end = query.start, min(query.end, int(at) + 1)
        if self.settings.retention:
            start = max(start, int(self.kept_from(query.product, moment(at)).timestamp()))
        return replace(query, start=start, end=max(start, end), seen_at=int(at))

    @staticmethod
    def kept_from(product: str, now: datetime) -> datetime:
        """Records of a product older than this are gone, where retention is on."""
        entry = PRODUCTS.get(product)
        if entry and entry.retention is not None:
            return now - entry.retention
        return months_later(now, -RETENTION_MONTHS)

    def arrived_rows(self, query: Query) -> Iterator[list[str]]:
        """The records that have arrived by now, for the synchronous call."""
        now = self.clock.epoch()
        if query.product == _USAGE:
            return iter(self._usage(query, now))
        return self.records.rows(self._visible(query, now))

    def _usage(self, query: Query, seen_at: float) -> list[list[str]]:
        """The records of ``REPORTS-USAGE``: the reports and queries that had ended by `seen_at`."""
        uses = [use for use in self._synchronous if use.ended <= seen_at]
        uses += [
            UsageRecord(
                self._charge(report), "ASYNC_JOB", report.created, report.started, report.ended
            )
            for report in self._index.all.values()
            if report.ended is not None
            and report.ended <= seen_at
            and (report.ended < seen_at or report.request.product != _USAGE)
        ]
        return [
            use.row()
            for use in uses
            if use.charge.account_id in query.accounts
            and query.start <= int(use.received) < query.end
        ]

    # --- the bill --------------------------------------------------------------------------------

    def bill(self) -> list[Charge]:
        """What every report and synchronous query was charged, ended or not, oldest first."""
        self.advance()
        reports = [self._charge(report) for report in self._index.all.values()]
        return reports + [use.charge for use in self._synchronous]

    def charged(self) -> int:
        """How many records were paid for."""
        return sum(charge.charged for charge in self.bill())

    def paid_twice(self) -> Mapping[str, tuple[str, ...]]:
        """Records in more than one paid report, each with the reports' ids.

        Synchronous queries, free products and the reports of strangers do not count.
        """
        self.advance()
        paid = [
            report
            for report in self._index.all.values()
            if not report.stranger and self._charge(report).charged
        ]
        return paid_twice(self.records, paid)

    def reports(self) -> tuple[Report, ...]:
        """Every report, oldest first; ended ones are settled."""
        self.advance()
        return tuple(self.settle(report) for report in self._index.all.values())

    def _charge(self, report: Report) -> Charge:
        self.settle(report)
        return Charge.of(
            report.request_id, report.key, report.request, report.rows or 0, report.status
        )

    def _may_see(self, key: ApiKey, report: Report) -> bool:
        return report.key == key.api_key or report.request.account_id in key.accounts
