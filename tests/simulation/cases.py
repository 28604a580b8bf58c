"""A case: a random world, jobs, policies and interruptions, all of it from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from random import Random
from typing import Final

from orchestrator.core.intervals import Window, union
from orchestrator.core.model import AbsoluteWindow, Job, Series, Span, Unit
from orchestrator.core.settings import Limits, PollPolicy, RetryPolicy
from orchestrator.simulator import Dialect, Settings
from orchestrator.simulator.faults.reports import Stuck
from tests.kit.stage import job
from tests.simulation.weather import hiding, weather

WEATHER_SECONDS: Final = 6 * 3600.0
"""Until then calls may meet faults; what is left must settle afterwards."""

_NEWEST: Final = datetime(2026, 2, 10, tzinfo=UTC)
"""No window ends later: the server's clock may stray by days, and must have seen it all."""

_OURS: Final = (
    Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"}),
    Series.of("abcd1234", "SMS", "outbound", {"status": "failed"}),
    Series.of("abcd1234", "SMS", "inbound", {"include_message": True}),
    Series.of("abcd1234", "VERIFY-API"),
    Series.of("ef567890", "SMS", "outbound", {"status": "delivered", "country": "GB"}),
    Series.of("ef567890", "SMS", "outbound", {"status": "delivered", "country": "FR"}),
    Series.of("ef567890", "VOICE-CALL", "inbound"),
    Series.of("ef567890", "VOICE-CALL", "outbound"),
    Series.of("cafe0002", "MESSAGES", "outbound", {"include_message": True}),
    Series.of("cafe0002", "NUMBER-INSIGHT"),
)
"""Series of the first key; no record belongs to two of them, and some differ in one field."""

_OTHERS: Final = (
    Series.of("beta0001", "SMS", "inbound"),
    Series.of("beta0001", "ASR", "outbound"),
)
_CHUNKS: Final = (
    Span(6, Unit.HOURS),
    Span(12, Unit.HOURS),
    Span(1, Unit.DAYS),
    Span(1, Unit.DAYS),
    Span(2, Unit.DAYS),
    Span(1, Unit.WEEKS),
    Span(1, Unit.MONTHS),
)
_LENGTH: Final = {Unit.HOURS: 1 / 24, Unit.DAYS: 1.0, Unit.WEEKS: 7.0, Unit.MONTHS: 30.0}


class CallCounts(Enum):
    """Whether the API can call us back."""

    NOBODY_LISTENS = "nobody listens"
    SAME_PORT = "each run listens on the same port"
    ANOTHER_PORT = "each run listens on another port"


class How(Enum):
    """How a run is interrupted."""

    DRAINED = "drained"
    HURRIED = "hurried"
    KILLED_BEFORE = "killed before a commit"
    KILLED_AFTER = "killed after a commit"


@dataclass(frozen=True)
class Stop:
    """One interruption: after so many seconds of the loop, or at the so-manieth commit."""

    how: How
    after: float
    commit: int


@dataclass(frozen=True)
class Case:
    """Everything that a seed decides."""

    seed: int
    settings: Settings
    jobs: tuple[Job, ...]
    stops: tuple[Stop, ...]
    pauses: tuple[float, ...]
    limits: Limits
    poll: PollPolicy
    retry: RetryPolicy
    rate: float
    ahead: timedelta
    calls: CallCounts

    def wanted(self, series: Series) -> tuple[Window, ...]:
        """What the jobs want of a series."""
        specs = [
            spec
            for one in self.jobs
            if any(entry.series == series for entry in one.series)
            for spec in one.windows
        ]
        return union(
            *(
                (Window(spec.start, spec.end),)
                for spec in specs
                if isinstance(spec, AbsoluteWindow) and spec.end is not None
            )
        )

    @property
    def series(self) -> tuple[Series, ...]:
        """Every series of every job, each once."""
        return tuple(
            {entry.series.key: entry.series for one in self.jobs for entry in one.series}.values()
        )


def draw(seed: int) -> Case:
    """The case of a seed."""
    random = Random(seed)
    rate = random.choice([5.0, 5.0, 20.0, 1.0, 100.0])
    hides = random.random() < 0.1
    faults = hiding(random) if hides else weather(random, WEATHER_SECONDS)
    # Reports that never leave a phase would take every slot in the end, and nothing would move.
    stuck = {fault.phase for fault in faults.faults if isinstance(fault, Stuck)}
    settings = Settings(
        seed=random.getrandbits(32),
        records_per_day=random.choice([0.3, 1.0, 3.0]),
        rate=rate,
        concurrency=random.choice([None, None, 1, 3, 20]) if "PROCESSING" not in stuck else None,
        max_open=random.choice([None, None, None, 1, 3, 20]) if not stuck else None,
        max_open_type=random.choice(["rate-limit", "too-many-reports"]),
        pending_time=timedelta(seconds=random.choice([0, 2, 30])),
        processing_time=timedelta(seconds=random.choice([1, 5, 60])),
        max_rows=random.choice([7_000_000] * 8 + [2, 5]),
        dialect=Dialect(
            offset="mixed", shape=random.choice(["classic", "newer", "mixed"]),
            prefix=random.random() < 0.5, early_fields=random.random() < 0.5,
        ),
        list_under=random.choice(["account", "key", "both"]),
        ranges=random.random() < 0.3,
        faults=faults,
    )  # fmt: skip
    return Case(
        seed=seed,
        settings=settings,
        jobs=_jobs(random, is_cut=settings.max_rows is not None and settings.max_rows < 10),
        stops=() if hides else tuple(_stop(random) for _ in range(random.choice([0, 1, 1, 2, 4]))),
        pauses=tuple(random.choice([0.0, 1.0, 60.0, 3600.0]) for _ in range(5)),
        limits=Limits(in_flight=random.choice([1, 5, 100]), downloads=random.choice([1, 4])),
        poll=PollPolicy(timeout=timedelta(minutes=random.choice([20, 120]))),
        retry=RetryPolicy(attempts=random.choice([2, 8])),
        rate=rate,
        ahead=timedelta(seconds=random.choice([0, 0, 0, -2, 30, -3600, 86400, -200_000])),
        calls=random.choice([CallCounts.NOBODY_LISTENS, *CallCounts]),
    )


def _jobs(random: Random, *, is_cut: bool) -> tuple[Job, ...]:
    """One to three jobs; small ones where reports are cut, for these are asked for in pieces."""
    jobs = [_job(random, "first", _OURS, "default", is_cut=is_cut)]
    if random.random() < 0.4:
        jobs.append(_job(random, "second", _OURS, "default", is_cut=is_cut))
    if random.random() < 0.4:
        jobs.append(_job(random, "others", _OTHERS, "beta", is_cut=is_cut))
    return tuple(jobs)


def _job(
    random: Random, name: str, pool: tuple[Series, ...], credentials: str, *, is_cut: bool
) -> Job:
    chunk = random.choice(_CHUNKS)
    days = _LENGTH[chunk.unit] * chunk.count
    number = max(1, round(7 / days)) if is_cut else random.choice([1, 5, 20, 40])
    windows = []
    for _ in range(random.choice([1, 1, 2])):
        length = timedelta(days=max(days, round(days * number)))
        end = _NEWEST - timedelta(days=random.randint(0, 20))
        windows.append(AbsoluteWindow(end - length, end))
    made = job(
        *windows,
        series=tuple(random.sample(pool, random.randint(1, min(4, len(pool))))),
        name=name,
        chunk=chunk,
        credentials=credentials,
    )
    if random.random() < 0.15:
        from dataclasses import replace

        return replace(made, callback_url=f"http://127.0.0.1:9/hook/{name}")
    return made


def _stop(random: Random) -> Stop:
    return Stop(
        how=random.choice([*How, How.KILLED_BEFORE, How.KILLED_AFTER]),
        after=random.choice([0.0, 0.5, 3.0, 20.0, 200.0, 2000.0]),
        commit=random.choice([1, 2, 3, 5, 8, 13, 21, 40, 80, 160]),
    )
