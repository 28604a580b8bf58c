"""The process dies at any commit of the ledger; the next run ends with exactly the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.ledger.sqlite import SqliteLedger
from orchestrator.simulator import Settings
from tests.kit.stage import between, job, stage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
SURE_COMMITS = 15
"""A job of three reports makes at least so many, however they are grouped."""

COMMITS = 27
"""And fewer than this: the last ones show a run that nothing kills."""


class PowerCut(BaseException):
    """The process is no more: nothing catches it, nothing is cleaned up by it."""


def dying(at: int, *, after: bool) -> type[SqliteLedger]:
    """A ledger that dies at its `at`-th commit: before it, or right after it."""
    commits = 0

    class Dying(SqliteLedger):
        def commit(self) -> None:
            nonlocal commits
            commits += 1
            if commits == at and not after:
                raise PowerCut
            super().commit()
            if commits >= at:
                raise PowerCut

    return Dying


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
async def test_death_at_any_commit(tmp_path: Path, at: int, *, after: bool) -> None:
    async with stage(tmp_path, Settings(records_per_day=1.0)) as here:
        wanted = job(QUARTER)
        here.ledger_class = dying(at, after=after)
        died = False
        try:
            await here.run(wanted)
        except* PowerCut:
            died = True
        assert died or at > SURE_COMMITS
        here.ledger_class = SqliteLedger
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE
        here.assert_all_is_well(wanted)
        assert here.bought() == 3, "no report is bought beside another"


async def test_the_campaign_reaches_the_end_of_a_run(tmp_path: Path) -> None:
    """The last deaths of the campaign must come after a whole run, or some commit is untested."""
    async with stage(tmp_path, Settings(records_per_day=1.0)) as here:
        here.ledger_class = dying(COMMITS, after=True)
        end = await here.run(job(QUARTER))
        assert exit_code(end.remains) is ExitCode.DONE
