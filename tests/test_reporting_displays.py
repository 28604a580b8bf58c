"""The lines for a log, and the drawing for a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from rich.console import Console

from orchestrator.core import lifecycle
from orchestrator.core.events import ReportChanged
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.reporting.live_display import LiveDisplay, picture
from orchestrator.reporting.log_display import LogDisplay
from orchestrator.reporting.logs import Log
from orchestrator.reporting.phrases import calendar_length, length
from orchestrator.reporting.run_stats import RunStats
from orchestrator.texts import hider

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
SECRET = "tell-nobody"


class Clock:
    def now(self) -> datetime:
        return NOW


def board_with(accounts: int, *, busy: int = 0) -> RunStats:
    """A row an account: all collected, but for the last `busy` ones, which wait at the API."""
    stats = RunStats([], Clock(), lambda: 1234)
    for number in range(accounts):
        start = NOW - timedelta(days=2)
        found = Report(
            id=number,
            series=Series.of(f"acc{number:05}", "SMS", "outbound"),
            window=Window(start, start + timedelta(days=1)),
            state=State.SUBMITTED,
            api_key="abcd1234",
            job="job",
            intended_at=NOW - timedelta(seconds=75),
            rows=1000,
            size_bytes=2_500_000,
        )
        stats.notify(ReportChanged(found, None))
        if number < accounts - busy:
            stats.notify(
                ReportChanged(replace(found, state=State.COLLECTED), lifecycle.Published())
            )
    return stats


def drawn(stats: RunStats, *, width: int = 120, height: int = 40) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(picture(stats, "run job", console.size))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def lines_to(stream: io.StringIO, *, json_lines: bool = False, quiet: bool = False) -> LogDisplay:
    mask = hider([SECRET])
    return LogDisplay(Log(stream, as_json=json_lines, mask=mask, now=lambda: NOW, quiet=quiet))


# --- the terminal ---------------------------------------------------------------------------------


def test_every_account_and_product_has_a_line() -> None:
    lines = drawn(board_with(2, busy=1))
    assert lines[0] == "run job"
    assert lines[1].split() == [
        "account", "product", "done", "to", "ask", "waiting", "collected", "rows", "size",
        "slowest",
    ]  # fmt: skip
    assert lines[2].split()[-6:] == ["0", "0", "1", "1,000", "2.5", "MB"]
    assert lines[3].split()[-10:] == ["0", "1", "0", "0", "0", "B", "1", "min", "15", "s"]
    assert lines[5].startswith(" 50 % ")
    assert "1 report (" in lines[6]
    assert "1,234 requests" in lines[6]


def test_reports_that_failed_have_a_column_once_there_are_some() -> None:
    stats = board_with(2)
    assert "failed" not in drawn(stats)[1]
    next(stats.rows()).ended_badly = 3
    lines = drawn(stats)
    assert lines[1].split()[-4:] == ["failed", "rows", "size", "slowest"]
    assert lines[2].split()[-5:-3] == ["1", "3"]
    assert max(map(len, drawn(stats, width=80))) <= 80


def test_the_last_drawing_promises_no_time_left() -> None:
    stats = board_with(2, busy=1)
    stats.remaining = lambda: timedelta(seconds=90)  # type: ignore[method-assign]
    console = Console(file=io.StringIO(), width=100, height=40, color_system=None)
    for has_ended in (False, True):
        console.print(picture(stats, "run job", console.size, has_ended=has_ended))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("about 1 min 30 s left") == 1


@pytest.mark.parametrize("accounts", [100, 5000])
@pytest.mark.parametrize("height", [10, 24, 80])
def test_the_height_is_bounded_however_many_accounts_there_are(accounts: int, height: int) -> None:
    lines = drawn(board_with(accounts), height=height)
    assert len(lines) <= height
    assert sum(line.startswith("acc") for line in lines) - 1 <= 24
    (more,) = [line for line in lines if line.startswith("and ")]
    shown = sum(line.startswith("acc0") for line in lines)
    assert more == f"and {accounts - shown:,} more"


def test_those_at_work_are_shown_first() -> None:
    lines = drawn(board_with(100, busy=2), height=20)
    assert [line.split()[0] for line in lines if line.startswith("acc000")][-2:] == [
        "acc00098",
        "acc00099",
    ]


def test_a_narrow_terminal_keeps_every_row_on_a_line_and_cuts_no_word() -> None:
    lines = drawn(board_with(3, busy=1), width=80)
    assert len(lines) == len(drawn(board_with(3, busy=1), width=200))
    assert max(len(line) for line in lines) <= 80
    assert "…" not in "".join(lines)
    assert lines[2].split() == ["acc00000", "SMS", "100", "%", "0", "0", "1", "1,000"]


@pytest.mark.anyio
async def test_the_terminal_is_given_back_when_the_run_ends() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, height=40)
    screen = LiveDisplay(console, hider([SECRET]))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(screen.keep_up, board_with(1), ["job"])
        await anyio.sleep(0.01)
        screen.note("warning", f"look: {SECRET}", {})
        tasks.cancel_scope.cancel()
    written = stream.getvalue()
    assert "warning: look: ***" in written
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert written.count(hidden) == written.count(shown) == 1
    assert written.rindex(shown) > written.rindex(hidden)


# --- the log --------------------------------------------------------------------------------------


def test_notes_are_lines_with_the_time() -> None:
    stream = io.StringIO()
    lines = lines_to(stream)
    lines.note("info", "a thing", {})
    lines.note("warning", "take care", {"report": 7})
    lines.note("error", "alas", {})
    assert stream.getvalue() == (
        "2026-03-10T06:00:00Z a thing\n"
        "2026-03-10T06:00:00Z warning: take care\n"
        "2026-03-10T06:00:00Z error: alas\n"
    )


def test_json_lines_carry_the_facts() -> None:
    stream = io.StringIO()
    lines_to(stream, json_lines=True).note("warning", "take care", {"report": 7})
    assert json.loads(stream.getvalue()) == {
        "time": "2026-03-10T06:00:00Z",
        "level": "warning",
        "type": "message",
        "event": "take care",
        "report": 7,
    }


def test_quiet_leaves_warnings_and_errors() -> None:
    stream = io.StringIO()
    lines = lines_to(stream, quiet=True)
    lines.note("info", "a thing", {})
    lines.note("warning", "take care", {})
    assert stream.getvalue() == "2026-03-10T06:00:00Z warning: take care\n"


@pytest.mark.parametrize("json_lines", [False, True], ids=["text", "json"])
def test_a_known_secret_never_shows(json_lines: bool) -> None:
    stream = io.StringIO()
    facts: dict[str, Any] = {"deep": {"list": [SECRET, 1]}, "flat": f"x{SECRET}y"}
    lines_to(stream, json_lines=json_lines).note("warning", f"it is {SECRET}", facts)
    assert SECRET not in stream.getvalue()
    assert "it is ***" in stream.getvalue()


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert hider(["abc", "abcdef", ""])("abcdef abc") == "*** ***"


@pytest.mark.anyio
@pytest.mark.virtual
async def test_counts_come_once_a_minute() -> None:
    stream = io.StringIO()
    lines = lines_to(stream)
    with anyio.move_on_after(150):
        await lines.keep_up(board_with(3, busy=1), ["one", "two"])
    counts = (
        "2026-03-10T06:00:00Z 2 reports collected (2,000 rows, 5.0 MB), 1 open, 0 not asked "
        "for yet, 1,234 requests\n"
    )
    assert stream.getvalue() == f"2026-03-10T06:00:00Z run one, two: begun\n{counts}{counts}"


# --- figures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3 * 3600 + 20 * 60, "3 h 20 min"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)
def test_a_length_of_time_has_two_units(seconds: float, words: str) -> None:
    assert length(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0"), (-1, "0"), (7200, "2 h"), (86400 * 1500, "1,500 d")]
)
def test_time_that_is_owed_is_in_days_or_hours(seconds: float, words: str) -> None:
    assert calendar_length(seconds) == words
