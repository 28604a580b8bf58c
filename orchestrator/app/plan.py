"""What a run would ask for: the debt of every series of the jobs, and what it adds up to.

Reads the ledger; sends and changes nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from orchestrator.app.cost import Cost
from orchestrator.app.ledger_reading import LedgerView
from orchestrator.app.overlaps import DoublePurchaseCheck
from orchestrator.app.setup import clock_of
from orchestrator.config import Inputs
from orchestrator.config.credentials import Unavailable, look_up
from orchestrator.core import debt as debts
from orchestrator.core import intervals, spending, volume
from orchestrator.core.debt import Debt
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.core.spending import Bound

REQUESTS_PER_CHUNK: Final = 2
"""A create and a download; how many polls there are depends on how long the report takes."""

_MAX_COUNTS: Final = 64
"""Numbers of chunks that are kept: most series of a job owe the same windows."""


class Plan(LedgerView):
    """What a run would ask for."""

    def __init__(self, inputs: Inputs, now: datetime) -> None:
        super().__init__(inputs)
        self.now = now

    def lines(self) -> Iterator[SeriesPlan]:
        """Every series of every job, in the jobs' order; lazy.

        Raises:
            InputError: the ledger is missing beside its files.
            LedgerError: it cannot be read, or is damaged.
        """
        with self._reading() as reader:
            check = DoublePurchaseCheck(reader, keys_of(self.inputs))
            for line in series_plans(reader, self.inputs.jobs, self.now, self.inputs.config):
                warnings = tuple(check.warnings(line.debt))
                yield replace(line, warnings=warnings) if warnings else line

    def totals(self) -> PlanTotals:
        """What the lines add up to; reads them all, in constant memory."""
        sums = PlanSums(self.inputs)
        counts = ChunkCounts()
        for line in self.lines():
            sums.add(line, counts.of(line.debt))
        return self.totals_of(sums)

    def totals_of(self, sums: PlanSums) -> PlanTotals:
        """What all lines add up to, with what the jobs' `refetch` buys once more.

        Raises:
            InputError: the ledger is missing beside its files.
            LedgerError: it cannot be read, or is damaged.
        """
        if all(job.refetch is None for job in self.inputs.jobs):
            return sums.totals()
        from orchestrator.engine.refetch import early_reports  # noqa: PLC0415 - start-up time

        with self._reading() as reader:
            early = early_reports(reader, self.inputs.jobs, self.now)
        return sums.totals(refetched_reports=len(early.due), refetched_records=early.records)


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """One series of one job in a plan.

    Attributes:
        debt: what is owed of it, and the chunks in which it would be asked for.
        first: no earlier job of the command has the series.
        open: reports that a run goes on with, held ones apart.
        held: reports that may exist or not.
        given_up: windows, of those the job wants, that no run asks for by itself.
        disputed: reports over what the job wants that wait for a person.
        waived: windows, of those the job wants, that a person has decided to skip.
        erased: windows, of those the job wants, whose files are erased.
        expected: records that what is owed will probably hold; None: unknown.
        warnings: a sentence for each other series that holds a part of what is owed.
    """

    debt: Debt
    first: bool
    open: int
    held: int
    given_up: int
    disputed: int
    waived: int
    erased: int
    expected: int | None
    warnings: tuple[str, ...] = ()


def plan(inputs: Inputs, now: datetime | None = None) -> Plan:
    """What a run would ask for.

    Args:
        now: the moment for which it holds, aware; None: the present.
    """
    return Plan(inputs, clock_of(now).now())


def series_plans(
    reader: LedgerReader, jobs: Sequence[Job], now: datetime, config: Config | None = None
) -> Iterator[SeriesPlan]:
    """Every series of every job; lazy, and without `SeriesPlan.warnings`.

    Without the config nothing is expected, and time alone sizes the chunks: that is quicker where
    only what is owed matters.
    """
    histories = reader.histories()
    bounds = () if config is None else spending.bounds(config.limits, config.prices)
    for job, entry, earlier in debts.by_series(jobs):
        series = entry.series
        before = [
            debts.EarlierJob(other, now, reader.resolution(other.name, series)) for other in earlier
        ]
        series_state = reader.series_state(job.name, series)
        history = volume.History() if config is None else histories.of(series)
        room = spending.least_room(bounds, series.product)
        debt = debts.debt(job, entry, now, series_state, before, history=history, room=room)
        held = reader.number_in(series, State.HELD) if series_state.open else 0
        blocked: tuple[Window, ...] = ()
        erased: list[Window] = []
        skipped = [gap.window for gap in series_state.given_up if gap.acknowledged]
        if series_state.had:
            skipped += [report.window for report in reader.reports(series, (State.WAIVED,))]
            erased = [report.window for report in reader.reports(series, (State.ERASED,))]
        if series_state.given_up or series_state.disputed or skipped or erased:
            blocked = debts.wants(job, now, series_state.resolution)
        yield SeriesPlan(
            debt=debt,
            first=not earlier,
            open=series_state.open - held,
            held=held,
            given_up=sum(
                not gap.acknowledged for gap in debts.touching(series_state.given_up, blocked)
            ),
            disputed=len(debts.touching(series_state.disputed, blocked)),
            waived=len(_within(skipped, blocked)),
            erased=len(_within(erased, blocked)),
            expected=history.expected(debt.owed) if debt.owed else 0,
        )


def _within(windows: Sequence[Window], wanted: tuple[Window, ...]) -> list[Window]:
    overlaps = intervals.Overlaps(wanted)
    return [window for window in windows if overlaps.of(window)]


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """What a plan adds up to.

    Attributes:
        keys: by name of credentials, what tells their API keys apart.
        series: series with a debt.
        complete: series that owe nothing.
        by_key: chunks by API key.
        probes: series of which one small chunk comes first, and the rest is sized by it.
        refetched_reports: collected reports that are bought once more, as `refetch` says.
        refetched_records: the records that their files hold.
    """

    requests_per_second: float
    keys: dict[str, str]
    cost: Cost
    series: int = 0
    complete: int = 0
    chunks: int = 0
    open: int = 0
    held: int = 0
    given_up: int = 0
    disputed: int = 0
    waived: int = 0
    erased: int = 0
    by_key: Mapping[str, int] = field(default_factory=dict)
    probes: int = 0
    bounds: tuple[Bound, ...] = ()
    refetched_reports: int = 0
    refetched_records: int = 0

    @property
    def requests(self) -> int:
        """Creates and downloads; polls come on top."""
        return self.chunks * REQUESTS_PER_CHUNK

    @property
    def least_time(self) -> timedelta:
        """The least time that the rate limit allows; the keys work side by side."""
        most = max(self.by_key.values(), default=0)
        return timedelta(seconds=most * REQUESTS_PER_CHUNK / self.requests_per_second)


class PlanSums:
    """Adds up the lines of a plan."""

    def __init__(self, inputs: Inputs) -> None:
        self.cost: Final = Cost(inputs.config.prices)
        self._config = inputs.config
        self._keys = keys_of(inputs)
        self._by_key: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()

    def add(self, line: SeriesPlan, chunks: int) -> None:
        """Counts a series, and its chunks."""
        numbers = self._numbers
        numbers["series" if line.debt.owed else "complete"] += 1
        numbers["chunks"] += chunks
        numbers["probes"] += line.debt.must_probe
        self.cost.add(line.debt.entry.series.product, line.expected)
        self._by_key[self._keys[line.debt.entry.credentials]] += chunks
        if line.first:
            numbers["open"] += line.open
            numbers["held"] += line.held
        for name in ("given_up", "disputed", "waived", "erased"):
            numbers[name] += getattr(line, name)

    def totals(self, **refetched: int) -> PlanTotals:
        """What the lines up to now add up to."""
        return PlanTotals(
            requests_per_second=self._config.api.requests_per_second,
            keys=self._keys,
            cost=self.cost,
            by_key=dict(self._by_key),
            bounds=spending.bounds(self._config.limits, self._config.prices),
            **self._numbers,
            **refetched,
        )


class ChunkCounts:
    """Counts the chunks of debts. Most series of a job owe the same windows: these are cut once."""

    def __init__(self) -> None:
        self._counts: dict[tuple[object, ...], int] = {}

    def of(self, debt: Debt) -> int:
        """How many chunks a debt has."""
        key = (debt.job.name, debt.owed, debt.failures, debt.sizing)
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= _MAX_COUNTS:
                self._counts.pop(next(iter(self._counts)))
            count = self._counts[key] = sum(1 for _ in debt.chunks())
        return count


def double_purchase_warnings(inputs: Inputs, reader: LedgerReader, now: datetime) -> Iterator[str]:
    """A warning for each series of the jobs whose debt another series of the ledger holds."""
    check = DoublePurchaseCheck(reader, keys_of(inputs))
    entries = (entry for job in inputs.jobs for entry in job.series)
    if not any(check.has_related(entry) for entry in entries):
        return  # as in most ledgers; then what is owed need not be computed
    for line in series_plans(reader, inputs.jobs, now):
        yield from check.warnings(line.debt)


def keys_of(inputs: Inputs) -> dict[str, str]:
    """The API key of each name of credentials; where it cannot be had, what stands for it."""
    keys = {}
    for name in inputs.credential_names:
        reference = inputs.config.credentials.get(name)
        keys[name] = name if reference is None else reference.api_key
        # The secret is not looked up: that may run a command of the user's.
        with suppress(Unavailable):
            keys[name] = look_up(keys[name], os.environ)
    return keys
