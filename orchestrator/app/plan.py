"""The plan of a command: the debt of every series of its jobs, and what it adds up to."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from orchestrator.app.cost import Cost
from orchestrator.config import resolve_credentials
from orchestrator.core import debt as debts
from orchestrator.core import intervals, spending, volume
from orchestrator.core.lifecycle import State
from orchestrator.core.model import SeriesState
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from orchestrator.config import Inputs
    from orchestrator.core.debt import Debt
    from orchestrator.core.intervals import Window
    from orchestrator.core.model import Job
    from orchestrator.core.ports import LedgerReader
    from orchestrator.core.settings import Config
    from orchestrator.core.spending import Bound

REQUESTS_A_CHUNK: Final = 2
"""A create and a download; how often a report is looked at depends on how long it takes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One series of one job in a plan.

    Attributes:
        debt: what is owed of it.
        first: no earlier job of the command has the series.
        open: reports that a run goes on with, held ones apart.
        held: reports of which nobody can say whether they exist.
        given_up: windows, of those the job wants, that no run asks for by itself.
        disputed: reports over what the job wants that wait for a person.
        expected: records that what is owed will probably hold; None: nobody can say.
    """

    debt: Debt
    first: bool
    open: int
    held: int
    given_up: int
    disputed: int
    expected: int | None


def lines(
    store: LedgerReader, jobs: Sequence[Job], now: datetime, config: Config | None = None
) -> Iterator[Line]:
    """Every series of every job; lazy.

    Without the config the past is not looked at: nothing is expected, and time alone
    sizes the chunks.
    """
    histories = store.histories()
    bounds = () if config is None else spending.bounds(config.limits, config.prices)
    for job, entry, earlier in debts.by_series(jobs):
        series = entry.series
        others = [
            (one, SeriesState(resolution=store.resolution(one.name, series))) for one in earlier
        ]
        series_state = store.series_state(job.name, series)
        history = volume.History() if config is None else histories.of(series)
        bought = debts.bought_by(others, now)
        sized = volume.sizing(job, history, spending.least_room(bounds, series.product))
        debt = debts.debt(job, entry, now, series_state, bought, sizing=sized)
        held = store.number_in(series, State.HELD) if series_state.open else 0
        blocked: tuple[Window, ...] = ()
        if series_state.given_up or series_state.disputed:
            blocked = debts.wants(job, now, series_state)
        yield Line(
            debt=debt,
            first=not earlier,
            open=series_state.open - held,
            held=held,
            given_up=sum(
                not one.acknowledged and bool(intervals.intersect((one.window,), blocked))
                for one in series_state.given_up
            ),
            disputed=sum(
                bool(intervals.intersect((report.window,), blocked))
                for report in series_state.disputed
            ),
            expected=history.expected(debt.owed) if debt.owed else 0,
        )


@dataclass(slots=True)
class Totals:
    """What a plan adds up to.

    Attributes:
        requests_per_second: how fast each key may ask.
        keys: by name of credentials, what tells their API keys apart.
        series: series with a debt.
        complete: series that owe nothing.
        by_key: chunks by API key.
        cost: the records of what is owed, and their price.
        bounds: on what is bought.
        probes: series of which one small chunk comes first, and the rest is sized by it.
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
    by_key: Counter[str] = field(default_factory=Counter)
    probes: int = 0
    bounds: tuple[Bound, ...] = ()

    @classmethod
    def of(cls, inputs: Inputs) -> Totals:
        """Totals of nothing yet."""
        config = inputs.config
        return cls(
            config.api.requests_per_second,
            keys_of(inputs),
            Cost(config.prices),
            bounds=spending.bounds(config.limits, config.prices),
        )

    def add(self, line: Line, chunks: int) -> None:
        """Counts a series, and its chunks."""
        if line.debt.owed:
            self.series += 1
        else:
            self.complete += 1
        self.chunks += chunks
        self.probes += line.debt.must_probe
        self.cost.add(line.debt.entry.series, line.expected)
        self.by_key[self.keys[line.debt.entry.credentials]] += chunks
        if line.first:
            self.open += line.open
            self.held += line.held
        self.given_up += line.given_up
        self.disputed += line.disputed

    @property
    def requests(self) -> int:
        """Creates and downloads; looks come on top."""
        return self.chunks * REQUESTS_A_CHUNK

    @property
    def least_time(self) -> timedelta:
        """What the rate limit allows; the keys work side by side."""
        most = max(self.by_key.values(), default=0)
        return timedelta(seconds=most * REQUESTS_A_CHUNK / self.requests_per_second)


def keys_of(inputs: Inputs) -> dict[str, str]:
    """The API key of each name of credentials; where it cannot be had, what stands for it."""
    keys = {}
    for name in inputs.credential_names:
        try:
            keys[name] = resolve_credentials(inputs.config, [name], os.environ)[name].api_key
        except InputError:
            reference = inputs.config.credentials.get(name)
            keys[name] = name if reference is None else reference.api_key
    return keys
