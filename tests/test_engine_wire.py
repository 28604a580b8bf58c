"""Runs against an API whose answers hold fields that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.core.settings import OnUnknown
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
LOOKS = ("status", "list")


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("items_count", '"?"'),
        ("items_count", '"30 records"'),
        ("items_count", "NaN"),
        ("items_count", "-1"),
        ("date_start", '"yesterday"'),
        ("date_end", "1590069420"),
        ("receive_time", '"2026-02-30T00:00:00Z"'),
        ("receive_time", '"1756-01-27T20:00:00Z"'),
        ("callback_url", "{}"),
        ("direction", "{}"),
        ("include_message", "[[]]"),
    ],
)
async def test_a_field_that_can_never_be_read_is_absent_and_the_report_is_collected(
    tmp_path: Path, field: str, written: str
) -> None:
    """Before: it stayed open until it was lost, and was bought again."""
    faults = [
        Fault.of(at, "writes", field=field, json=written) for at in ("create", "status", "list")
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 3
        warnings = [note for note in here.seen.notes if "cannot be read in full" in note]
        assert len(warnings) == 3
        assert all(f": {field} is" in note for note in warnings)


@pytest.mark.parametrize("written", ['"30,000"', '"8.0"', "8.0"])
async def test_a_count_that_is_written_for_people_is_read(tmp_path: Path, written: str) -> None:
    """It is a count, and a wrong one here: what it promises is held against the file."""
    faults = [Fault.of(at, "writes", field="items_count", json=written) for at in LOOKS]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is not ExitCode.DONE
        assert here.states() == {"disputed": 3}
        assert len(here.sim.world.reports()) == 3


async def test_a_leap_second_is_a_moment(tmp_path: Path) -> None:
    faults = [
        Fault.of(at, "writes", field="receive_time", json='"2026-03-01T12:00:60+0000"')
        for at in ("create", "status", "list")
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.seen.notes == []


async def test_what_can_be_read_the_second_time_is_not_worth_a_word(tmp_path: Path) -> None:
    """A count that a proof needs is asked for once more."""
    faults = [
        Fault.of("list", "writes", field="items_count", json='"?"'),
        Fault.of("status", "writes", field="items_count", json='"?"', nth=[1, 2, 3]),
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(between("2026-01-01", "2026-02-01"))
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 1


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ("receive_time", '"the day before yesterday"'),
        ("items_count", "Infinity"),
        ("request_status", "[]"),
        ("_links", '"none"'),
        ("account_id", "{}"),
    ],
)
@pytest.mark.parametrize("resubmit", [False, True], ids=["hold", "resubmit"])
async def test_the_id_of_an_answer_to_a_create_is_kept_whatever_else_it_says(
    tmp_path: Path, field: str, written: str, *, resubmit: bool
) -> None:
    """Before: the id was thrown away, the window held; with `resubmit` it was bought again."""
    fault = Fault.of("create", "writes", field=field, json=written)
    async with stage(tmp_path, with_faults(SMALL, fault, Fault.of("list", "empty"))) as here:
        if resubmit:
            here.config = replace(here.config, on_unknown=OnUnknown.RESUBMIT)
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 3
        assert not [change for change in here.seen.changes if change[1] == "CreateUnknown"]


@pytest.mark.parametrize("form", ["nan", "twice", "trailing", "latin1"])
async def test_an_odd_entry_of_a_list_does_not_hide_the_others(tmp_path: Path, form: str) -> None:
    fault = Fault.of("status", "shape", form=form, made=True, nth=[1])
    odd = Fault.of("list", "writes", field="direction", json='NaN, "direction": 1')
    async with stage(tmp_path, with_faults(SMALL, fault, odd)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 3
