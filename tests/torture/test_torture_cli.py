"""Twenty SIGKILLs of the real program; `make torture` does hundreds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.torture.campaign import Campaign

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 20


@pytest.mark.timeout(240)
def test_nothing_is_lost_and_nothing_paid_twice_however_often_it_is_killed(tmp_path: Path) -> None:
    outcome = Campaign(tmp_path, KILLS, seed=7).go()
    assert outcome.wrong == []
    assert (outcome.lost, outcome.twice, outcome.paid_twice) == (0, 0, 0)
    assert outcome.kills == KILLS
    assert outcome.reports > KILLS
    assert outcome.records > outcome.reports
