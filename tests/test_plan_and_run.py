"""`plan` and `run` hold each other to one debt: a run asks for exactly what the plan names."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.app.plan import series_plans
from orchestrator.core import attempts, lifecycle, spending
from orchestrator.core.durations import DurationModel
from orchestrator.core.events import RunEvents
from orchestrator.core.intervals import Window, intersect, subtract, union
from orchestrator.core.keys import ByPeriod
from orchestrator.core.model import (
    AbsoluteWindow,
    CalendarWord,
    Job,
    JobSeries,
    LastWindow,
    Series,
    Span,
    Unit,
)
from orchestrator.core.next_steps import Buy, GiveUp
from orchestrator.core.settings import Config, Limits, OutputSettings, RetryPolicy
from orchestrator.engine.budget import Budget
from orchestrator.engine.context import RunContext
from orchestrator.engine.drain import Drain
from orchestrator.engine.follow import FollowResult
from orchestrator.engine.forecast import Forecast
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.scheduler import Scheduler
from orchestrator.ledger.sqlite import SqliteLedger, connect
from orchestrator.ledger.store import Store
from tests.kit.ledgers import book

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.ports import Ledger
    from orchestrator.engine.create import ChunkOrder

NOW = datetime(2026, 3, 11, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERIES = tuple(Series.of(account, "SMS", "outbound") for account in ("abcd1234", "sub00001"))
FINISHED = lifecycle.Finished(5, "https://api.nexmo.com/v3/media/1")
VERIFIED = lifecycle.Verified("0" * 64, 5, 100, "report.csv")
COLLECTED = (FINISHED, VERIFIED, lifecycle.Published())


@dataclass
class Buyer:
    """A follower whose every report is collected at once."""

    ledger: Ledger
    bought: dict[tuple[str, str], list[Window]] = field(default_factory=lambda: defaultdict(list))

    async def buy(self, order: ChunkOrder, session: KeySession) -> FollowResult:
        report = await self.ledger.record_intent(
            order.series,
            order.window,
            job=order.job,
            api_key=session.api_key,
            server_ahead=timedelta(),
            callback_url=None,
        )
        created = lifecycle.Created(f"new-{report.id}")
        for event in (created, FINISHED, replace(VERIFIED, target=f"{report.id}.csv")):
            report = await self.ledger.apply(report, event)
        await self.ledger.apply(report, lifecycle.Published())
        self.bought[order.job, order.series.key].append(order.window)
        return FollowResult.SETTLED


async def bought_by_a_run(
    jobs: Sequence[Job], config: Config
) -> dict[tuple[str, str], list[Window]]:
    """What the scheduler hands out, by job and series, until it finds nothing more to do."""
    connection = connect(config.state)
    connection.execute("PRAGMA synchronous = OFF")  # a test that dies may lose it
    try:
        ledger = SqliteLedger(connection, config.state, cast("Any", SimpleNamespace(now=clock)))
        sessions = {name: session_of(name) for name in ("default", "beta")}
        context = RunContext(
            ledger=ledger,
            collector=cast("Any", None),
            sessions=sessions,
            events=RunEvents(),
            clock=cast("Any", None),
            config=config,
            drain=Drain(),
            jitter=lambda: 0.5,
        )
        budget = Budget(spending.bounds(config.limits, config.prices), RunEvents())
        expected = Forecast({}, DurationModel({}))
        scheduler = Scheduler(context, jobs, lambda _session: NOW, budget, expected)
        buyer = Buyer(ledger)
        async with anyio.create_task_group() as tasks:
            await scheduler.start(tasks, cast("Any", buyer))
        return buyer.bought
    finally:
        connection.close()


def clock() -> datetime:
    return NOW


def session_of(name: str) -> KeySession:
    api = SimpleNamespace(api_key=f"key-{name}", server_now=lambda: None)
    return KeySession(
        cast("Any", api),
        cast("Any", None),
        RetryPolicy(),
        jitter=lambda: 0.5,
        events=RunEvents(),
        patience=timedelta(hours=1),
    )


moments = st.integers(0, 20 * 24).map(lambda hours: NOW - 24 * DAY + timedelta(hours=hours))
windows = st.builds(
    lambda start, hours: Window(start, start + timedelta(hours=hours)),
    moments,
    st.integers(1, 9 * 24),
)
specs = st.one_of(
    windows.map(lambda window: AbsoluteWindow(window.start, window.end)),
    moments.map(AbsoluteWindow),
    st.sampled_from(CalendarWord),
    st.builds(LastWindow, st.builds(Span, st.integers(1, 12), st.just(Unit.DAYS))),
)
entries = st.builds(JobSeries, st.sampled_from(SERIES), st.sampled_from(["default", "beta"]))
jobs_of_a_command = st.lists(
    st.builds(
        Job,
        name=st.just("job"),
        path=st.just(Path("job.yaml")),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]).map(ZoneInfo),
        series=st.lists(
            entries, min_size=1, max_size=2, unique_by=lambda entry: entry.series.key
        ).map(tuple),
        windows=st.lists(specs, min_size=1, max_size=2).map(tuple),
        chunk=st.sampled_from([Span(2, Unit.DAYS), Span(1, Unit.WEEKS), Span(1, Unit.MONTHS)]),
        target_rows=st.sampled_from([None, None, 400]),
    ),
    min_size=1,
    max_size=3,
).map(lambda jobs: [replace(job, name=f"job{number}") for number, job in enumerate(jobs)])

endings: st.SearchStrategy[tuple[Event, ...]] = st.sampled_from(
    [
        COLLECTED,
        COLLECTED,
        (lifecycle.Failed("the API says FAILED"),),
        (lifecycle.Disputed("not what was asked for"),),
        (lifecycle.Cancelled(),),
        (lifecycle.CutShort(7_000_000, "the API says TRUNCATED"),),
    ]
)
ledgers = st.lists(st.tuples(st.sampled_from(SERIES), windows, endings, st.booleans()), max_size=8)


@settings(max_examples=30)
@given(jobs_of_a_command, ledgers, st.sampled_from([None, None, 10**9]))
def test_a_run_asks_for_exactly_what_the_plan_names(
    jobs: list[Job],
    rows: list[tuple[Series, Window, tuple[Event, ...], bool]],
    max_records: int | None,
) -> None:
    """Generated jobs that share series, keys and time, over generated ledgers."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            path=None,
            credentials={},
            output=OutputSettings(Path(folder)),
            state=Path(folder) / "ledger.db",
            limits=Limits(max_records=ByPeriod(run=max_records)),
        )
        fill(config, rows)
        connection = connect(config.state)
        planned = [plan.debt for plan in series_plans(Store(connection), jobs, NOW, config)]
        connection.close()
        bought = anyio.run(bought_by_a_run, jobs, config)
        connection = connect(config.state)
        after = [plan.debt for plan in series_plans(Store(connection), jobs, NOW, config)]
        connection.close()
    for debt, rest in zip(planned, after, strict=True):
        mine = bought[debt.job.name, debt.entry.series.key]
        steps = list(attempts.steps(debt, debt.failures))
        given_up = [step.window for step in steps if isinstance(step, GiveUp)]
        assert union(mine) == subtract(debt.owed, given_up)
        assert sum((window.length for window in mine), timedelta()) == sum(
            (window.length for window in union(mine)), timedelta()
        ), "bought twice"
        assert rest.owed == (), "the run ended before its debt was paid"
        if any(failure.truncated for failure in debt.failures):
            continue
        buys = [step.window for step in steps if isinstance(step, Buy)]
        # Chunks that are sized by records become others once something was collected, be it of
        # another series that is like it.
        is_alone = len(planned) == 1
        if debt.sizing is None or (is_alone and not debt.goes_by_steps):
            assert sorted(mine) == buys
        elif is_alone:
            assert mine[: len(buys)] == buys


def fill(config: Config, rows: Sequence[tuple[Series, Window, tuple[Event, ...], bool]]) -> None:
    """A ledger of these reports, as far as they do not overlap one that has its window."""
    had: dict[str, list[Window]] = defaultdict(list)
    with book(config.state, config.output.directory, NOW - 2 * DAY) as ledger:
        for number, (series, window, ending, given_up) in enumerate(rows):
            if intersect(had[series.key], [window]):
                continue
            created = lifecycle.Created(f"old-{number}")
            verified = replace(VERIFIED, target=f"old-{number}.csv")
            events = (verified if event is VERIFIED else event for event in ending)
            report = ledger.report(series, window, created, *events)
            if report.state.has_window:
                had[series.key].append(window)
            elif given_up and report.state is lifecycle.State.FAILED:
                at = NOW - DAY
                ledger.store.give_up(series, window, "given up", report_id=report.id, at=at)
                had[series.key].append(window)
