"""The API's inside: who owns what, which reports there are, what became of them, what they cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.core.products import PRODUCTS
from orchestrator.core.vonage import RETENTION_MONTHS
from orchestrator.simulator import billing, problems
from orchestrator.simulator.dates import months_later
from orchestrator.simulator.faults.model import FaultInjector
from orchestrator.simulator.faults.places import FaultOfReport
from orchestrator.simulator.randomness import SeededRandom
from orchestrator.simulator.records.columns import USAGE_COLUMNS
from orchestrator.simulator.records.source import Query, Records
from orchestrator.simulator.report_index import STATUSES, ReportIndex
from orchestrator.simulator.reports import Charge, Phase, Report, moment
from orchestrator.simulator.usage import UsageRecord
from orchestrator.simulator.work_queue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from orchestrator.simulator.clock import WorldClock
    from orchestrator.simulator.requests import Request
    from orchestrator.simulator.settings import ApiKey, Settings

LINK_LIFE: Final = timedelta(hours=72)
"""How long a finished file can be downloaded."""

MEMORY: Final = timedelta(days=4)
"""How long a report is known by its id, from its request on."""

_HEAVY_MICROSECONDS: Final = 3000
_USAGE: Final = "REPORTS-USAGE"


class World:
    """Accounts, reports and their bill. Touch it on the loop's thread only.

    Whatever time brings has happened before a method answers.

    Attributes:
        injector: the faults, and how often each has struck.
        on_change: called when a callback may be nearer than it was.
        forged_callbacks: reports of which somebody is about to send a forged callback.
        turned_away: creates that `Settings.max_open` refused.
        ended_with_callback: ended reports whose callback nobody has sent yet, oldest first.
    """

    def __init__(self, settings: Settings, clock: WorldClock) -> None:
        self.settings = settings
        self.clock = clock
        self.records = Records(settings)
        self.injector = FaultInjector(settings.faults)
        self.on_change: Callable[[], None] = lambda: None
        self.forged_callbacks: list[Report] = []
        self.ended_with_callback: list[Report] = []
        self._odds = SeededRandom(settings, clock.epoch())
        self.turned_away = 0
        self._register = ReportIndex()
        self._synchronous: list[UsageRecord] = []
        self._open_callbacks = 0
        self._schedule = WorkQueue(settings.concurrency, settings.pending_time.total_seconds())

    # --- what the endpoints do -------------------------------------------------------------------

    def create(
        self, key: ApiKey, request: Request, elapsed: float = 0.0, *, stranger: bool = False
    ) -> Report:
        """Takes a request for a report.

        Args:
            key: who asks.
            request: for what.
            elapsed: seconds of the loop since the server began, for faults.
            stranger: it is not the client under test who asks; no fault strikes.

        Raises:
            Refused: 403, the account is not the key's; 429, it has too many open reports.
        """
        if request.account_id not in key.accounts:
            raise problems.forbidden()
        now = self.advance()
        limit = self.settings.max_open
        if limit is not None and self._register.count_open(key.api_key) >= limit:
            self.turned_away += 1
            raise problems.too_many_open(self.settings.max_open_type)
        number = len(self._register.all)
        query = request.query(self.settings)
        report = Report(
            number=number,
            request_id=("ri3p58f-" if self.settings.dialect.prefix else "")
            + self._odds.uuid("report", number),
            file_id=self._odds.uuid("file", number),
            key=key.api_key,
            request=request,
            query=query,
            created=now,
            duration=self._odds.duration(self.records.expected(query), number),
            style=self._odds.style(number),
            stranger=stranger,
        )
        if "report" in self.injector.places and not stranger:
            fault = self.injector.strike("report", request.account_id, request.product, elapsed)
            if isinstance(fault, FaultOfReport):
                fault.change(report.report_faults)
        self._register.add(report)
        self._schedule.admit(report)
        if request.callback_url:
            self._open_callbacks += 1
            if report.report_faults.callback.forged:
                self.forged_callbacks.append(report)
            self.on_change()
        return report

    def report(self, key: ApiKey, request_id: str) -> Report:
        """A report by its id.

        Raises:
            Refused: 404: never was, another key's, or older than four days.
        """
        now = self.advance()
        report = self._register.report(request_id)
        if (
            report is None
            or not self._may_see(key, report)
            or _age(report, now) >= MEMORY
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
        if report.report_faults.keeps_on:
            return report
        if report.phase is Phase.ENDED:
            raise problems.already_final()
        report.word, report.rows = "ABORTED", 0
        self._schedule.drop(report, self.clock.epoch())
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
        """The reports created by an account in a time (both ends included), oldest first.

        Where `statuses` are those of open reports, others may be left out.

        Raises:
            Refused: 403, the account is not the key's.
        """
        if account_id not in key.accounts:
            raise problems.forbidden()
        now = self.advance()
        under = self.settings.list_under
        found = self._register.listed(
            created_from.timestamp(),
            created_to.timestamp(),
            account_id=account_id if under != "key" else "",
            api_key=account_id if under != "account" else "",
            statuses=statuses,
        )
        return [
            report for report in found if self._may_see(key, report) and not report.is_unlisted(now)
        ]

    def file(self, key: ApiKey, file_id: str) -> Report:
        """The report whose file this is, if it can be downloaded; it may need settling.

        Raises:
            Refused: 404: never was, another key's, or older than 72 hours.
        """
        now = self.advance()
        report = self._register.of_file(file_id)
        if (
            report is None
            or report.ended is None
            or not self._may_see(key, report)
            or not report.report_faults.late_file <= now - report.ended < LINK_LIFE.total_seconds()
        ):
            raise problems.no_file()
        return report

    def charge_query(self, key: ApiKey, request: Request, rows: int) -> str:
        """Books one answer of the synchronous call; returns its request id."""
        now = self.advance()
        request_id = self._odds.uuid("query", len(self._synchronous))
        charge = Charge(
            request_id, key.api_key, request.account_id, request.product, request.echo,
            request.start, request.end, rows, 0 if _is_free(request.product) else rows, "SUCCESS",
        )  # fmt: skip
        self._synchronous.append(UsageRecord(charge, "SYNC_JOB_FROM_DATES", now, now, now))
        return request_id

    def find(self, either_id: str) -> Report | None:
        """The report with this id, or whose file has it, whoever may see it."""
        return self._register.report(either_id) or self._register.of_file(either_id)

    def known_reports(self) -> tuple[Report, ...]:
        """Every report there ever was, oldest first; ended ones may need settling."""
        return tuple(self._register.all.values())

    # --- time ------------------------------------------------------------------------------------

    def advance(self) -> float:
        """Lets everything happen that is due by now; returns now, in seconds since 1970."""
        now = self.clock.epoch()
        for report in self._schedule.advance(now):
            if report.aborted:
                report.word, report.rows = "ABORTED", 0
            self._note_end(report)
        return now

    def next_change(self) -> float:
        """When the next report starts or ends, in seconds since 1970; may be infinite."""
        return self._schedule.next_change()

    @property
    def has_open_callbacks(self) -> bool:
        """Whether a report that is still open has a callback to send."""
        return self._open_callbacks > 0

    def _note_end(self, report: Report) -> None:
        self._register.ended(report)
        if report.request.callback_url:
            self._open_callbacks -= 1
            self.ended_with_callback.append(report)
            self.on_change()

    # --- what is in a report ---------------------------------------------------------------------

    def is_heavy(self, report: Report) -> bool:
        """Whether counting its records takes so long that a thread should do it."""
        if report.request.product == _USAGE:
            return False
        return self.records.effort(report.query) > _HEAVY_MICROSECONDS

    def count(self, report: Report) -> int:
        """How many records an ended report found: pure, so any thread may do it."""
        if report.request.product == _USAGE:
            return len(self._usage(self._there(report), report.ended or 0.0))
        return self.records.count(self._there(report))

    def settle(self, report: Report, found: int | None = None) -> Report:
        """Fixes the outcome of a report whose work has ended; returns it. Idempotent.

        Args:
            report: any report.
            found: what `count` said, where it was asked already.
        """
        if not report.needs_settling:
            return report
        found = self.count(report) if found is None else found
        report.query = self._there(report)
        limit = self.settings.max_rows
        word = report.report_faults.outcome or (
            "TRUNCATED" if limit is not None and found > limit else "SUCCESS"
        )
        rows = found if limit is None else min(found, limit)
        if report.report_faults.outcome == "TRUNCATED":
            most = report.report_faults.cut_to
            rows = min(rows, found // 2 if most is None else most)
        report.word = word
        report.rows = rows if word in ("SUCCESS", "TRUNCATED") else 0
        return report

    def content(
        self, report: Report
    ) -> tuple[tuple[str, ...], tuple[int, ...], Iterator[list[str]]]:
        """Columns, positions of those that may hold quotes, and all records of a settled report.

        The records may be drawn in another thread; there may be more of them than the file holds.
        """
        if report.request.product == _USAGE:
            names = tuple(USAGE_COLUMNS)
            rows = self._usage(report.query, report.ended or 0.0)
            return names, tuple(range(len(names))), iter(rows)
        form = report.query.schema
        return form.names, form.careful, self.records.rows(report.query)

    def _there(self, report: Report) -> Query:
        """The query, narrowed to the records that were there when work on it began."""
        if report.started is None or report.word is not None:
            return report.query
        return self._visible(report.query, report.started)

    def _visible(self, query: Query, at: float) -> Query:
        """The query, narrowed to what has arrived at a moment and is still kept."""
        start, end = query.start, min(query.end, int(at) + 1)
        if self.settings.retention:
            start = max(start, int(self.kept_from(query.product, moment(at)).timestamp()))
        return replace(query, start=start, end=max(start, end), seen_at=int(at))

    @staticmethod
    def kept_from(product: str, now: datetime) -> datetime:
        """Records of a product older than this are gone, where retention is on."""
        known = PRODUCTS.get(product)
        if known and known.retention is not None:
            return now - known.retention
        return months_later(now, -RETENTION_MONTHS)

    def arrived_rows(self, query: Query) -> Iterator[list[str]]:
        """The records that are there now, for the synchronous call."""
        now = self.clock.epoch()
        if query.product == _USAGE:
            return iter(self._usage(query, now))
        return self.records.rows(self._visible(query, now))

    def _usage(self, query: Query, seen_at: float) -> list[list[str]]:
        """The records of ``REPORTS-USAGE``: what had ended by then."""
        uses = [use for use in self._synchronous if use.ended <= seen_at]
        uses += [
            UsageRecord(
                self._charge(report), "ASYNC_JOB", report.created, report.started, report.ended
            )
            for report in self._register.all.values()
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
        reports = [self._charge(report) for report in self._register.all.values()]
        return reports + [use.charge for use in self._synchronous]

    def charged(self) -> int:
        """Records paid for, all together."""
        return sum(charge.charged for charge in self.bill())

    def paid_twice(self) -> Mapping[str, tuple[str, ...]]:
        """Records that stand in more than one paid report, each with the reports' ids.

        Synchronous queries, free products and what strangers asked for are not looked at.
        """
        self.advance()
        return billing.paid_twice(self.records, self._paid())

    def _paid(self) -> list[Report]:
        return [
            report
            for report in self._register.all.values()
            if not report.stranger and self._charge(report).charged
        ]

    def reports(self) -> tuple[Report, ...]:
        """Every report there ever was, oldest first, ended ones settled."""
        self.advance()
        return tuple(self.settle(report) for report in self._register.all.values())

    def _charge(self, report: Report) -> Charge:
        self.settle(report)
        rows = report.rows or 0
        request = report.request
        return Charge(
            request_id=report.request_id,
            key=report.key,
            account_id=request.account_id,
            product=request.product,
            body=request.echo,
            date_start=request.start,
            date_end=request.end,
            rows=rows,
            charged=0 if _is_free(request.product) else rows,
            status=report.status,
        )

    def _may_see(self, key: ApiKey, report: Report) -> bool:
        return report.key == key.api_key or report.request.account_id in key.accounts


def _age(report: Report, now: float) -> timedelta:
    return timedelta(seconds=now - report.created)


def _is_free(product: str) -> bool:
    known = PRODUCTS.get(product)
    return bool(known and known.free)
