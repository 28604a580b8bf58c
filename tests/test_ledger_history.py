"""What the ledger has seen of a series, or of its likes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.core import lifecycle
from orchestrator.core.intervals import Window
from orchestrator.core.model import Series
from tests.kit.ledgers import book, day, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.core.volume import History
    from tests.kit.ledgers import Book

SMS = Series.of("abcd1234", "SMS", "outbound")
DAY = timedelta(days=1)


def content(rows: int) -> bytes:
    return b"a\n" + b"1\n" * rows


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Book]:
    with book(tmp_path / "ledger.db", tmp_path / "reports", day("2026-02-01")) as filled:
        yield filled


def seen_of(ledger: Book, series: Series) -> History:
    return ledger.store.histories().of(series)


def test_of_an_empty_ledger_nothing(ledger: Book) -> None:
    assert not seen_of(ledger, SMS)


def test_collected_windows_are_seen_with_their_rows(ledger: Book) -> None:
    ledger.collected(SMS, span("2026-01-01", "2026-01-03"), content(10))
    ledger.collected(SMS, span("2026-01-03", "2026-01-04"), content(7))
    ledger.submitted(SMS, span("2026-01-04", "2026-01-05"))
    history = seen_of(ledger, SMS)
    assert history.own
    assert [(one.window, one.rows) for one in history.seen] == [
        (span("2026-01-01", "2026-01-03"), 10),
        (span("2026-01-03", "2026-01-04"), 7),
    ]


def test_hours_that_touch_are_seen_as_a_day(ledger: Book) -> None:
    """A quiet night must not look like a quiet day, nor a busy noon like a busy one."""
    for hour, rows in ((0, 0), (6, 50), (12, 100), (18, 30)):
        start = day("2026-01-01") + timedelta(hours=hour)
        window = Window(start, start + timedelta(hours=6))
        ledger.report(
            SMS,
            window,
            lifecycle.Created(f"id-{hour}"),
            lifecycle.Finished(rows, "https://api.nexmo.com/v3/media/1"),
            lifecycle.Verified("0" * 64, rows, 100, f"{hour}.csv"),
            lifecycle.Published(),
        )
    (one,) = seen_of(ledger, SMS).seen
    assert (one.window, one.covered, one.rows) == (span("2026-01-01", "2026-01-02"), DAY, 180)


@pytest.mark.parametrize(
    "like",
    [Series.of("ef567890", "SMS", "outbound"), Series.of("abcd1234", "SMS", "inbound")],
    ids=["other account", "same account and product"],
)
def test_without_a_past_of_its_own_its_likes_speak_for_it(ledger: Book, like: Series) -> None:
    ledger.collected(like, span("2026-01-01", "2026-01-03"), content(10))
    history = seen_of(ledger, SMS)
    assert not history.own
    assert [one.rows for one in history.seen] == [10]


@pytest.mark.parametrize(
    "other",
    [
        Series.of("ef567890", "SMS", "inbound"),
        Series.of("ef567890", "SMS", "outbound", {"status": "failed"}),
        Series.of("abcd1234", "VERIFY-API"),
    ],
    ids=["another direction elsewhere", "another filter elsewhere", "another product"],
)
def test_what_is_not_like_it_says_nothing(ledger: Book, other: Series) -> None:
    ledger.collected(other, span("2026-01-01", "2026-01-03"), content(10))
    assert not seen_of(ledger, SMS)
