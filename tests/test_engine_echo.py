"""A report that does not repeat what was asked for: its file is kept, and decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.simulator import Fault, Settings
from orchestrator.simulator.faults.reports import WrongEcho
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import Report

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

SMALL = Settings(records_per_day=2.0)
TWO_MONTHS = between("2025-12-01", "2026-02-01")
BRITISH = Series.of("abcd1234", "SMS", "outbound", {"country": "GB"})


def kept(output: Path) -> list[str]:
    return sorted(path.suffix for path in (output / ".aside").iterdir())


async def test_another_spelling_is_no_difference(tmp_path: Path) -> None:
    """Before: all bought, all disputed, no file kept."""
    lower = Fault.of("report", "wrong_echo", field="country", value="gb")
    async with stage(tmp_path, with_faults(SMALL, lower)) as here:
        wanted = job(TWO_MONTHS, series=(BRITISH,))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert not any("warning" in note for note in here.seen.notes)


async def test_a_difference_that_the_file_refutes_is_a_warning(tmp_path: Path) -> None:
    fault = Fault.of("report", "wrong_echo", field="account_id", value="cafe0002", nth=2)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(TWO_MONTHS)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        held_back, warning = [note for note in here.seen.notes if note.startswith("warning")]
        assert "nothing more of it is asked for until the file" in held_back
        assert "asked for account_id abcd1234, the API reports cafe0002" in warning
        assert "the file holds what was asked for" in warning


async def test_a_difference_that_nothing_refutes_keeps_the_file(tmp_path: Path) -> None:
    """A person can take it, at no further cost."""
    fault = Fault.of("report", "wrong_echo", field="product", value="ASR", nth=1)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(TWO_MONTHS)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"disputed": 1}, "its series waits for a person too"
        assert kept(here.output) == [".csv", ".txt"]
        assert len(here.sim.world.reports()) == 1
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"collected": 1, "disputed": 1}
        assert len(here.sim.world.reports()) == 2


async def test_a_file_in_the_way_disputes_that_report_alone(tmp_path: Path) -> None:
    """Before: the whole run ended with 74."""
    async with stage(tmp_path, SMALL) as here:
        wanted = job(between("2025-11-01", "2026-02-01"))
        folder = here.output / (
            "report_account=abcd1234/report_product=SMS/report_direction=outbound/report_filter=all"
        )
        folder.mkdir(parents=True)
        other = folder / "20251201T000000Z_20260101T000000Z.csv"
        other.write_text("somebody else's\n")
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"collected": 2, "disputed": 1}
        assert other.read_text() == "somebody else's\n"
        assert kept(here.output) == [".csv", ".txt"]
        ((disputed,),) = [series.disputed for series in end.unsettled]
        assert f"another file stands at {other}" in disputed.reason


DAILY = Span(1, Unit.DAYS)
A_MONTH = between("2026-01-01", "2026-02-01")


async def test_a_wrong_answer_to_a_create_stops_its_series_at_once(tmp_path: Path) -> None:
    """Before: after the thirty-first report."""
    fault = Fault.of("report", "wrong_echo", field="product", value="ASR")
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(A_MONTH, chunk=DAILY)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert len(here.sim.world.reports()) == 1
        assert here.states() == {"disputed": 1}
        ((refused,),) = [[series.refused] for series in end.unsettled]
        assert refused is not None
        assert "is not what was asked for: asked for product SMS, the API reports ASR" in refused


async def test_a_series_goes_on_once_its_file_has_refuted_the_answer(tmp_path: Path) -> None:
    fault = Fault.of("report", "wrong_echo", field="account_id", value="cafe0002")
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(A_MONTH, chunk=DAILY)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        assert len(here.sim.world.reports()) == 31
        here.assert_all_is_well(wanted)
        held_back = [note for note in here.seen.notes if "until the file of that report" in note]
        assert len(held_back) == 1


async def test_a_truncated_report_with_a_wrong_echo_keeps_its_file(tmp_path: Path) -> None:
    """What came is always kept: a person may want it."""
    async with stage(tmp_path, with_faults(SMALL, Fault.of("report", "truncated"))) as here:

        def slip(report: Report, _event: Event | None) -> None:
            if report.state is State.SUBMITTED:
                for one in here.sim.world.reports():
                    one.faults.append(WrongEcho(at="report", value="ASR"))

        here.seen.on_change = slip
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"disputed": 1}
        assert kept(here.output), "its file was not kept"


async def test_a_fresh_status_that_tells_of_something_else_gives_no_link(tmp_path: Path) -> None:
    """A report that is ready is asked about anew after a failed download: its echo counts too."""
    faults = [
        Fault.of("download", "refuse", status=404, nth=1),
        Fault.of("status", "writes", field="product", json='"ASR"', nth=5),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        asked_when_ready: list[int] = []

        def remember(report: Report, _event: Event | None) -> None:
            if report.state is State.READY:
                asked_when_ready.append(here.sim.calls["status"])

        here.seen.on_change = remember
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        assert asked_when_ready == [4], "the fault is to strike the first status after that"
        assert exit_code(end.remains) is ExitCode.FINDINGS
        assert here.states() == {"disputed": 1}
        assert kept(here.output)
