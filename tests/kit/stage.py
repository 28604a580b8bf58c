"""A stage for tests of the engine: the simulator, a ledger on disk, an output directory, runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from orchestrator.api import KeyRateLimiter, VonageReports, open_session
from orchestrator.collect.collector import FileCollector
from orchestrator.core.events import Message, ReportChanged, RunEvents
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import AbsoluteWindow, Job, JobSeries, Series, Span, Unit
from orchestrator.core.settings import (
    ApiSettings,
    Config,
    Credentials,
    Limits,
    OutputSettings,
    PollPolicy,
    RetryPolicy,
    Secret,
)
from orchestrator.engine.context import RunContext
from orchestrator.engine.drain import Drain
from orchestrator.engine.key_session import KeySession
from orchestrator.engine.run import RunEnd, run_jobs
from orchestrator.ledger.lock import run_lock
from orchestrator.ledger.sqlite import SqliteLedger, connect
from orchestrator.ledger.store import Store
from orchestrator.simulator import (
    RecordDigest,
    Settings,
    Simulator,
    Truth,
    WorldClock,
    digest_csv,
    serve,
)
from tests.kit.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from orchestrator.core.events import RunEvent
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report, WindowSpec
    from orchestrator.core.ports import Callbacks

MONTHLY = Span(1, Unit.MONTHS)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(start: str, end: str) -> AbsoluteWindow:
    return AbsoluteWindow(utc(start), utc(end))


def job(
    *specs: WindowSpec,
    series: tuple[Series, ...] = (Series.of("abcd1234", "SMS", "outbound"),),
    name: str = "job",
    chunk: Span = MONTHLY,
    credentials: str = "default",
) -> Job:
    return Job(
        name=name,
        path=Path(f"{name}.yaml"),
        zone=ZoneInfo("UTC"),
        series=tuple(JobSeries(one, credentials) for one in series),
        windows=specs,
        chunk=chunk,
    )


class Watching(RunEvents):
    """The events of runs, which remember what a test may ask; an error in a test ends the run."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.changes: list[tuple[State, str]] = []
        self.on_change: Callable[[Report, Event | None], None] | None = None

    def notify(self, event: RunEvent) -> None:
        super().notify(event)
        if isinstance(event, Message):
            self.notes.append(f"{event.level}: {event.text}")
        elif isinstance(event, ReportChanged):
            cause = event.event
            self.changes.append((event.report.state, type(cause).__name__ if cause else "-"))
            if self.on_change:
                self.on_change(event.report, cause)


@dataclass
class Stage:
    """A simulated API and everything a run needs beside it, in one directory."""

    sim: Simulator
    settings: Settings
    folder: Path
    clock: VirtualClock | WorldClock
    config: Config
    seen: Watching = field(default_factory=Watching)
    ledger_class: type[SqliteLedger] = SqliteLedger

    @property
    def output(self) -> Path:
        return self.config.output.directory

    async def run(
        self,
        *jobs: Job,
        drain: Drain | None = None,
        retry_failed: bool = False,
        callbacks: Callbacks | None = None,
    ) -> RunEnd:
        """One run, as the command line would do it."""
        asked = {entry.credentials for one in jobs for entry in one.series}
        async with self.world(drain, callbacks, asked) as world:
            return await run_jobs(world, jobs, self.clock.now(), retry_failed=retry_failed)

    @asynccontextmanager
    async def world(
        self,
        drain: Drain | None = None,
        callbacks: Callbacks | None = None,
        credentials: set[str] | None = None,
    ) -> AsyncIterator[RunContext]:
        """What a run works with, under the lock; with these credentials only."""
        async with run_lock(self.config.state, timedelta()), open_session() as session:
            connection = connect(self.config.state)
            try:
                yield RunContext(
                    ledger=self.ledger_class(connection, self.config.state, self.clock),
                    collector=FileCollector(self.config.output),
                    sessions={
                        name: key_session
                        for name, key_session in self._desks(session).items()
                        if credentials is None or name in credentials
                    },
                    events=self.seen,
                    clock=self.clock,
                    config=self.config,
                    drain=drain or Drain(),
                    jitter=lambda: 0.5,
                    callbacks=callbacks,
                )
            finally:
                connection.close()

    def _desks(self, session: object) -> dict[str, KeySession]:
        sessions = {}
        for name, key in zip(("default", "beta"), self.settings.keys, strict=False):
            credentials = Credentials(name, key.api_key, Secret(key.api_secret))
            api = VonageReports(
                session,  # type: ignore[arg-type]
                self.config.api.base_url,
                credentials,
                self.config.api.timeout,
                self.clock,
            )
            rate_limiter = KeyRateLimiter(self.config.api.requests_per_second)
            sessions[name] = KeySession(
                api,
                rate_limiter,
                self.config.retry,
                jitter=lambda: 0.5,
                events=self.seen,
                patience=self.config.poll.timeout,
            )
        return sessions

    def leap(self, span: timedelta) -> None:
        """Lets so much time pass, on both clocks."""
        assert isinstance(self.clock, VirtualClock)
        self.clock.start += span
        self.sim.clock.advance(span)

    def reports(self) -> list[Report]:
        """Every row of the ledger."""
        connection = connect(self.config.state, read_only=True)
        try:
            store = Store(connection)
            return [one for series in store.all_series() for one in store.reports(series)]
        finally:
            connection.close()

    def bought(self) -> int:
        """How many reports the API has made that it charges for."""
        return sum(one.request.product != "REPORTS-USAGE" for one in self.sim.world.all_reports())

    def posts(self) -> int:
        """How many creates were sent of what the API charges for."""
        free = len(self.sim.world.all_reports()) - self.bought()
        return self.sim.calls["create"] - free

    def states(self) -> dict[str, int]:
        """How many rows are in which state."""
        counts: dict[str, int] = {}
        for report in self.reports():
            counts[report.state.value] = counts.get(report.state.value, 0) + 1
        return counts

    def collected(self, series: Series) -> RecordDigest:
        """What the published files of a series hold."""
        total = RecordDigest()
        for report in self.reports():
            if report.series == series and report.state is State.COLLECTED:
                assert report.target is not None
                with (self.output / report.target).open("rb") as file:
                    total += digest_csv(file)
        return total

    def truth(self, series: Series, window: Window) -> RecordDigest:
        """What they should hold."""
        return Truth(self.settings, series.body, window.start, window.end).record_digest()

    def assert_all_is_well(self, *jobs: Job) -> None:
        """Every absolute window of the jobs is collected exactly, and each record paid once."""
        for one in jobs:
            for entry in one.series:
                truth = RecordDigest()
                for spec in one.windows:
                    assert isinstance(spec, AbsoluteWindow)
                    assert spec.end is not None
                    truth += self.truth(entry.series, Window(spec.start, spec.end))
                assert self.collected(entry.series) == truth, f"{entry.series} differs"
        assert self.sim.world.paid_twice() == {}
        assert self.strays() == []

    def strays(self) -> list[str]:
        """Files in the output directory that no collected row names."""
        named = {report.target for report in self.reports() if report.state is State.COLLECTED}
        return sorted(str(path) for path in self._files() if str(path) not in named)

    def _files(self) -> Iterator[Path]:
        for path in self.output.rglob("*"):
            if path.is_file():
                yield path.relative_to(self.output)


@asynccontextmanager
async def stage(
    folder: Path,
    settings: Settings | None = None,
    *,
    limits: Limits | None = None,
    retry: RetryPolicy | None = None,
    poll: PollPolicy | None = None,
    requests_per_second: float = 5.0,
    ahead: timedelta = timedelta(),
) -> AsyncIterator[Stage]:
    """A stage in virtual time: the world's clock runs as ours does, `ahead` of it."""
    clock = VirtualClock(NOW)
    settings = settings or Settings(records_per_day=1.0)
    world_clock = WorldClock(clock.now() + ahead)
    async with serve(settings, clock=world_clock) as sim:
        config = Config(
            path=None,
            credentials={},
            output=OutputSettings(folder / "reports"),
            state=folder / "state" / "ledger.db",
            api=ApiSettings(
                base_url=sim.base_url,
                requests_per_second=requests_per_second,
                file_records=settings.max_rows or ApiSettings().file_records,
            ),
            limits=limits or Limits(),
            retry=retry or RetryPolicy(),
            poll=poll or PollPolicy(),
        )
        yield Stage(sim, settings, folder, clock, config)


def with_faults(settings: Settings, *faults: object) -> Settings:
    """The settings with these faults."""
    from orchestrator.simulator import Faults

    return replace(settings, faults=Faults(tuple(faults)))  # type: ignore[arg-type]
