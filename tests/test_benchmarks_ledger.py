"""The benchmark of large ledgers: its ledgers are such as runs leave behind, its commands run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from benchmarks import ledger
from benchmarks.large_ledgers import Dataset
from orchestrator.collect.manifest import Reading, survey
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.ledger.sqlite import connect, reading

if TYPE_CHECKING:
    from pathlib import Path


def test_a_ledger_made_by_sql_is_sound_and_holds_what_its_job_wants(tmp_path: Path) -> None:
    made = Dataset(tmp_path, series=3, chunks=4, open=2)
    made.make_ledger()
    connect(made.state).close()
    whole = Window(
        datetime.combine(made.end, datetime.min.time(), UTC) - timedelta(days=4),
        datetime.combine(made.end, datetime.min.time(), UTC),
    )
    with reading(made.state) as store:
        series = list(store.all_series())
        assert [store.had(one) for one in series] == [(whole,)] * 3
        reports = [report for one in series for report in store.reports(one)]
        assert [report.state for report in reports] == [State.COLLECTED] * 10 + [
            State.SUBMITTED
        ] * 2
        assert len({report.request_id for report in reports}) == made.reports == 12
        steps = [state for *_, state, _ in store.events(1)]
        assert steps == ["submitting", "submitted", "ready", "verified", "collected"]
        made.make_manifest()
        assert survey(FolderStore(tmp_path / "reports")).point == store.point()
    assert len(list(Reading(FolderStore(tmp_path / "reports")))) == 12


@pytest.mark.parametrize(
    ("size", "series", "chunks"), [(5, 2, 2), (10_000, 100, 100), (1_000_000, 1000, 1000)]
)
def test_sizes_are_split_into_series(tmp_path: Path, size: int, series: int, chunks: int) -> None:
    made = Dataset.of(tmp_path, size)
    assert (made.series, made.chunks) == (series, chunks)


def test_a_run_is_timed_to_its_first_request_and_commands_to_their_end(tmp_path: Path) -> None:
    made = Dataset(tmp_path, series=1, chunks=2, open=1)
    made.make_ledger()
    resumed = ledger.resume(made)
    looked = ledger.run_command("status", str(made.job))
    assert min(resumed.seconds, looked.seconds) > 0
    assert min(resumed.peak_bytes, looked.peak_bytes) > 10_000_000
    row = ledger.Row(2, looked, looked, resumed, resumed, 0.1, 1200.0)
    said = ledger.section([row])
    assert {one.goal for one in said.figures} == {
        f"≤ {seconds} s, ≤ 200 MB" for seconds in (2, 5, 20)
    }
    assert set(said.plots) == {"ledger"}
