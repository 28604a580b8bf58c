"""The end of a run in words: what was collected, what is left and why, what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import CalendarWord, GivenUp, Job, Report, Series
from orchestrator.core.policy import ExitCode, RunOutcome
from orchestrator.reporting.run_stats import PlanNotes
from orchestrator.reporting.summary import (
    CollectedTotals,
    Others,
    RunSummary,
    UnfinishedSeries,
    as_json,
    why,
)
from orchestrator.reporting.summary_text import MAX_LINES, text

NOW = datetime(2026, 3, 2, 0, 30, tzinfo=UTC)
JANUARY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
SMS = Series.of("abcd1234", "SMS", "outbound")
JOB = Job(
    name="nightly", path=Path("jobs/nightly.yaml"), zone=ZoneInfo("UTC"), series=(), windows=()
)
HEAD = [
    "Collected in this run: 3 reports, 1,200 rows, 2.5 MB, in 1 min 05 s and 9 requests.",
    "Of the same series in all: 40 reports, 5,000 rows, 10.0 MB, in /srv/reports",
]


def run_summary(*left: UnfinishedSeries, **changes: Any) -> RunSummary:
    plain = RunSummary(
        jobs=(JOB,),
        now=NOW,
        code=ExitCode.DONE,
        lasted=timedelta(seconds=65),
        requests=9,
        collected=CollectedTotals(3, 1200, 2_500_000),
        in_all=CollectedTotals(40, 5000, 10_000_000),
        directory="/srv/reports",
        unfinished=left,
        plan_notes=PlanNotes(),
    )
    return replace(plain, **changes)


def unfinished_series(**changes: Any) -> UnfinishedSeries:
    plain = UnfinishedSeries(
        job=JOB, series=SMS, owed=(), refused=None, open={}, given_up=(), disputed=()
    )
    return replace(plain, **changes)


def report(state: State, reason: str) -> Report:
    return Report(
        id=17, series=SMS, window=JANUARY, state=state, api_key="abcd1234", job="nightly",
        intended_at=NOW, request_id="r-17", reason=reason,
    )  # fmt: skip


def test_all_is_collected() -> None:
    assert text(run_summary()) == [*HEAD, "Done: everything the jobs ask for has been collected."]


def test_what_is_later_is_named_in_the_zone_of_the_job() -> None:
    paris = replace(JOB, zone=ZoneInfo("Europe/Paris"), windows=(CalendarWord.YESTERDAY,))
    now = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
    assert text(run_summary(jobs=(paris,), now=now))[2:-1] == [
        "  yesterday (2026-03-01) is not ready yet; it can be collected after 01:00"
    ]
    assert as_json(run_summary(jobs=(paris,), now=now))["later"] == [
        {
            "job": "nightly",
            "window": "yesterday",
            "start": "2026-02-28T23:00:00Z",
            "end": "2026-03-01T23:00:00Z",
            "available_at": "2026-03-02T00:00:00Z",
        }
    ]


def test_with_several_jobs_each_later_line_has_its_job() -> None:
    nightly = replace(JOB, windows=(CalendarWord.YESTERDAY,))
    other = replace(JOB, name="other")
    assert text(run_summary(jobs=(nightly, other)))[2:-1] == [
        "  nightly: yesterday (2026-03-01) is not ready yet; it can be collected after 01:00"
    ]


@pytest.mark.parametrize(
    ("left", "line"),
    [
        (
            unfinished_series(owed=(JANUARY, MARCH)),
            (
                "  still missing: abcd1234 SMS outbound: 2026-01-01 to 2026-02-01, 2026-03-01 to "
                "2026-03-02, not asked for yet; the next run asks for it"
            ),
        ),
        (
            unfinished_series(open={State.SUBMITTED: 2, State.READY: 1}),
            "  open: abcd1234 SMS outbound: 3 reports; the next run goes on with them",
        ),
        (
            unfinished_series(open={State.HELD: 1}),
            (
                "  held: abcd1234 SMS outbound: 1 report that we asked for without learning "
                "whether the API accepted it; every run looks again; see "
                "`orchestrator status jobs/nightly.yaml --held`"
            ),
        ),
        (
            unfinished_series(given_up=(GivenUp(1, SMS, JANUARY, 17, "it failed", NOW),)),
            (
                "  given up: abcd1234 SMS outbound, 2026-01-01 to 2026-02-01: it failed; "
                "`orchestrator resolve 17 --waive` skips its period (free); `orchestrator run "
                "jobs/nightly.yaml --retry-failed` asks again"
            ),
        ),
        (
            unfinished_series(
                disputed=(report(State.DISPUTED, "wrong count"),), kept={17: "kept/17.zip"}
            ),
            (
                "  disputed: report 17, abcd1234 SMS outbound, 2026-01-01 to 2026-02-01: what came "
                "back is not what was asked for: wrong count; it waits for you: look at "
                "kept/17.zip; "
                "`orchestrator resolve 17 --accept-file` takes it as it is; "
                "`orchestrator resolve 17 --refetch` has it fetched again (free), "
                "`orchestrator resolve 17 --waive` skips its period, "
                "`orchestrator resolve 17 --resubmit` buys it again, and pays again"
            ),
        ),
        (
            unfinished_series(refused="HTTP 403 Forbidden; check the account", owed=(JANUARY,)),
            (
                "  refused: abcd1234 SMS outbound: HTTP 403 Forbidden; check the account; then run "
                "again"
            ),
        ),
    ],
    ids=["owed", "open", "held", "given up", "disputed", "refused"],
)
def test_what_is_left_has_a_reason_and_a_remedy(left: UnfinishedSeries, line: str) -> None:
    assert text(run_summary(left, code=ExitCode.UNFINISHED))[2:-1] == [line]


def test_a_refusal_is_told_once_for_all_its_series() -> None:
    lefts = [
        unfinished_series(
            series=Series.of("abcd1234", "SMS", way), refused="HTTP 401", owed=(JANUARY,)
        )
        for way in ("outbound", "inbound")
    ]
    assert text(run_summary(*lefts, code=ExitCode.FINDINGS))[2:] == [
        ("  refused: abcd1234 SMS outbound and 1 more series: HTTP 401; then run again"),
        "Finished. 1 problem needs you; see above.",
    ]


def test_thirty_lines_are_enough_and_the_rest_is_counted() -> None:
    words = ("".join(letters) for letters in product("abcdefghijklmnopq", repeat=3))
    lefts = [unfinished_series(refused=word) for word in islice(words, 4900)]
    lines = text(run_summary(*lefts, code=ExitCode.UNFINISHED))
    assert len(lines) == MAX_LINES + 1
    assert lines[-2] == "  and 4,873 more: `orchestrator status jobs/nightly.yaml`"
    assert lines[-1].startswith("Not finished. Nothing is lost. ")


def test_many_lines_of_one_cause_are_the_first_and_a_count() -> None:
    accounts = [Series.of(f"acc{number:05}", "VERIFY-API") for number in range(5000)]
    lefts = [unfinished_series(series=series, owed=(JANUARY,)) for series in accounts]
    lines = text(run_summary(*lefts, code=ExitCode.UNFINISHED))[2:-1]
    (line,) = lines
    assert line.startswith("  still missing: acc00000 VERIFY-API: 2026-01-01 to 2026-02-01, not ")
    assert line.endswith("the next run asks for it (and 4,999 more like this)")
    lefts = [
        unfinished_series(series=series, refused=f"account {series.account_id}: HTTP 403")
        for series in accounts
    ]
    assert why(run_summary(*lefts, code=ExitCode.FINDINGS)) == [
        "refused: account acc00000: HTTP 403 (and 4,999 more like this)"
    ]


def test_what_needs_a_person_comes_before_what_the_next_run_does() -> None:
    owing = unfinished_series(owed=(JANUARY,))
    given_up = unfinished_series(given_up=(GivenUp(1, SMS, JANUARY, None, "it failed", NOW),))
    lines = text(run_summary(owing, given_up, code=ExitCode.UNFINISHED))
    assert [line.split(":")[0] for line in lines[2:-1]] == ["  given up", "  still missing"]


@pytest.mark.parametrize(
    ("code", "why", "line"),
    [
        (
            ExitCode.UNFINISHED,
            "",
            "Not finished. Nothing is lost. To continue: `orchestrator run jobs/nightly.yaml`",
        ),
        (
            ExitCode.UNFINISHED,
            "the deadline has come",
            (
                "Not finished (the deadline has come). Nothing is lost. To continue: "
                "`orchestrator run jobs/nightly.yaml`"
            ),
        ),
        (
            ExitCode.INTERRUPTED,
            "SIGINT",
            "Stopped (SIGINT). Nothing is lost. To continue: `orchestrator run jobs/nightly.yaml`",
        ),
    ],
)
def test_the_last_line_says_how_it_ended(code: ExitCode, why: str, line: str) -> None:
    assert text(run_summary(code=code, why_stopped=why))[-1] == line


def test_made_up_days_and_lost_time_are_named() -> None:
    remarks = PlanNotes()
    remarks.backfilled["nightly"] = (MARCH,)
    remarks.past_retention = Window(
        datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 2, 2, 0, 30, tzinfo=UTC)
    )
    remarks.past_retention_series = 2
    assert text(run_summary(plan_notes=remarks))[2:-1] == [
        "  catching up for nightly: 2026-03-01 to 2026-03-02, missed by earlier runs",
        (
            "  warning: 2 series reached back to 2024-01-01, but the API keeps records "
            "only since 2025-02-02: the older time was asked for all the same, and what the API "
            "has deleted is missing in the files"
        ),
    ]


def test_the_json_has_every_reason() -> None:
    left = unfinished_series(
        owed=(JANUARY,),
        open={State.HELD: 1},
        given_up=(GivenUp(1, SMS, MARCH, 17, "it failed", NOW),),
        disputed=(report(State.DISPUTED, "wrong count"),),
    )
    answer = as_json(run_summary(left, code=ExitCode.UNFINISHED))
    assert answer["unsettled"] == [
        {
            "job": "nightly",
            "account_id": "abcd1234",
            "product": "SMS",
            "direction": "outbound",
            "filter": {},
            "owed": [{"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}],
            "attempts": 0,
            "refused": None,
            "open": {"held": 1},
            "given_up": [
                {
                    "start": "2026-03-01T00:00:00Z",
                    "end": "2026-03-02T00:00:00Z",
                    "report": 17,
                    "reason": "it failed",
                }
            ],
            "disputed": [
                {
                    "start": "2026-01-01T00:00:00Z",
                    "end": "2026-02-01T00:00:00Z",
                    "report": 17,
                    "request_id": "r-17",
                    "reason": "wrong count",
                }
            ],
        }
    ]
    assert (answer["exit_code"], answer["exit_word"]) == (75, "unfinished")


# --- both sides: what needs a person, and what goes on by itself ----------------------------------


def test_what_needs_a_person_is_not_hidden_by_what_goes_on() -> None:
    both = RunOutcome(unfinished=True, needs_person=True)
    end = run_summary(
        unfinished_series(refused="the API does not accept key abcd1234"),
        unfinished_series(owed=(JANUARY,), open={State.SUBMITTED: 2, State.HELD: 1}),
        code=ExitCode.FINDINGS,
        why_stopped="the deadline has come",
        remains=both,
    )
    assert text(end)[-1].startswith(
        "1 problem needs you; see above. The rest is not finished (the deadline has come). Nothing "
        "is lost. To continue: `orchestrator run "
    )
    answer = as_json(end)
    assert (answer["needs_person"], answer["unfinished"]) == (True, True)
    assert answer["why"] == [
        "refused: the API does not accept key abcd1234",
        "1 report held: we do not know whether the API accepted it",
        "2 reports open",
        "1 series with time that is still missing",
        "stopped: the deadline has come",
    ]


def test_a_good_run_has_no_reasons() -> None:
    answer = as_json(run_summary())
    assert (answer["needs_person"], answer["unfinished"], answer["why"]) == (False, False, [])


def test_what_refetch_has_left_is_told_with_its_exit_code() -> None:
    left = "newer editions by `refetch`: 2 open; the old files stay"
    remains = RunOutcome(unfinished=True, needs_person=False, refetch=left)
    end = run_summary(code=ExitCode.UNFINISHED, remains=remains)
    assert text(end)[2:3] == [f"  {left}"]
    assert as_json(end)["why"] == [left]


def test_what_is_not_of_the_jobs_has_its_own_lines() -> None:
    others = Others(
        open={State.SUBMITTED: 3, State.READY: 1},
        series=2,
        jobs=("backfill",),
        disputed=2,
        given_up=1,
    )
    end = run_summary(
        code=ExitCode.UNFINISHED,
        remains=RunOutcome(unfinished=True, needs_person=False),
        others=others,
    )
    words = (
        "4 reports of 2 series that no job named here holds, asked for by backfill; every run of "
        "the same API key goes on with them"
    )
    look = "see `orchestrator status --failed`"
    assert text(end)[2:4] == [
        f"  open: {words}",
        f"  other jobs: 2 reports disputed and 1 window given up; {look}",
    ]
    assert as_json(end)["why"] == [f"open: {words}"]
    assert as_json(end)["others"] == {
        "open": {"submitted": 3, "ready": 1},
        "series": 2,
        "jobs": ["backfill"],
        "refused": [],
        "disputed": 2,
        "given_up": 1,
    }


def test_a_bug_is_named_in_the_last_line() -> None:
    end = run_summary(
        code=ExitCode.BUG, remains=RunOutcome(unfinished=False, needs_person=False, bug=True)
    )
    assert text(end)[-1].startswith("An internal error ended the work on some reports: see above, ")
    assert as_json(end)["why"] == ["an unexpected error of this program ended the work on a report"]


# --- many of one cause ----------------------------------------------------------------------------


def test_what_failed_is_not_called_not_asked_for_yet() -> None:
    """Before: of a window that failed 15 times it said "not asked for yet"."""
    left = unfinished_series(
        owed=(JANUARY, MARCH), tried=(JANUARY,), attempts=3, last_failure="the API says FAILED"
    )
    assert text(run_summary(left))[2:-1] == [
        (
            "  still missing: abcd1234 SMS outbound: 2026-01-01 to 2026-02-01, tried 3 times "
            "without success (last: the API says FAILED); the next run tries again"
        ),
        (
            "  still missing: abcd1234 SMS outbound: 2026-03-01 to 2026-03-02, not asked for yet; "
            "the next run asks for it"
        ),
    ]


def test_many_disputed_reports_of_one_cause_are_one_line() -> None:
    """Before: 18 disputed reports were 18 lines of 400 characters."""
    disputed = tuple(
        replace(
            report(State.DISPUTED, f"the CSV holds {number} records, the API promised 9"), id=number
        )
        for number in range(80, 98)
    )
    other = replace(report(State.DISPUTED, "a wrong echo"), id=99)
    first, second = text(run_summary(unfinished_series(disputed=(*disputed, other))))[2:-1]
    assert first == (
        "  disputed: 18 reports of one cause (80, 81, 82, 83, 84 and 13 more), such as report 80,"
        " abcd1234 SMS outbound, 2026-01-01 to 2026-02-01: the CSV holds 80 records, the API"
        " promised 9; `orchestrator status jobs/nightly.yaml --failed --long` says what can be done"
        " about each"
    )
    assert second.startswith("  disputed: report 99, abcd1234 SMS outbound, ")
    assert "`orchestrator resolve 99 --refetch`" in second


def test_many_windows_given_up_for_one_cause_are_one_line() -> None:
    given_up = tuple(
        GivenUp(number, SMS, JANUARY, number, f"{number} reports came to nothing", NOW)
        for number in range(1, 11)
    )
    (line,) = text(run_summary(unfinished_series(given_up=given_up)))[2:-1]
    assert line == (
        "  given up: 10 windows of one cause (1, 2, 3, 4, 5 and 5 more), such as abcd1234 SMS"
        " outbound, 2026-01-01 to 2026-02-01: 1 reports came to nothing; `orchestrator status"
        " jobs/nightly.yaml --failed` lists them; `orchestrator run jobs/nightly.yaml"
        " --retry-failed` asks again"
    )
