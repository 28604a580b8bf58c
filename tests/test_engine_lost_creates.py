"""Creates whose answer tells little: what was made is known again, and nothing is paid twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.sim import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

MONTH = between("2026-01-01", "2026-02-01")
QUARTER = between("2025-11-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)


@pytest.mark.parametrize("form", ["wrapped", "date", "status", "types", "bare"])
async def test_an_odd_answer_to_a_create_with_its_id_is_followed_at_once(
    tmp_path: Path, form: str
) -> None:
    odd = with_faults(SMALL, Fault.of("create", "odd", form=form, status=202))
    async with stage(tmp_path, odd) as here:
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.DONE
        assert here.states() == {"collected": 1}
        assert len(here.sim.world.reports()) == 1
        assert not any("not known" in note for note in here.seen.notes)
        here.assert_all_is_well(job(MONTH))
