"""What each layer of polling is worth: the same situations with it, and with it switched off."""

from __future__ import annotations

import math
import tempfile
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import PropertyMock, patch

import anyio

from benchmarks.sections import Section, Table
from orchestrator.core import coverage
from orchestrator.core.durations import DurationModel
from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.list_trust import ListSource
from orchestrator.engine.polling.schedule import ListHistory, PollSchedule
from orchestrator.simulator import Fault
from orchestrator.simulator.calls import ListView
from orchestrator.simulator.reports import Phase
from tests.kit.virtual_time import VirtualLoop
from tests.kit.watching import lasting, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.options import Options
    from orchestrator.core.model import Report
    from orchestrator.simulator import Settings
    from orchestrator.simulator.reports import Report as SimulatedReport
    from tests.kit.watching import Scene

    Switch = Callable[[], AbstractContextManager[Any]]

ABOUT: Final = """\
Five requests a second, the settings that a user gets by default, virtual time; creates and polls
only, without ledger and files. *Polls* are requests for lists and for single reports; *entries* are
the reports that all lists together showed. A report *waits* from its end at the server (or the
start of the run that asks) until we know. Each layer is switched off alone, all others stay on, and
is measured in the situations that it is made for: *on / off*."""

OWN: Final = "abcd1234"
ACCOUNTS: Final = [f"sub{number:05}" for number in range(30)]
SIZE: Final = 300
"""Reports of a situation with many."""


@dataclass(slots=True)
class _Callbacks:
    """A receiver of callbacks, and the server that calls it."""

    addresses: int = 0
    listening: dict[str, Callable[[], None]] = field(default_factory=dict)

    def new_address(self) -> str:
        self.addresses += 1
        return f"https://callbacks.example.com/{self.addresses}"  # the simulator calls nobody there

    @contextmanager
    def listen(self, callback_url: str, ring: Callable[[], None]) -> Iterator[None]:
        self.listening[callback_url] = ring
        try:
            yield
        finally:
            del self.listening[callback_url]

    async def call(self, scene: Scene, every: float) -> None:
        """Calls every so many seconds for the reports that have ended since."""
        told = set[str]()
        while True:
            await anyio.sleep(every)
            for report in scene.stage.sim.world.reports():
                url = report.request.callback_url
                if report.ended is not None and url in self.listening and url not in told:
                    told.add(url)
                    self.listening[url]()

    async def call_early(self, every: float) -> None:
        """Calls every so many seconds for all reports, whatever has ended."""
        while True:
            await anyio.sleep(every)
            for ring in list(self.listening.values()):
                ring()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is polled.

    Attributes:
        accounts: of the reports, in their order.
        in_flight: how many reports are open at once.
        calls_every: seconds between the server's rounds of callbacks; 0: it sends none.
        early_every: seconds between rounds of callbacks for what has not ended; 0: there are none.
        pause: seconds between the creates and the run that asks; 0: it is the same run.
        large_every: one in so many reports covers ten hours, the others one; 0: all do.
        has_stuck: whether one more report is open that never ends.
        frozen: the number of the report that lists show as open for ever; 0: none.
    """

    name: str
    settings: Settings
    accounts: Sequence[str]
    in_flight: int = 100
    calls_every: float = 0.0
    early_every: float = 0.0
    pause: float = 0.0
    large_every: int = 0
    has_stuck: bool = False
    frozen: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """A part of polling, how it is switched off, and where it should matter."""

    name: str
    off: Switch
    situations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a situation took; waits in seconds."""

    polls: int
    entries: int
    mean_wait: float
    longest_wait: float


def situations(number: int) -> dict[str, Situation]:
    """Every situation; those with many reports have about `number`."""
    own = [OWN] * number
    by_account = sorted(ACCOUNTS * max(1, number // len(ACCOUNTS)))
    few = own[: max(2, number // 3)]
    sized = replace(
        lasting(5, 15), records_per_day=2400.0, processing_time_per_row=timedelta(seconds=0.3)
    )
    every = (
        Situation(name="server-bound", settings=_slow(concurrency=50), accounts=own),
        Situation(name="quick", settings=lasting(1, 10), accounts=own),
        Situation(name="five open", settings=_slow(), accounts=few, in_flight=5),
        Situation(name="one open", settings=_slow(), accounts=few[:20], in_flight=1),
        Situation(name="two sizes", settings=sized, accounts=own, in_flight=20, large_every=4),
        Situation(
            name="two sizes, one open", settings=sized, accounts=few, in_flight=1, large_every=4
        ),
        Situation(name="30 accounts", settings=_slow(list_under="key"), accounts=by_account),
        Situation(name="earlier run", settings=_slow(), accounts=few, pause=3600.0),
        Situation(name="callbacks", settings=_slow(concurrency=50), accounts=own, calls_every=0.2),
        Situation(name="callbacks together", settings=_slow(), accounts=own, calls_every=25.0),
        Situation(name="callbacks too early", settings=_slow(), accounts=few, early_every=10.0),
        Situation(
            name="one stuck",
            settings=lasting(20, 60, _report("stuck", nth=1)),
            accounts=few,
            in_flight=4,
            has_stuck=True,
        ),
        Situation(name="frozen list", settings=_slow(_list("stale", seconds=1e9)), accounts=few),
        Situation(
            name="list frozen later",
            settings=_slow(_list("stale", seconds=1e9, after=600.0), concurrency=50),
            accounts=own,
        ),
        Situation(
            name="list wrong about one",
            settings=lasting(2000, 8000, _list("stale", seconds=0.001)),
            accounts=few[:40],
            in_flight=10,
            frozen=5,
        ),
        Situation(
            name="list lacks most",
            settings=_slow(_list("hides", share=0.6), concurrency=50),
            accounts=own,
        ),
    )
    return {situation.name: situation for situation in every}


def _slow(*faults: Fault, **rest: Any) -> Settings:
    return lasting(20, 200, *faults, subaccounts=len(ACCOUNTS), **rest)


def _list(kind: str, **options: Any) -> Fault:
    return Fault.of("list", kind, **options)


def _report(kind: str, **options: Any) -> Fault:
    return Fault.of("report", kind, **options)


def _constant(name: str, value: object) -> Switch:
    return partial(patch.object, parameters, name, value)


def _property(owner: type, name: str, value: object) -> Switch:
    return partial(patch.object, owner, name, PropertyMock(return_value=value))


def _method(owner: type, name: str, value: object) -> Switch:
    return partial(patch.object, owner, name, lambda *_: value)


LAYERS: Final = (
    Layer(
        "lists",
        _property(ListSource, "account", None),
        ("server-bound", "quick", "five open"),
    ),
    Layer(
        "expected ends (life tables)",
        _property(DurationModel, "is_known", value=False),
        ("server-bound", "five open", "one open"),
    ),
    Layer(
        "correction by what came",
        _property(ListHistory, "correction", 1.0),
        ("server-bound", "five open"),
    ),
    Layer(
        "size of each report",
        _method(DurationModel, "size", 1.0),
        ("two sizes", "two sizes, one open"),
    ),
    Layer("share of the open reports", _constant("SHARE_PER_LIST", 1.0), ("five open",)),
    Layer("the key's list first", _constant("KEY_LIST_ACCOUNTS", math.inf), ("30 accounts",)),
    Layer("earlier runs at once", _constant("EARLIER_RUN_DELAY", 5.0), ("earlier run",)),
    Layer(
        "few polls beside callbacks",
        _constant("RELIABLE_CALLBACKS", 2.0),
        ("callbacks", "callbacks together"),
    ),
    Layer(
        "one list for several callbacks",
        _constant("CALLBACKS_PER_LIST", math.inf),
        ("callbacks together",),
    ),
    Layer(
        "muting of callbacks",
        _method(PollSchedule, "callback_pause", 0.0),
        ("callbacks too early",),
    ),
    Layer("old reports leave lists", _constant("MAX_LIST_AGE", math.inf), ("one stuck",)),
    Layer(
        "clock learned from lists",
        _constant("LIST_TIME_SLACK", coverage.CLOCK_SLACK),
        ("one stuck", "server-bound"),
    ),
    Layer("checks", _constant("MIN_CHECK_PAUSE", math.inf), ("frozen list", "server-bound")),
    Layer(
        "sooner checks of quiet lists",
        _constant("QUIET_CHECK_GROWTH", parameters.CHECK_GROWTH),
        ("list frozen later", "server-bound"),
    ),
    Layer(
        "rechecks",
        _constant("MAX_RECHECKS", 0),
        ("list wrong about one", "server-bound"),
    ),
    Layer(
        "lacking lists are left out",
        _constant("MAX_LACKING_SHARE", math.inf),
        ("list lacks most",),
    ),
)


def measure(options: Options) -> Section:
    """Runs each situation once with all layers, and once without each of its layers."""
    (number,) = options.sizes or ((30,) if options.quick else (SIZE,))
    table = situations(number)
    with_all: dict[str, Measured] = {}
    rows = []
    for layer in LAYERS:
        for name in layer.situations:
            if options.only not in layer.name:
                continue
            if name not in with_all:
                with_all[name] = run(table[name])
            rows.append((layer.name, name, *_cells(with_all[name], run(table[name], layer.off))))
    columns = ("layer", "situation", "polls on / off", "entries", "mean wait", "longest wait")
    return Section(title="Polling", about=ABOUT, tables=(Table("layers", columns, tuple(rows)),))


def run(situation: Situation, off: Switch = nullcontext) -> Measured:
    """Runs one situation in a loop and a folder of its own, with one layer switched off."""
    with ExitStack() as stack:
        stack.enter_context(off())
        stack.enter_context(_frozen(situation.frozen))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))
        return anyio.run(
            partial(_measured, situation, Path(folder)),
            backend_options={"loop_factory": VirtualLoop},
        )


def _cells(on: Measured, off: Measured) -> tuple[str, str, str, str]:
    return (
        f"{on.polls:,} / {off.polls:,}",
        f"{on.entries:,} / {off.entries:,}",
        f"{on.mean_wait:.1f} / {off.mean_wait:.1f} s",
        f"{on.longest_wait:,.0f} / {off.longest_wait:,.0f} s",
    )


def _frozen(number: int) -> AbstractContextManager[Any]:
    """Has lists show one report as open for ever."""
    if not number:
        return nullcontext()
    phase, numbers = ListView.phase, dict[str, int]()

    def shown(view: ListView, report: SimulatedReport, now: float) -> Phase:
        nth = numbers.setdefault(report.request_id, len(numbers) + 1)
        return Phase.PROCESSING if nth == number else phase(view, report, now)

    return patch.object(ListView, "phase", shown)


async def _measured(situation: Situation, folder: Path) -> Measured:
    callbacks = _Callbacks() if situation.calls_every or situation.early_every else None
    async with watching(folder, situation.settings, callbacks=callbacks) as scene:
        async with anyio.create_task_group() as beside:
            if situation.has_stuck:
                beside.start_soon(scene.wait, await scene.buy(OWN))
            if callbacks is not None and situation.calls_every:
                beside.start_soon(callbacks.call, scene, situation.calls_every)
            if callbacks is not None and situation.early_every:
                beside.start_soon(callbacks.call_early, situation.early_every)
            asked_at = await _watch(scene, situation, callbacks)
            beside.cancel_scope.cancel()
        scene.assert_all_were_told(len(situation.accounts))
        ends = {report.request_id: report.ended for report in scene.stage.sim.world.reports()}
        waits = [
            min(wait, wait + (ends[request_id] or 0.0) - asked_at)
            for request_id, wait in scene.told.items()
        ]
        return Measured(
            polls=scene.looks,
            entries=sum(shown for _, _, _, shown in scene.lists),
            mean_wait=fmean(waits),
            longest_wait=max(waits),
        )


async def _watch(scene: Scene, situation: Situation, callbacks: _Callbacks | None) -> float:
    """Creates the reports and waits for them; returns when the run that waits began."""
    open_reports = anyio.CapacityLimiter(situation.in_flight)

    async def wait(report: Report, rows: int | None) -> None:
        await scene.wait(report, rows)
        open_reports.release_on_behalf_of(report)

    async with anyio.create_task_group() as waiting:
        created = []
        asked_at = scene.stage.sim.world.clock.epoch()
        for number, account in enumerate(situation.accounts):
            is_large = situation.large_every and number % situation.large_every == 0
            hours = 10 if is_large else 1
            borrower = object()
            await open_reports.acquire_on_behalf_of(borrower)
            report = await scene.buy(account, callbacks=callbacks, hours=hours)
            open_reports.release_on_behalf_of(borrower)
            await open_reports.acquire_on_behalf_of(report)
            rows = 100 * hours if situation.large_every else None
            if situation.pause:
                created.append(report)
            else:
                waiting.start_soon(wait, report, rows)
        if situation.pause:
            await anyio.sleep(situation.pause)
            asked_at = scene.stage.sim.world.clock.epoch()
            for report in created:
                waiting.start_soon(wait, report, None)
    return asked_at
