"""Ends that prove nothing: nothing is bought for them, and all is collected in the end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from orchestrator.api import VonageReports
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.collect.verify import verify
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.proofs import Proof
from orchestrator.core.settings import Format, OnTimeout, OutputSettings, PollPolicy
from orchestrator.engine import resolve
from orchestrator.engine.cancel import cancel
from orchestrator.ledger.sqlite import connect
from orchestrator.simulator import Fault, Settings, WorldClock
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.model import RemoteReport
    from tests.kit.stage import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = between("2026-01-01", "2026-02-01")
HALF_YEAR = between("2025-08-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
EVERYWHERE = ("create", "status", "list", "download", "cancel")
DAY = timedelta(days=1)


def events(here: Stage, kind: str) -> list[dict[str, Any]]:
    """What the ledger's events of a kind say, the oldest first."""
    connection = connect(here.config.state, read_only=True)
    try:
        found = connection.execute("SELECT facts FROM event WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(facts) for (facts,) in found]
    finally:
        connection.close()


def notes(here: Stage, words: str) -> list[str]:
    return [note for note in here.seen.notes if words in note]


# --- 404 for a report's id ------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 6], ids=["a lone report", "six of an account"])
@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault.of("status", "refuse", status=404, nth=1)], id="once"),
        pytest.param([Fault.of("status", "refuse", status=410, first=4)], id="410"),
        pytest.param([Fault.of("report", "hidden", seconds=25)], id="25 s after the create"),
        pytest.param(
            [
                Fault.of("report", "hidden", seconds=25),
                Fault.of("status", "refuse", status=404, after=40.0, times=1),
            ],
            id="25 s after the create, and once more",
        ),
        pytest.param([Fault.of("report", "hidden", late=10, seconds=3000)], id="for 50 minutes"),
    ],
)
async def test_404s_that_pass_end_nothing(
    tmp_path: Path, faults: list[Fault], at_once: int
) -> None:
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(MONTH if at_once == 1 else HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == at_once
        assert here.states() == {"collected": at_once}


@pytest.mark.parametrize("seconds", [1, 60, 600])
@pytest.mark.parametrize("after", [2.0, 20.0, 45.0])
@pytest.mark.parametrize("status", [404, 410])
async def test_a_gateway_that_answers_404_to_everything_ends_nothing(
    tmp_path: Path, seconds: float, after: float, status: int
) -> None:
    until = after + seconds
    gateway = [Fault.of(at, "refuse", status=status, after=after, until=until) for at in EVERYWHERE]
    settings = replace(with_faults(SMALL, *gateway), processing_time=timedelta(seconds=30))
    async with stage(tmp_path, settings) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        if seconds < 600:
            assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        else:
            end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6
        assert here.states() == {"collected": 6}


async def test_an_hour_of_404_is_left_to_the_next_run_and_said_so(tmp_path: Path) -> None:
    """No list covers the moment of its create, so nothing proves that it never was."""
    hidden = Fault.of("report", "hidden", seconds=3 * 3600, listed=False, nth=2)
    async with stage(tmp_path, with_faults(SMALL, hidden)) as here:
        wanted = job(HALF_YEAR)
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert 3600 <= anyio.current_time() - began <= 5400
        assert here.states() == {"collected": 5, "submitted": 1}
        (note,) = notes(here, "answered 404")
        report = next(one for one in here.reports() if one.state is State.SUBMITTED)
        assert report.request_id is not None
        assert report.request_id in note
        assert f"`orchestrator resolve {report.id} --resubmit` buys it again" in note
        assert here.sim.calls["status"] <= 30, "ever more rarely"
        await anyio.sleep(2 * 3600)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6


async def test_what_the_api_does_not_know_while_it_shows_others_is_bought_again(
    tmp_path: Path,
) -> None:
    """An hour of 404, others of the key are shown, and a list that covers its create lacks it."""
    hidden = Fault.of("report", "hidden", seconds=1e9, listed=False, nth=2)
    async with stage(tmp_path, with_faults(SMALL, hidden)) as here:
        await here.run(job(HALF_YEAR))
        later = job(between("2025-07-01", "2026-02-01"))
        await here.run(later)  # from now on a list shows a newer report as well
        assert here.states() == {"collected": 6, "submitted": 1}
        end = await here.run(later)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert here.states() == {"collected": 7, "lost": 1}
        (lost,) = events(here, "Lost")
        assert lost["proof"] == Proof.UNKNOWN_TO_THE_API
        assert here.sim.calls["create"] == 8


async def test_a_list_that_names_no_accounts_does_not_prove_that_it_lacks_a_subaccounts_report(
    tmp_path: Path,
) -> None:
    """The key's own list may show its own reports alone, and the subaccount's cannot be had."""
    faults = [
        Fault.of("report", "hidden", seconds=1e9, listed=False, nth=2, account="cafe0002"),
        Fault.of("list", "refuse", status=403, account="cafe0002"),
        Fault.of("list", "omits", field="account_id", account="abcd1234"),
    ]
    both = (Series.of("cafe0002", "SMS", "outbound"), Series.of("abcd1234", "SMS", "outbound"))
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        await here.run(job(HALF_YEAR, series=both[1:]))
        await here.run(job(HALF_YEAR, series=both))
        later = job(between("2025-07-01", "2026-02-01"), series=both)
        await here.run(later)
        end = await here.run(later)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 13, "submitted": 1}
        assert events(here, "Lost") == []


async def test_one_answer_that_says_truncated_and_nothing_more_is_asked_again(
    tmp_path: Path,
) -> None:
    """Count and link tell whether smaller chunks help; both may be filled in a moment later."""
    fault = Fault.of("status", "word", status="TRUNCATED", nth=2)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.states()
        here.assert_all_is_well(wanted)
        assert here.bought() == 1


async def test_a_report_that_only_lists_show_is_not_lost(tmp_path: Path) -> None:
    hidden = Fault.of("report", "hidden", seconds=1e9, nth=2)
    async with stage(tmp_path, with_faults(SMALL, hidden)) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6


# --- statuses that are not whole, or go backwards -------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.of("status", "omits", field="_links", first=4), id="no link at first"),
        pytest.param(Fault.of("status", "omits", field="items_count", nth=1), id="no count once"),
        pytest.param(Fault.of("status", "word", status="PROCESSING", every=2), id="stale"),
        pytest.param(Fault.of("status", "word", status="THINKING", every=2), id="unknown words"),
        pytest.param(Fault.of("status", "bare", first=3), id="no body"),
    ],
)
@pytest.mark.parametrize("late_file", [0, 20])
async def test_statuses_that_say_too_little_are_asked_again(
    tmp_path: Path, fault: Fault, late_file: int
) -> None:
    faults = [fault, Fault.of("report", "late_file", seconds=late_file)]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        for wanted in (job(MONTH), job(HALF_YEAR)):
            end = await here.run(wanted)
            assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
            here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6


async def test_a_success_that_never_gets_a_link_is_left_to_the_next_run(tmp_path: Path) -> None:
    """Once the API has forgotten it, its window is bought again."""
    missing = Fault.of("report", "link", to="missing", nth=2)
    async with stage(tmp_path, with_faults(SMALL, missing)) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 5, "submitted": 1}
        (note,) = notes(here, "gives no link")
        assert "--resubmit` buys it again" in note
        assert here.sim.calls["create"] == 6
        await anyio.sleep(5 * DAY.total_seconds())
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 6, "lost": 1}
        (lost,) = events(here, "Lost")
        assert lost["proof"] == Proof.REPORT_LIFE_OVER


@pytest.mark.parametrize("form", list(Format))
async def test_no_records_and_no_link_is_an_empty_file(tmp_path: Path, form: Format) -> None:
    nothing = replace(SMALL, records_per_day=0.0)
    async with stage(
        tmp_path, with_faults(nothing, Fault.of("report", "link", to="missing"))
    ) as here:
        here.config = replace(here.config, output=OutputSettings(here.output, form))
        end = await here.run(job(HALF_YEAR))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert here.states() == {"collected": 6}
        assert here.sim.calls["create"] == 6
        assert here.sim.calls["download"] == 0
        for report in here.reports():
            assert (report.rows, report.items_count) == (0, 0)
            assert report.target is not None
            assert report.sha256 is not None
            assert verify(FolderStore(here.output), report.target, report.sha256, 0, form) == []


async def test_no_records_and_no_link_for_a_moment_is_not_an_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is there before count and link are."""
    asked = VonageReports.status
    finished: list[float] = []

    async def early(self: VonageReports, request_id: str) -> RemoteReport:
        answer = await asked(self, request_id)
        if answer.download_url is None:
            return answer
        finished.append(anyio.current_time())
        if anyio.current_time() - finished[0] > 45:
            return answer
        return replace(answer, download_url=None, items_count=0)

    monkeypatch.setattr(VonageReports, "status", early)
    async with stage(tmp_path, SMALL) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(job(MONTH))


# --- a file that cannot be had --------------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([Fault.of("report", "late_file", seconds=20)], id="there 20 s late"),
        pytest.param(
            [
                Fault.of("report", "late_file", seconds=20),
                Fault.of("status", "word", status="PROCESSING", every=2),
            ],
            id="late, and its status goes backwards",
        ),
        pytest.param(
            [
                Fault.of("report", "late_file", seconds=20),
                Fault.of("status", "omits", field="_links", every=2),
            ],
            id="late, and its status has no link",
        ),
        pytest.param(
            [
                Fault.of("report", "late_file", seconds=20),
                Fault.of("status", "refuse", status=404, every=2),
            ],
            id="late, and 404 for its status",
        ),
        pytest.param([Fault.of("download", "refuse", status=410, every=2)], id="410"),
        pytest.param([Fault.of("download", "refuse", status=400, every=2)], id="400"),
        pytest.param([Fault.of("download", "refuse", status=403, every=2)], id="403"),
        pytest.param([Fault.of("download", "refuse", status=401, every=2)], id="401"),
        pytest.param([Fault.of("download", "html", status=200, every=2)], id="HTML with 200"),
    ],
)
async def test_a_file_that_comes_in_the_end_is_not_bought_again(
    tmp_path: Path, faults: list[Fault]
) -> None:
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_link_that_has_died_by_the_next_run_is_renewed(tmp_path: Path, status: int) -> None:
    faults = [
        Fault.of("report", "signed", seconds=600, status=status),
        Fault.of("download", "refuse", status=503, until=1200.0),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        here.config = replace(here.config, poll=PollPolicy(timeout=timedelta(minutes=10)))
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"ready": 6}
        await anyio.sleep(3600)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 6


async def test_a_file_that_never_comes_is_tried_for_four_days_and_then_bought_again(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path, with_faults(SMALL, Fault.of("report", "gone", nth=2))) as here:
        wanted = job(HALF_YEAR)
        for _ in range(4):
            end = await here.run(wanted)
            assert exit_code(end.remains) is ExitCode.UNFINISHED
            assert here.states() == {"collected": 5, "ready": 1}
            assert notes(here, "it stays open, and the next run asks for its link again")
            await anyio.sleep(DAY.total_seconds())
        assert here.sim.calls["create"] == 6
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 6, "lost": 1}
        assert here.sim.calls["create"] == 7


async def test_a_file_whose_life_is_over_is_expired_while_its_report_is_still_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API that remembers reports for a month; the file is tried until 96 hours are over."""
    monkeypatch.setattr("orchestrator.simulator.world.REPORT_LIFE", 30 * DAY)
    async with stage(tmp_path, with_faults(SMALL, Fault.of("report", "gone", nth=1))) as here:
        wanted = job(MONTH)
        await here.run(wanted)
        await anyio.sleep(3.9 * DAY.total_seconds())
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"ready": 1}
        await anyio.sleep(0.2 * DAY.total_seconds())
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 1, "expired": 1}
        (expired,) = events(here, "FileGone")
        assert expired["proof"] == Proof.FILE_LIFE_OVER


@pytest.mark.parametrize("off", [timedelta(days=-30), timedelta(days=30)], ids=["behind", "ahead"])
@pytest.mark.parametrize("fault", ["gone", "stuck"])
async def test_a_machine_s_clock_that_is_set_right_ends_no_life(
    tmp_path: Path, off: timedelta, fault: str
) -> None:
    """Ours was a month off when the report was asked for; and ids and files answer 404 today."""
    later = Fault.of("status", "refuse", status=404, after=6 * 3600.0 + 1)
    faults = [Fault.of("report", fault, nth=2), later]
    poll = PollPolicy(timeout=timedelta(hours=2))
    async with stage(tmp_path, with_faults(SMALL, *faults), poll=poll) as here:
        assert not isinstance(here.clock, WorldClock)
        here.clock.start += off
        wanted = job(between("2025-10-01", "2025-12-01"))
        await here.run(wanted)
        open_before = {"gone": {"ready": 1}, "stuck": {"submitted": 1}}[fault]
        assert here.states() == {"collected": 1, **open_before}
        here.clock.start -= off
        await anyio.sleep(6 * 3600)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"collected": 1, **open_before}
        assert here.sim.calls["create"] == 2


async def test_a_finished_report_that_failed_after_all_is_bought_again(tmp_path: Path) -> None:
    """What the report's own answer says is an end at any time."""
    faults = [
        Fault.of("report", "gone", nth=1),
        Fault.of("status", "word", status="FAILED", nth=2),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert here.states() == {"collected": 1, "failed": 1}


# --- counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [1, -1, 1000])
async def test_a_count_that_only_lists_show_is_not_believed(tmp_path: Path, by: int) -> None:
    """The file that is here is held against a fresh status: no second download."""
    async with stage(tmp_path, with_faults(SMALL, Fault.of("list", "miscount", by=by))) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.sim.calls["download"] == 6


@pytest.mark.parametrize("form", list(Format))
async def test_a_file_is_judged_anew_in_every_format(tmp_path: Path, form: Format) -> None:
    large = Settings(records_per_day=300.0)
    async with stage(tmp_path, with_faults(large, Fault.of("list", "miscount"))) as here:
        here.config = replace(here.config, output=OutputSettings(here.output, form))
        end = await here.run(job(HALF_YEAR))
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert here.sim.calls["download"] == 6
        for report in here.reports():
            assert report.target is not None
            assert report.sha256 is not None
            assert report.rows == report.items_count
            store = FolderStore(here.output)
            assert verify(store, report.target, report.sha256, report.rows or 0, form) == []


async def test_a_wrong_count_that_is_confirmed_takes_three_downloads(tmp_path: Path) -> None:
    async with stage(tmp_path, with_faults(SMALL, Fault.of("report", "wrong_count"))) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.sim.calls["download"] == 3
        (report,) = here.reports()
        assert report.state is State.DISPUTED
        assert report.reason.endswith("(after 3 downloads)")
        assert list((here.output / ".aside").glob("*.zip"))


async def test_html_for_long_is_disputed_and_can_be_fetched_again(tmp_path: Path) -> None:
    html = Fault.of("download", "html", status=200, first=8)
    async with stage(tmp_path, with_faults(SMALL, html)) as here:
        wanted = job(MONTH)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"disputed": 1}
        (kept,) = (here.output / ".aside").glob("*.zip")
        assert kept.read_bytes().startswith(b"<!DOCTYPE html>")
        async with here.world() as world:
            await resolve.refetch(here.reports()[0], world.ledger)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 1


# --- replacing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [202, 204])
async def test_a_cancel_that_answers_nothing_is_followed_by_a_look(
    tmp_path: Path, status: int
) -> None:
    faults = [Fault.of("report", "stuck", nth=2), Fault.of("cancel", "bare", status=status)]
    poll = PollPolicy(timeout=timedelta(hours=2), on_timeout=OnTimeout.REPLACE)
    async with stage(tmp_path, with_faults(SMALL, *faults), poll=poll) as here:
        wanted = job(HALF_YEAR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.states() == {"collected": 6, "aborted": 1}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault.of("report", "keeps_on"), id="200, and it goes on"),
        pytest.param(Fault.of("cancel", "refuse", status=404), id="404"),
        pytest.param(Fault.of("cancel", "refuse", status=409), id="409"),
    ],
)
async def test_nothing_is_bought_for_a_report_that_a_cancel_did_not_end(
    tmp_path: Path, fault: Fault
) -> None:
    """It takes three hours; the run gives it one, and would replace it then."""
    poll = PollPolicy(timeout=timedelta(hours=1), on_timeout=OnTimeout.REPLACE)
    settings = replace(with_faults(SMALL, fault), processing_time=timedelta(hours=3))
    async with stage(tmp_path, settings, poll=poll) as here:
        wanted = job(MONTH)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert here.states() == {"submitted": 1}
        assert notes(here, "is not finished after 1:00:00")
        await anyio.sleep(3 * 3600)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 1


# --- the command `cancel` -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        pytest.param(None, "cancelled", "cancelled at the API", id="as it should be"),
        pytest.param(
            Fault.of("cancel", "bare", status=204), "cancelled", "cancelled at the API", id="204"
        ),
        pytest.param(
            Fault.of("cancel", "cut", nth=1),
            "cancelled",
            "cancelled at the API",
            id="cut, then 409",
        ),
        pytest.param(
            Fault.of("cancel", "word", status="PENDING"),
            "cancelled",
            "cancelled at the API",
            id="200 with the status of before",
        ),
        pytest.param(
            Fault.of("report", "keeps_on"),
            "submitted",
            "the API took the cancel, and says PROCESSING of the report; it stays open",
            id="200, and it goes on",
        ),
        pytest.param(
            Fault.of("cancel", "refuse", status=404),
            "submitted",
            "a 404 proves nothing: it stays open, and `run` looks again",
            id="404",
        ),
        pytest.param(
            Fault.of("cancel", "refuse", status=409), "submitted", "not cancelled: ", id="409"
        ),
    ],
)
async def test_what_a_cancel_makes_of_an_open_report(
    tmp_path: Path, fault: Fault | None, state: str, words: str
) -> None:
    settings = with_faults(SMALL, *([fault] if fault else []))
    settings = replace(settings, processing_time=timedelta(hours=3))
    poll = PollPolicy(timeout=timedelta(minutes=10))
    async with stage(tmp_path, settings, poll=poll) as here:
        wanted = job(MONTH)
        await here.run(wanted)
        async with here.world() as world:
            (result,) = await cancel([wanted], world.ledger, world.sessions)
        assert result.report.state.value == state
        assert result.done == (state == "cancelled")
        assert words in result.words
        await anyio.sleep(4 * 3600)
        end = await here.run(wanted)
        if state == "submitted":
            assert exit_code(end.remains) is ExitCode.DONE
            here.assert_all_is_well(wanted)
            assert here.sim.calls["create"] == 1


@pytest.mark.parametrize("keeps_on", [True, False], ids=["200 with SUCCESS", "409"])
async def test_a_cancel_that_comes_too_late_leaves_the_file_to_be_collected(
    tmp_path: Path, *, keeps_on: bool
) -> None:
    settings = with_faults(SMALL, *([Fault.of("report", "keeps_on")] if keeps_on else []))
    settings = replace(settings, processing_time=timedelta(hours=3))
    poll = PollPolicy(timeout=timedelta(minutes=10))
    async with stage(tmp_path, settings, poll=poll) as here:
        wanted = job(MONTH)
        await here.run(wanted)
        await anyio.sleep(4 * 3600)
        async with here.world() as world:
            (result,) = await cancel([wanted], world.ledger, world.sessions)
        assert result.words == "finished at the API already, and paid; `run` collects its file"
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.sim.calls["create"] == 1
