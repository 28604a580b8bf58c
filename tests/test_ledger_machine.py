"""The ledger against a model of it in a dictionary, driven by hypothesis."""

from __future__ import annotations

import sqlite3
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.core import lifecycle as life
from orchestrator.core.intervals import Window, union
from orchestrator.core.lifecycle import Event, State, transition
from orchestrator.core.model import Report, Series
from orchestrator.errors import InvalidTransition, WindowTaken
from orchestrator.ledger.sqlite import connect
from orchestrator.ledger.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 3, 1, tzinfo=UTC)
ALL_SERIES = (Series.of("abcd1234", "SMS", "inbound"), Series.of("abcd1234", "VERIFY-API"))

windows = st.tuples(st.integers(0, 30), st.integers(1, 10)).map(
    lambda pair: Window(AT + timedelta(days=pair[0]), AT + timedelta(days=pair[0] + pair[1]))
)
events = st.sampled_from(
    (
        life.NotCreated("refused"),
        life.CreateUnknown("timeout"),
        life.FoundAbsent("not listed"),
        life.Held("no list"),
        life.Finished(3, "https://api/file"),
        life.CutShort(3, "too large"),
        life.Failed("failed"),
        life.Lost("404"),
        life.Cancelled(),
        life.Verified("hash", 3, 100, "a.csv"),
        life.FileMissing("crash"),
        life.Published(),
        life.Disputed("count"),
        life.Superseded("newer"),
        life.Erased("user"),
        life.Waived("user"),
        life.Refetched("user"),
        life.Resubmitted("user"),
    )
)


@dataclass
class Model:
    """What the ledger must know of one report."""

    report: Report
    state: State
    events: int


class LedgerMachine(RuleBasedStateMachine):
    """Every rule does one thing to both."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.connection = connect(Path(self.folder.name) / "ledger.db")
        self.store = Store(self.connection)
        self.rows: dict[int, Model] = {}
        self.given_up: dict[Series, list[Window]] = {series: [] for series in ALL_SERIES}
        self.names = 0

    def teardown(self) -> None:
        self.connection.close()
        self.folder.cleanup()

    def had(self, series: Series) -> tuple[Window, ...]:
        return union(
            (
                row.report.window
                for row in self.rows.values()
                if row.report.series == series and row.state.has_window
            ),
            self.given_up[series],
        )

    def had_by_others(self, number: int) -> Iterator[Window]:
        series = self.rows[number].report.series
        for other, row in self.rows.items():
            if other != number and row.report.series == series and row.state.has_window:
                yield row.report.window
        yield from self.given_up[series]

    @rule(series=st.sampled_from(ALL_SERIES), window=windows)
    def record_intent(self, series: Series, window: Window) -> None:
        taken = any(window.overlaps(other) for other in self.had(series))
        try:
            report = self.store.record_intent(
                series,
                window,
                job="job",
                api_key="abcd1234",
                server_ahead=timedelta(seconds=2),
                callback_url=None,
                at=AT,
            )
        except InvalidTransition:
            assert taken, "refused though nothing has the window"
        else:
            assert not taken, "bought twice"
            self.rows[report.id] = Model(report, State.SUBMITTING, 1)

    @precondition(lambda self: self.rows)
    @rule(picks=st.data(), event=events)
    def apply(self, picks: st.DataObject, event: Event) -> None:
        number = picks.draw(st.sampled_from(sorted(self.rows)))
        self._apply(number, event)

    @precondition(lambda self: any(row.state is State.SUBMITTING for row in self.rows.values()))
    @rule(picks=st.data())
    def create(self, picks: st.DataObject) -> None:
        number = picks.draw(
            st.sampled_from(
                sorted(key for key, row in self.rows.items() if row.state is State.SUBMITTING)
            )
        )
        self.names += 1
        self._apply(number, life.Created(f"request-{self.names}"))

    def _apply(self, number: int, event: Event) -> None:
        row = self.rows[number]
        try:
            expected = transition(row.state, event)
        except InvalidTransition:
            try:
                self.store.apply(row.report, event, AT)
            except InvalidTransition:
                return
            raise AssertionError("the ledger took an event that the state does not allow") from None
        others = [
            window for window in self.had_by_others(number) if window.overlaps(row.report.window)
        ]
        if expected.has_window and not row.state.has_window and others:
            try:
                self.store.apply(row.report, event, AT)
            except WindowTaken:
                return
            raise AssertionError("two reports have the same moment")
        row.report = self.store.apply(row.report, event, AT)
        row.state = expected
        row.events += 1
        assert row.report.state is expected

    @precondition(lambda self: self.rows)
    @rule(picks=st.data())
    def act_on_an_old_copy(self, picks: st.DataObject) -> None:
        """A row that changed behind our back is not changed again."""
        number = picks.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[number]
        if row.state is not State.SUBMITTED:
            return
        old = row.report
        self._apply(number, life.Failed("failed"))
        try:
            self.store.apply(old, life.Failed("again"), AT)
        except InvalidTransition:
            return
        raise AssertionError("an event was taken twice")

    @rule(series=st.sampled_from(ALL_SERIES), window=windows)
    def give_up(self, series: Series, window: Window) -> None:
        if any(window.overlaps(other) for other in self.had(series)):
            return
        self.store.give_up(series, window, "the API refuses it", report_id=None, at=AT)
        self.given_up[series].append(window)

    @rule(series=st.sampled_from(ALL_SERIES))
    def retry(self, series: Series) -> None:
        assert self.store.retry(series) == len(self.given_up[series])
        self.given_up[series] = []

    @rule()
    def reopen(self) -> None:
        """The process ends and another begins."""
        self.connection.close()
        self.connection = connect(Path(self.folder.name) / "ledger.db")
        self.store = Store(self.connection)

    @invariant()
    def had_agrees(self) -> None:
        for series in ALL_SERIES:
            assert self.store.series_state("job", series).had == self.had(series)

    @invariant()
    def rows_agree(self) -> None:
        for number, row in self.rows.items():
            assert self.store.report(number).state is row.state
            assert len(list(self.store.events(number))) == row.events

    @invariant()
    def open_agrees(self) -> None:
        expected = {number for number, row in self.rows.items() if row.state.is_open}
        assert {number for _, number in self.store.open_positions()} == expected

    @invariant()
    def sound(self) -> None:
        assert self.connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert isinstance(self.connection, sqlite3.Connection)


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestLedgerMachine = LedgerMachine.TestCase
