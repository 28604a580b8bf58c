"""The contract of `Ledger` and `LedgerReader`, held against every implementation.

A new implementation adds one entry to `KINDS`, or to `DURABLE`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from orchestrator.core import lifecycle as life
from orchestrator.core.file_columns import ColumnChanges
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Failure, Report, Resolution, Series, SeriesState
from orchestrator.errors import (
    InputError,
    InvalidTransition,
    LedgerError,
    LedgerLocked,
    RequestIdConflict,
    WindowTaken,
)
from orchestrator.ledger import (
    IN_MEMORY,
    ledger_exists,
    ledger_files,
    lock_holder,
    open_ledger,
    open_reader,
    restored_ledger,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from orchestrator.core.ledger_records import LedgerChanges
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import LedgerPoint
    from orchestrator.core.ports import Ledger, LedgerReader

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC)
SMS = Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"})
VERIFY = Series.of("abcd1234", "VERIFY-API")
OTHERS_SMS = Series.of("ef567890", "SMS", "outbound", {"status": "delivered"})
FINISHED = life.Finished(7, "https://api.nexmo.com/v3/media/1")
VERIFIED = life.Verified("ab" * 32, 7, 512, "a/b.csv")


class Clock:
    """The wall clock of a test: stands at `at`."""

    at = AT

    def now(self) -> datetime:
        return self.at


@dataclass
class Kind:
    """One implementation, and how to open it."""

    url: str
    clock: Clock

    def open(self, **options: Any) -> AbstractAsyncContextManager[Ledger]:
        return open_ledger(self.url, self.clock, timedelta(), **options)


DURABLE: dict[str, Callable[[Path], str]] = {
    "SQLite, by path": lambda folder: str(folder / "state" / "ledger.db"),
    "SQLite, by URL": lambda folder: f"sqlite:///{folder}/ledger.db",
}
"""Those that are there when they are opened again."""

KINDS: dict[str, Callable[[Path], str]] = {**DURABLE, "SQLite, in memory": lambda _: IN_MEMORY}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return Kind(KINDS[request.param](tmp_path), Clock())


@pytest.fixture(params=list(DURABLE))
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return Kind(DURABLE[request.param](tmp_path), Clock())


@pytest.fixture
async def ledger(kind: Kind) -> AsyncIterator[Ledger]:
    async with kind.open() as opened:
        yield opened


def day(number: int) -> Window:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
    return Window(start, start + timedelta(days=1))


async def asked(
    ledger: Ledger,
    number: int,
    *events: Event,
    series: Series = SMS,
    replaces: Report | None = None,
    api_key: str = "abcd1234",
) -> Report:
    """A report of a day that took these events."""
    report = await ledger.record_intent(
        series,
        day(number),
        job="nightly",
        api_key=api_key,
        server_ahead=timedelta(milliseconds=-1500),
        callback_url="https://example.com/hook",
        replaces=replaces,
    )
    for event in events:
        report = await ledger.apply(report, event)
    return report


async def collected(ledger: Ledger, number: int, series: Series = SMS, **others: Any) -> Report:
    name = f"r-{series.key[:6]}-{number}"
    verified = replace(VERIFIED, target=f"{name}.csv")
    events = (life.Created(name), FINISHED, verified, life.Published())
    return await asked(ledger, number, *events, series=series, **others)


async def everything(ledger: Ledger) -> Any:
    """All that a reader can see, to tell whether anything has changed."""

    def work(reader: LedgerReader) -> Any:
        return [
            (
                list(reader.reports(series)),
                reader.series_state("nightly", series),
                reader.retried(series),
            )
            for series in reader.all_series()
        ], reader.point()

    return await ledger.read(work)


# --- reports --------------------------------------------------------------------------------------


async def test_a_report_comes_back_with_every_fact(ledger: Ledger) -> None:
    report = await asked(ledger, 1, life.Created("r-1"), FINISHED, VERIFIED)
    assert report == Report(
        id=1,
        series=SMS,
        window=day(1),
        state=State.VERIFIED,
        api_key="abcd1234",
        job="nightly",
        intended_at=AT,
        server_ahead=timedelta(milliseconds=-1500),
        callback_url="https://example.com/hook",
        request_id="r-1",
        submitted_at=AT,
        ready_at=AT,
        items_count=7,
        download_url="https://api.nexmo.com/v3/media/1",
        rows=7,
        size_bytes=512,
        sha256="ab" * 32,
        target="a/b.csv",
        changed_at=AT,
    )
    assert await ledger.read(lambda reader: reader.report(report.id)) == report
    assert await ledger.read(lambda reader: reader.report_by_request("r-1")) == report
    assert await ledger.read(lambda reader: list(reader.reports_numbered([1, 99]))) == [report]


@pytest.mark.parametrize(
    ("events", "is_known"),
    [
        ([VERIFIED], True),
        ([VERIFIED, life.FileMissing("gone")], True),
        ([life.Disputed("a wrong count")], True),
        ([life.Disputed("a wrong count"), life.Waived("as the user asked")], False),
        ([life.Disputed("a wrong count"), life.Resubmitted("by the user")], False),
        ([VERIFIED, life.Published()], False),
        ([life.CutShort(7, "too large")], False),
        ([life.FileGone("gone")], False),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value[-1]).__name__,
)
async def test_a_link_and_an_address_are_forgotten_when_they_are_of_no_more_use(
    ledger: Ledger, events: list[Event], *, is_known: bool
) -> None:
    """Whoever reads the ledger could have the file, or call us; a backup keeps it for years."""
    report = await asked(ledger, 1, life.Created("r-1"), FINISHED, *events)
    expected = ("https://example.com/hook", FINISHED.download_url) if is_known else (None, None)
    assert (report.callback_url, report.download_url) == expected
    assert await ledger.read(lambda reader: reader.report(report.id)) == report


async def test_no_window_is_bought_twice(ledger: Ledger) -> None:
    await asked(ledger, 1)
    before = await everything(ledger)
    with pytest.raises(InvalidTransition, match="report 1 has it already"):
        await asked(ledger, 1)
    assert await everything(ledger) == before
    await asked(ledger, 2)
    assert (await ledger.series_state("nightly", SMS)).had == (Window(day(1).start, day(2).end),)


async def test_an_event_is_taken_once(ledger: Ledger) -> None:
    report = await asked(ledger, 1)
    await ledger.apply(report, life.Created("r-1"))
    before = await everything(ledger)
    with pytest.raises(InvalidTransition, match="no longer submitting"):
        await ledger.apply(report, life.Created("r-2"))
    with pytest.raises(InvalidTransition):
        await ledger.apply(
            await ledger.read(lambda reader: reader.report(report.id)), life.Published()
        )
    assert await everything(ledger) == before


async def test_a_request_id_belongs_to_one_report(ledger: Ledger) -> None:
    first = await asked(ledger, 1, life.Created("r-1"))
    second = await asked(ledger, 2)
    with pytest.raises(RequestIdConflict, match="the name of report 1 already"):
        await ledger.apply(second, life.Created("r-1"))
    assert await ledger.owners_of(["r-1", "nobody's"]) == {"r-1": first.id}
    owner = (await ledger.owners(["r-1", "nobody's"]))["r-1"]
    assert owner.api_key == "abcd1234"
    assert await ledger.read(lambda reader: reader.unresolved_creates(first)) == (second,)
    assert await ledger.read(lambda reader: reader.unresolved_creates(second)) == ()
    minute = timedelta(minutes=1)
    recent = await ledger.read(
        lambda reader: reader.recent("abcd1234", "abcd1234", AT - minute, AT + minute)
    )
    assert recent == {"r-1"}
    assert (
        await ledger.read(
            lambda reader: reader.recent("abcd1234", "another", AT - minute, AT + minute)
        )
        == frozenset()
    )


async def test_a_collected_report_is_a_file(ledger: Ledger) -> None:
    assert not await ledger.read(lambda reader: reader.has_collected())
    report = await collected(ledger, 1)

    def work(reader: LedgerReader) -> None:
        assert reader.has_collected()
        (file,) = reader.reports(SMS, (State.COLLECTED,))
        assert (file.id, file.window, file.target) == (1, day(1), report.target)
        assert (file.rows, file.size_bytes, file.sha256) == (7, 512, "ab" * 32)
        assert (file.request_id, file.changed_at) == (report.request_id, AT)
        assert reader.counts(SMS) == {State.COLLECTED: (1, 7, 512)}
        assert reader.number_in(SMS, State.COLLECTED) == 1
        assert reader.is_published(SMS, day(1), str(report.target))
        assert not reader.is_published(SMS, day(2), str(report.target))
        assert reader.holder_of(SMS, day(1)) == "report 1"
        assert reader.holder_of(SMS, day(2)) is None
        assert list(reader.collected_in(SMS, day(1))) == [report]
        assert reader.size() == (1, 1)

    await ledger.read(work)


async def test_what_nobody_knows_is_no_error(ledger: Ledger) -> None:
    def work(reader: LedgerReader) -> None:
        assert list(reader.all_series()) == []
        assert list(reader.reports(SMS)) == []
        assert list(reader.collected_in(SMS, day(1))) == []
        assert reader.counts(SMS) == {}
        assert reader.series_state("nightly", SMS) == SeriesState()
        assert (*reader.had(SMS), *reader.failures(SMS), *reader.given_up(SMS)) == ()
        assert reader.resolution("nightly", SMS) == Resolution()
        assert reader.newest() == reader.retried(SMS) == reader.number_in(SMS, State.HELD) == 0
        assert reader.failure_event(1) is None
        assert not reader.histories().of(SMS)
        with pytest.raises(KeyError):
            reader.report(1)
        with pytest.raises(KeyError):
            reader.report_by_request("r-1")

    await ledger.read(work)


async def test_open_reports_come_in_the_order_in_which_they_expire(
    kind: Kind, ledger: Ledger
) -> None:
    waiting = await asked(ledger, 1, life.Created("r-1"))
    kind.clock.at = AT + timedelta(hours=2)
    late = await asked(ledger, 2, life.Created("r-2"), FINISHED)
    kind.clock.at = AT + timedelta(hours=1)
    soon = await asked(ledger, 3, life.Created("r-3"), FINISHED)
    other = await asked(ledger, 1, series=OTHERS_SMS, api_key="ef567890")
    await collected(ledger, 4)
    assert [one async for one in ledger.open_reports([SMS])] == [soon, late, waiting]
    assert [one async for one in ledger.open_reports([], ["ef567890"])] == [other]
    keys = await ledger.read(lambda reader: reader.keys_of_open(frozenset({OTHERS_SMS.key})))
    assert keys == {"ef567890"}


async def test_many_open_reports_come_once_each_without_new_ones(ledger: Ledger) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(450):
            tasks.start_soon(asked, ledger, number)
    seen: list[int] = []
    async for report in ledger.open_reports([SMS]):
        if not seen:
            await asked(ledger, 1000)
        seen.append(report.id)
    assert sorted(seen) == list(range(1, 451))
    assert await ledger.read(lambda reader: reader.newest()) == 451


# --- failures, and what a person decides ----------------------------------------------------------


async def test_failures_count_until_they_are_retried(ledger: Ledger) -> None:
    report = await asked(ledger, 1, life.Created("r-1"))
    failed = await ledger.end_and_give_up(report, life.Failed("no luck"), "it failed too often")
    state = await ledger.series_state("nightly", SMS)
    assert [(one.report_id, one.counts) for one in state.failures] == [(failed.id, True)]
    (given_up,) = state.given_up
    assert (given_up.window, given_up.report_id, given_up.at) == (day(1), failed.id, AT)
    assert state.had == (day(1),)
    with pytest.raises(InvalidTransition, match="a window that was given up"):
        await asked(ledger, 1)
    assert await ledger.retry(SMS) == 1
    assert await ledger.retry(SMS) == 0
    state = await ledger.series_state("nightly", SMS)
    assert (state.failures, state.given_up, state.had) == ((), (), ())
    assert not await ledger.read(lambda reader: reader.is_asked_again(failed))
    await asked(ledger, 1)
    assert await ledger.read(lambda reader: reader.is_asked_again(failed))


async def test_failures_count_by_the_order_of_events_and_not_by_clocks(
    kind: Kind, ledger: Ledger
) -> None:
    await asked(ledger, 3, life.Created("r-1"), life.Failed("no"))
    await asked(ledger, 5, life.Created("r-2"), life.CutShort(9, "too large"))
    await asked(ledger, 9, life.NotCreated("429"))
    failed = Failure(day(3), truncated=False, reason="no", report_id=1)
    truncated = Failure(day(5), truncated=True, reason="too large", report_id=2, rows=9)
    assert (await ledger.series_state("nightly", SMS)).failures == (failed, truncated)
    kind.clock.at += timedelta(days=30)  # wrong, and set right below
    await ledger.retry(SMS)
    kind.clock.at -= timedelta(days=30)
    truncated = replace(truncated, counts=False)
    assert (await ledger.series_state("nightly", SMS)).failures == (truncated,)
    await asked(ledger, 3, life.Created("r-3"), life.Lost("404"))
    lost = Failure(day(3), truncated=False, reason="404", report_id=4)
    assert (await ledger.series_state("nightly", SMS)).failures == (truncated, lost)


async def test_what_is_waived_is_not_retried(ledger: Ledger) -> None:
    report = await asked(ledger, 1, life.Created("r-1"))
    await ledger.end_and_give_up(report, life.Failed("no luck"), "it failed too often")
    assert await ledger.read(lambda reader: reader.waiting_for_a_person(frozenset())) == (0, 1)
    assert await ledger.acknowledge(report) == 1
    assert await ledger.read(lambda reader: reader.waiting_for_a_person(frozenset())) == (0, 0)
    assert await ledger.retry(SMS) == 0
    assert await ledger.undo_give_up(report) == 1
    assert await ledger.undo_give_up(report) == 0
    assert (await ledger.series_state("nightly", SMS)).had == ()


async def test_a_window_given_up_without_a_report(ledger: Ledger) -> None:
    await ledger.give_up(SMS, day(1), "nobody can say", None)
    (entry,) = await ledger.read(lambda reader: reader.given_up(SMS))
    assert await ledger.read(lambda reader: reader.given_up_numbered(entry.id)) == entry
    await ledger.retry(SMS)
    assert await ledger.read(lambda reader: reader.given_up_numbered(entry.id)) is None


async def test_a_report_takes_its_window_again_where_nobody_has_it(ledger: Ledger) -> None:
    lost = await asked(ledger, 1, life.NotCreated("HTTP 403"))
    bought = await asked(ledger, 1)
    before = await everything(ledger)
    with pytest.raises(WindowTaken, match=f"report {bought.id} has its window"):
        await ledger.apply(lost, life.Adopted("r-9"))
    assert await everything(ledger) == before


async def test_files_of_the_work_area(ledger: Ledger) -> None:
    fetching = await asked(ledger, 1, life.Created("r-1"), FINISHED)
    failed = await asked(ledger, 2, life.Created("r-2"), life.Failed("no luck"))
    ids = [fetching.id, failed.id, 99]
    assert await ledger.read(lambda reader: reader.unfinished(ids)) == {fetching.id}
    assert await ledger.read(lambda reader: reader.done_with(ids)) == frozenset()
    await collected(ledger, 2)
    assert await ledger.read(lambda reader: reader.done_with(ids)) == {failed.id}


# --- editions, subaccounts, resolutions, histories ------------------------------------------------


async def test_what_was_asked_for_early_is_due_once(ledger: Ledger) -> None:
    report = await collected(ledger, 1)
    asked_at = report.intended_at + report.server_ahead
    age = asked_at - report.window.end + timedelta(hours=1)
    due = report.window.end + age

    async def early(age: timedelta, now: datetime) -> list[Report]:
        return await ledger.read(lambda reader: list(reader.asked_early(SMS, age, now, 1)))

    assert await early(age, due) == [report]
    assert await early(age, due - timedelta(seconds=1)) == []  # not so old yet
    assert await early(age - timedelta(hours=1), due) == []  # it was so old when asked for
    edition = await asked(ledger, 1, life.Created("r-2"), replaces=report)
    assert await early(age, due) == []  # under way
    await ledger.apply(edition, life.Failed("no"))
    assert await early(age, due) == []  # one has come to nothing


async def test_an_edition_takes_the_place_of_what_it_replaces(ledger: Ledger) -> None:
    first = await collected(ledger, 1)
    second = await asked(ledger, 1, life.Created("r-2"), replaces=first)
    assert await ledger.read(lambda reader: reader.newer_edition(first)) == second.id
    with pytest.raises(InvalidTransition, match="not settled yet"):
        await asked(ledger, 1, replaces=first)
    assert (await ledger.read(lambda reader: reader.report(first.id))).state is State.COLLECTED
    for event in (FINISHED, VERIFIED, life.Published()):
        second = await ledger.apply(second, event)
    assert (second.edition, second.state) == (2, State.COLLECTED)
    (old,) = await ledger.superseded(second)
    assert (old.id, old.state) == (first.id, State.SUPERSEDED)
    assert await ledger.read(lambda reader: list(reader.collected_in(SMS, day(1)))) == [second]
    await ledger.withdrawn(old)
    assert await ledger.superseded() == []
    with pytest.raises(InvalidTransition, match="is not what is collected"):
        await asked(ledger, 1, replaces=first)


async def test_what_is_erased_has_its_window_and_no_edition(ledger: Ledger) -> None:
    first = await collected(ledger, 1)
    newer = (life.Created("r-2"), FINISHED, VERIFIED, life.Published())
    second = await asked(ledger, 1, *newer, replaces=first)
    await ledger.withdrawn(await ledger.read(lambda reader: reader.report(first.id)))
    erased = await ledger.apply(second, life.Erased("on purpose"))
    assert await ledger.superseded() == [erased]
    await ledger.withdrawn(erased)
    assert await ledger.superseded() == []
    assert await ledger.read(lambda reader: reader.had(SMS)) == (day(1),)
    assert await ledger.read(lambda reader: list(reader.collected_in(SMS, day(1)))) == []
    later = timedelta(days=10_000)
    due = first.window.end + later
    assert await ledger.read(lambda reader: list(reader.asked_early(SMS, later, due, 1))) == []
    for replaces in (None, erased):
        with pytest.raises(InvalidTransition):
            await asked(ledger, 1, replaces=replaces)
    kept = await ledger.read(lambda reader: reader.report(second.id))
    assert (kept.rows, kept.sha256, kept.target) == (second.rows, second.sha256, None)
    assert kept.removed_change is not None


async def test_files_tell_by_which_change_they_came_and_went(ledger: Ledger) -> None:
    before = (await ledger.read(lambda reader: reader.point())).changes
    old = await collected(ledger, 1)
    between = (await ledger.read(lambda reader: reader.point())).changes
    assert old.collected_change == between
    events = (life.Created("r-2"), FINISHED, VERIFIED, life.Published())
    newer = await asked(ledger, 1, *events, replaces=old)
    now = (await ledger.read(lambda reader: reader.point())).changes

    async def changed(after: int, up_to: int) -> list[int]:
        return await ledger.read(
            lambda reader: [one.id for one in reader.changed_files(after, up_to)]
        )

    gone = await ledger.read(lambda reader: reader.report(old.id))
    assert (gone.collected_change, gone.removed_change) == (between, now)
    assert (newer.collected_change, newer.removed_change) == (now, None)
    assert await changed(before, between) == [old.id]
    assert await changed(between, now) == [old.id, newer.id]
    assert await changed(now, now + 9) == []
    assert await ledger.read(lambda reader: reader.rebuilt_at()) is None


async def test_an_accepted_file_keeps_what_it_was_disputed_for(ledger: Ledger) -> None:
    columns = ColumnChanges(dropped=("text",), hashed=("to",))
    report = await asked(ledger, 1, life.Created("id-1"), life.Disputed("one too few"))
    accepted = life.Accepted("a" * 64, 5, 100, "report.csv", columns=columns)
    report = await ledger.apply(report, accepted)
    assert (report.finding, report.columns) == ("one too few", columns)
    report = await ledger.apply(report, life.Published())
    assert (report.finding, report.columns, report.edition) == ("one too few", columns, 1)
    assert report.collected_change is not None


async def test_records_of_other_accounts(ledger: Ledger) -> None:
    series = Series.of("abcd1234", "SMS", "inbound", {"include_subaccounts": True})
    await asked(ledger, 2, series=Series.of("ef567890", "SMS", "inbound"))
    verified = replace(VERIFIED, foreign=(("ef567890", 2), ("of no series", 7)))
    events = (life.Created("r-1"), FINISHED, verified, life.Published())
    report = await asked(ledger, 1, *events, series=series)
    assert await ledger.read(lambda reader: reader.foreign_rows_of(report.id)) == (
        ("ef567890", 2),
        ("of no series", 7),
    )
    (foreign,) = await ledger.read(lambda reader: list(reader.foreign_rows()))
    assert (foreign.series, foreign.account_id, foreign.rows) == (series, "ef567890", 2)


async def test_resolutions_are_each_jobs_own(ledger: Ledger) -> None:
    resolution = Resolution((day(1), day(5)), day(5).end)
    await ledger.remember("nightly", {SMS: resolution, VERIFY: Resolution((), day(1).end)})
    assert (await ledger.series_state("nightly", SMS)).resolution == resolution
    assert (await ledger.series_state("weekly", SMS)).resolution == Resolution()
    await ledger.remember("nightly", {SMS: Resolution((day(2),), day(3).end)})
    assert await ledger.read(lambda reader: list(reader.resolutions())) == [
        ("nightly", SMS, Resolution((day(2),), day(3).end)),
        ("nightly", VERIFY, Resolution((), day(1).end)),
    ]


async def test_what_was_collected_sizes_what_comes_next(kind: Kind, ledger: Ledger) -> None:
    assert not await ledger.read(lambda reader: reader.histories().of(SMS))
    report = await asked(ledger, 1, life.Created("r-1"))
    kind.clock.at = AT + timedelta(seconds=90)
    for event in (FINISHED, VERIFIED, life.Published()):
        report = await ledger.apply(report, event)
    assert (await ledger.read(lambda reader: reader.histories().of(SMS))).own
    similar = await ledger.read(lambda reader: reader.histories().of(OTHERS_SMS))
    assert similar
    assert not similar.own
    assert await ledger.read(lambda reader: reader.histories().record_rates([SMS, VERIFY])) == {
        SMS.key: 7 / 86400
    }
    durations = await ledger.recent_durations()
    assert [(one.rows, one.seconds) for one in durations["SMS"]] == [(7, 90.0)]
    await asked(ledger, 2)
    newest = await ledger.read(lambda reader: reader.newest())
    bought = await ledger.read(lambda reader: reader.bought(AT - timedelta(hours=1), up_to=newest))
    assert (bought.records, bought.uncounted) == ({"SMS": 7}, [(SMS, day(2))])
    bought = await ledger.read(
        lambda reader: reader.bought(AT - timedelta(hours=1), up_to=newest - 1)
    )
    assert bought.uncounted == []


# --- transactions ---------------------------------------------------------------------------------


async def test_of_calls_made_together_the_one_that_fails_changes_nothing(ledger: Ledger) -> None:
    await asked(ledger, 5)
    failed = []

    async def ask(number: int) -> None:
        try:
            await asked(ledger, number)
        except InvalidTransition:
            failed.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, number)
    assert failed == [5]
    assert (await ledger.series_state("nightly", SMS)).had == (Window(day(0).start, day(9).end),)
    assert await ledger.read(lambda reader: reader.newest()) == 10


async def test_a_call_cannot_be_cancelled_half_way(ledger: Ledger) -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await asked(ledger, 1)
    assert await ledger.read(lambda reader: reader.newest()) == 1


async def test_what_read_raises_comes_out(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        await ledger.read(lambda reader: reader.report(1))
    await asked(ledger, 1)


@dataclass
class Listener:
    """Notes what it is told, and whether the transaction was committed by then."""

    heard: list[tuple[LedgerChanges, LedgerPoint]]

    def prepare(
        self, reader: LedgerReader, changes: LedgerChanges, point: LedgerPoint
    ) -> Callable[[], None]:
        assert reader.point() == point
        return lambda: self.heard.append((changes, point))


async def test_a_listener_hears_of_every_change_once_it_is_committed(ledger: Ledger) -> None:
    listener = Listener([])
    ledger.tell(listener)
    report = await asked(ledger, 1)
    ((changes, point),) = listener.heard
    assert changes.reports == {report.id: report}
    assert point == await ledger.read(lambda reader: reader.point())
    await everything(ledger)
    with pytest.raises(InvalidTransition):
        await asked(ledger, 1)
    assert len(listener.heard) == 1
    await ledger.give_up(SMS, day(2), "so", None)
    await ledger.remember("nightly", {SMS: Resolution()})
    await ledger.retry(SMS)
    last = await ledger.read(lambda reader: reader.point())
    assert [told.changes for _, told in listener.heard] == list(
        range(point.changes, last.changes + 1)
    )
    gone, resolved, forgiven = (changes for changes, _ in listener.heard[1:])
    assert (list(gone.given_up), list(resolved.resolutions)) == ([1], [("nightly", 1)])
    assert (list(forgiven.series), list(forgiven.given_up)) == ([1], [1])
    assert await ledger.read(lambda reader: reader.series_numbered(1)) == SMS


async def test_a_point_tells_two_ledgers_apart(ledger: Ledger, tmp_path: Path) -> None:
    await asked(ledger, 1)
    point = await ledger.read(lambda reader: reader.point())
    assert (point.generation, point.changes, point.events) == (1, 1, 1)
    checksum = await ledger.read(lambda reader: reader.event_checksum(1))
    assert checksum == point.last_event
    before = await ledger.read(lambda reader: reader.fingerprint())
    async with open_ledger(tmp_path / "other.db", Clock(), timedelta()) as other:
        assert (await other.read(lambda reader: reader.point())).ledger != point.ledger
    await asked(ledger, 2)
    assert await ledger.read(lambda reader: reader.fingerprint()) != before


async def test_a_new_ledger_is_sound(ledger: Ledger) -> None:
    assert ledger.is_sound
    await ledger.check()
    await ledger.sound()


# --- opening --------------------------------------------------------------------------------------


async def test_what_was_written_is_there_when_it_is_opened_again(durable: Kind) -> None:
    async with durable.open() as ledger:
        await collected(ledger, 1)
        await ledger.remember("nightly", {SMS: Resolution((day(1),), day(1).end)})
        before = await everything(ledger)
        with open_reader(durable.url, whole=True) as reader:  # beside a run
            assert list(reader.reports(SMS)) == before[0][0][0]
    async with durable.open(check_later=True) as ledger:
        assert await everything(ledger) == before
    assert ledger_exists(durable.url)
    assert {file.name for file in ledger_files(durable.url) if file.exists()} == {
        "ledger.db",
        "ledger.db.lock",
    }


async def test_one_run_holds_the_lock(durable: Kind) -> None:
    assert lock_holder(durable.url) is None
    async with durable.open():
        assert lock_holder(durable.url)
        with pytest.raises(LedgerLocked):
            async with durable.open():
                pass
    assert lock_holder(durable.url) is None


async def test_a_ledger_may_be_prepared_under_the_lock_or_not_opened(durable: Kind) -> None:
    def refuse() -> None:
        assert lock_holder(durable.url)
        raise InputError("not now")

    with pytest.raises(InputError, match="not now"):
        async with durable.open(prepare=refuse):
            pass
    assert not ledger_exists(durable.url)


async def test_a_reader_makes_no_ledger(durable: Kind) -> None:
    with pytest.raises(LedgerError), open_reader(durable.url):
        pass
    assert not ledger_exists(durable.url)


def test_a_reader_of_a_ledger_in_memory_finds_it_empty() -> None:
    with open_reader(IN_MEMORY) as reader:
        assert reader.size() == (0, 0)
    assert not ledger_exists(IN_MEMORY)
    assert ledger_files(IN_MEMORY) == ()


async def test_a_restored_ledger_goes_on_where_the_lost_one_was(kind: Kind, tmp_path: Path) -> None:
    async with kind.open() as ledger:
        await collected(ledger, 1)
        await asked(ledger, 2, life.Created("r-2"), FINISHED)
        point = await ledger.read(lambda reader: reader.point())
        reports = await ledger.read(lambda reader: list(reader.reports(SMS)))
    url = str(tmp_path / "new.db")
    with restored_ledger(url, AT, point, point.events) as restore:
        for line, report in enumerate(reports, 1):
            restore.put(report, line)
        restore.remember("nightly", SMS, Resolution((day(1),), day(1).end))
        restore.check()
        assert not ledger_exists(url)
    async with open_ledger(url, Clock(), timedelta()) as ledger:
        new = await ledger.read(lambda reader: reader.point())
        assert (new.ledger, new.generation) == (point.ledger, point.generation + 1)
        assert new.events > point.events
        first, second = await ledger.read(lambda reader: list(reader.reports(SMS)))
        assert first == reports[0]
        assert (second.state, second.request_id) == (State.SUBMITTED, "r-2")
        assert (await ledger.series_state("nightly", SMS)).resolution.mark == day(1).end


@contextmanager
def interrupted() -> Iterator[None]:
    with pytest.raises(ZeroDivisionError):
        yield


def test_half_a_restored_ledger_is_none(tmp_path: Path) -> None:
    url = str(tmp_path / "new.db")
    with interrupted(), restored_ledger(url, AT, None, 0):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["postgresql://host/ledger", "sqlite://host/ledger.db", "sqlite:///", "s3://bucket/x"]
)
def test_an_unknown_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(InputError, match="keeps a ledger in an SQLite file only"):
        ledger_exists(url)
    with pytest.raises(InputError, match="give its path, or sqlite:///PATH"), open_reader(url):
        pass


def test_a_ledger_in_memory_is_not_restored() -> None:
    with (
        pytest.raises(InputError, match="cannot be made from a manifest"),
        restored_ledger(IN_MEMORY, AT, None, 0),
    ):
        pass
