"""Where reports stand, in words; the small words around them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import window_text
from orchestrator.core.model import Report, Series
from orchestrator.core.windows import Later
from orchestrator.reporting.phrases import (
    Fate,
    counted,
    explain,
    later_words,
    size_words,
    time_words,
    windows_words,
)

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
SERIES = Series.of("abcd1234", "SMS", "outbound")


def report(state: State, reason: str = "", ready_at: datetime | None = None) -> Report:
    return Report(
        id=17,
        series=SERIES,
        window=Window.of_epoch(0, 86400),
        state=state,
        api_key="abcd1234",
        job="nightly",
        intended_at=NOW,
        request_id="abc-1",
        ready_at=ready_at,
        items_count=1234,
        rows=1234,
        target="a/b.csv",
        reason=reason,
    )


def given_up(free: str = "") -> str:
    return (
        f"given up: {free}`orchestrator resolve 17 --waive` skips its period, `orchestrator "
        "resolve 17 --resubmit` buys it again; `orchestrator run JOB --retry-failed` asks again "
        "for all that was given up"
    )


GIVEN_UP = given_up()
LOOKED_AT = given_up("`orchestrator resolve 17 --refetch` looks at it again (free), ")
ADOPTED = given_up(
    "`orchestrator resolve 17 --adopt REQUEST_ID` (free) if you find it at the API, "
)

STATES = {
    State.SUBMITTING: (
        "asked for, but we do not know yet whether the API accepted it: why",
        "`orchestrator run JOB` looks for it at the API before anything is bought again",
    ),
    State.SUBMITTED: (
        "not finished at the API, as abc-1: why",
        "`orchestrator run JOB` goes on waiting for it",
    ),
    State.READY: (
        "finished: its file (1,234 records) waits at the API",
        "`orchestrator run JOB` downloads it",
    ),
    State.VERIFIED: (
        "its file is downloaded and checked, but not yet under its final name",
        "`orchestrator run JOB` finishes it",
    ),
    State.COLLECTED: ("collected: 1,234 records in a/b.csv", ""),
    State.SUPERSEDED: ("a newer edition of the same window was collected: why", ""),
    State.ERASED: (
        "erased on purpose, and its file a/b.csv is not removed yet: why",
        "`orchestrator run JOB` removes it, and so does `orchestrator erase JOB --before DATE`",
    ),
    State.ABSENT: ("was not created: why", ADOPTED),
    State.HELD: (
        "we asked for it and could not find out whether the API accepted it: why",
        (
            "`orchestrator run JOB` looks for it again, for 72 hours; or decide: "
            "`orchestrator resolve 17 --adopt REQUEST_ID` (free) if you find it at the API, "
            "`orchestrator resolve 17 --waive` skips its period, `orchestrator resolve 17 "
            "--resubmit` buys it again, and may pay twice"
        ),
    ),
    State.DISPUTED: (
        "what came back is not what was asked for: why",
        (
            "it waits for you: no file of it is kept; `orchestrator resolve 17 --refetch` has it "
            "fetched again (free), `orchestrator resolve 17 --waive` skips its period, "
            "`orchestrator resolve 17 --resubmit` buys it again, and pays again"
        ),
    ),
    State.WAIVED: (
        "skipped: why",
        "`orchestrator resolve 17 --resubmit` buys it after all",
    ),
    State.DISCARDED: ("discarded: why", GIVEN_UP),
    State.TRUNCATED: ("the API cut its file short, so records are missing: why", GIVEN_UP),
    State.FAILED: ("failed at the API: why", GIVEN_UP),
    State.ABORTED: ("aborted at the API, not by us: why", GIVEN_UP),
    State.CANCELLED: ("cancelled: why", GIVEN_UP),
    State.EXPIRED: ("the API deleted its file before it was downloaded: why", LOOKED_AT),
    State.LOST: ("the API no longer knows it: why", LOOKED_AT),
}


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_every_state_says_what_happened_and_what_to_do(state: State) -> None:
    words = explain(report(state, "why"), Fate.GIVEN_UP, NOW)
    assert (words.what, words.then) == STATES[state]


def test_what_is_disputed_names_the_file_to_look_at() -> None:
    words = explain(report(State.DISPUTED), Fate.OWED, NOW, kept="reports/.aside/17_abc-1.zip")
    assert words.then == (
        "it waits for you: look at reports/.aside/17_abc-1.zip; `orchestrator resolve 17 "
        "--accept-file` takes it as it is; `orchestrator resolve 17 --refetch` has it fetched "
        "again (free), `orchestrator resolve 17 --waive` skips its period, `orchestrator resolve "
        "17 --resubmit` buys it again, and pays again"
    )


@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_without_a_reason_nothing_dangles(state: State) -> None:
    words = explain(report(state), Fate.OWED, NOW)
    assert not words.what.endswith((":", " "))


@pytest.mark.parametrize(
    ("fate", "then"),
    [
        (Fate.GIVEN_UP, GIVEN_UP),
        (
            Fate.WAIVED,
            ("skipped, as you decided; `orchestrator resolve 17 --resubmit` asks for it after all"),
        ),
        (Fate.AGAIN, "its window has been asked for again"),
        (Fate.OWED, "`orchestrator run JOB` asks for its window again if a job still wants it"),
    ],
    ids=lambda value: value.value if isinstance(value, Fate) else "",
)
def test_what_became_of_the_window_decides_what_to_do(fate: Fate, then: str) -> None:
    assert explain(report(State.FAILED), fate, NOW).then == then


def test_a_file_that_waits_says_until_when() -> None:
    words = explain(report(State.READY, ready_at=NOW), Fate.OWED, NOW)
    assert str(words) == (
        "finished: its file (1,234 records) waits at the API until 2026-03-05 06:00 UTC; "
        "`orchestrator run JOB` downloads it; run it before then"
    )


def test_a_file_that_is_probably_gone_says_so() -> None:
    ready_at = NOW - timedelta(hours=72)
    words = explain(report(State.READY, ready_at=ready_at), Fate.OWED, NOW)
    assert str(words) == (
        "finished: its file (1,234 records) waited at the API until 2026-03-02 06:00 UTC; "
        "`orchestrator run JOB` tries to download it all the same"
    )


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "chunk", "0 chunks"),
        (1, "chunk", "1 chunk"),
        (180_000, "chunk", "180,000 chunks"),
        (1, "series", "1 series"),
        (5_000, "series", "5,000 series"),
        (2, "entry", "2 entries"),
    ],
)
def test_numbers_take_their_nouns(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_000_000_000, "2.0 GB"),
        (3_500_000_000_000, "3.5 TB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (31.2, "31 seconds"),
        (1, "1 second"),
        (90, "2 minutes"),
        (5399, "90 minutes"),
        (5400, "1.5 hours"),
        (72_000, "20.0 hours"),
        (550_000, "6.4 days"),
    ],
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert time_words(timedelta(seconds=seconds)) == words


def test_windows_are_dates_where_the_zone_has_midnight() -> None:
    summer = Window(datetime(2025, 6, 30, 23, tzinfo=UTC), datetime(2025, 7, 1, 23, tzinfo=UTC))
    assert window_text(summer, LONDON) == "2025-07-01 to 2025-07-02"
    assert window_text(summer, ZoneInfo("UTC")) == "2025-06-30T23:00:00Z to 2025-07-01T23:00:00Z"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ([], "nothing"),
        ([0], "1970-01-01 to 1970-01-02"),
        (
            [0, 2, 4, 6],
            "1970-01-01 to 1970-01-02, 1970-01-03 to 1970-01-04 and 2 more",
        ),
    ],
)
def test_a_few_windows_are_named_and_the_rest_counted(days: list[int], words: str) -> None:
    windows = [Window.of_epoch(day * 86400, (day + 1) * 86400) for day in days]
    assert windows_words(windows, ZoneInfo("UTC")) == words


@pytest.mark.parametrize(
    ("label", "days", "available_at", "words"),
    [
        (
            "yesterday",
            1,
            datetime(2026, 3, 2, 1, tzinfo=UTC),
            "yesterday (2026-03-01) is not ready yet; it can be collected after 01:00",
        ),
        (
            "today",
            1,
            datetime(2026, 3, 3, 1, tzinfo=UTC),
            "today (2026-03-01) is not ready yet; it can be collected after 2026-03-03 01:00",
        ),
        (
            "this_week",
            2,
            datetime(2026, 3, 2, 1, tzinfo=UTC),
            (
                "this_week (2026-03-01 to 2026-03-03) is not ready yet; it can be collected after "
                "01:00"
            ),
        ),
        (
            "from 2026-01-01 to 2026-04-01",
            31,
            datetime(2026, 3, 2, 1, tzinfo=UTC),
            "from 2026-01-01 to 2026-04-01 is not ready yet; it can be collected after 01:00",
        ),
    ],
)
def test_what_is_still_settling_says_from_when(
    label: str, days: int, available_at: datetime, words: str
) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    later = Later(label, Window(start, start + timedelta(days=days)), available_at)
    assert later_words(later, NOW, LONDON) == words
