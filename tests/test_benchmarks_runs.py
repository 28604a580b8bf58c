"""Each benchmark, run through at its smallest size: the numbers mean nothing, the checks do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from benchmarks import airbyte, commands, keys, makespan, polling, rivals, small_reports, wallclock
from benchmarks.options import Options
from benchmarks.ours import ours
from benchmarks.rival_gather import gather
from benchmarks.rival_script import script
from benchmarks.simulator import Process, simulator
from benchmarks.virtual import measure
from benchmarks.worlds import Case, lossy, rate_bound
from orchestrator.simulator import Truth

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.sections import Section
    from benchmarks.virtual import Client

SMALLEST = Options(quick=True, sizes=(4,))
QUICK = Case(name="quick", reports=3, processing=(0.05, 0.2), concurrency=2, rate=50.0)


def column(section: Section, table: int, name: str) -> list[str]:
    """The cells under a heading."""
    found = section.tables[table]
    return [row[found.columns.index(name)] for row in found.rows]


def test_makespan_runs_through() -> None:
    section = makespan.measure(SMALLEST)
    assert column(section, 0, "case") == ["rate-bound", "server-bound", "server-bound, callbacks"]
    assert column(section, 1, "creates") == ["4"] * 3
    assert column(section, 1, "downloads") == ["4"] * 3
    assert column(section, 1, "files right") == ["yes"] * 3
    assert column(section, 1, "paid twice") == ["0"] * 3
    assert all(float(ratio) >= 1 for ratio in column(section, 0, "ratio"))


def test_each_layer_of_polling_is_switched_off_in_its_situations() -> None:
    section = polling.measure(Options(quick=True, sizes=(9,), only="lists"))
    assert set(column(section, 0, "layer")) >= {"lists", "old reports leave lists"}
    pairs = zip(column(section, 0, "layer"), column(section, 0, "polls on / off"), strict=True)
    on, off = next(polls for layer, polls in pairs if layer == "lists").split(" / ")
    assert int(on) < int(off)


def test_every_layer_names_situations_that_there_are() -> None:
    names = {name for layer in polling.LAYERS for name in layer.situations}
    assert names == polling.situations(30).keys()
    for layer in polling.LAYERS:
        with layer.off():  # fails where what it switches off has another name
            pass


def test_makespan_is_judged_at_a_thousand_reports_by_the_worst_of_three_seeds() -> None:
    seeds = [case.seed for case in makespan.cases(Options()) if case.reports == makespan.JUDGED]
    assert seeds == [1, 2, 3] * 3
    found = [measure(replace(rate_bound(4), seed=seed), ours) for seed in (1, 2)]
    for outcome in found:
        outcome.case = replace(outcome.case, reports=1000)
    makespan_figure, looks_figure = makespan.section(found).figures
    assert makespan_figure.measured == f"{max(outcome.ratio for outcome in found):.3f}"
    assert (makespan_figure.goal, looks_figure.goal) == ("≤ 1.10", "≤ 5 %")


def test_many_keys_run_through() -> None:
    section = keys.measure(Options(sizes=(2,)))
    assert column(section, 0, "files right") == ["yes"]
    assert column(section, 0, "429") == ["0"]


def test_every_rival_gets_the_records() -> None:
    section = rivals.measure(SMALLEST)
    assert column(section, 0, "client") == ["orchestrator", "asyncio.gather", "script"] * 3
    assert column(section, 0, "records right") == ["yes"] * 9
    assert column(section, 0, "paid twice") == ["0"] * 9


def test_a_lost_answer_is_paid_once_by_us_and_twice_by_who_sends_again() -> None:
    case = replace(lossy(5), lost_every=4)
    assert measure(case, ours).paid_twice == 0
    assert measure(case, gather).paid_twice > 0
    assert measure(case, script).paid_twice > 0


@pytest.mark.parametrize("client", rivals.CLIENTS.values(), ids=rivals.CLIENTS.keys())
def test_no_client_is_faster_than_the_bound(client: Client) -> None:
    outcome = measure(rate_bound(12), client)
    assert outcome.is_right
    assert outcome.bound is not None
    assert outcome.makespan >= outcome.bound


def test_a_run_of_processes_is_seen_by_its_simulator(tmp_path: Path) -> None:
    with simulator(QUICK) as server:
        outcome = commands.ours(QUICK, server, tmp_path)
    assert outcome.is_right
    assert outcome.calls["create"] == outcome.calls["download"] == QUICK.reports
    assert outcome.paid_twice == 0
    assert outcome.bound is not None
    assert outcome.makespan > outcome.bound
    section = wallclock.section(outcome, outcome)
    assert section.remarks == ("The wall clock is +0.0 s (+0.0%) off.",)


def test_small_reports_run_through() -> None:
    section = small_reports.measure(Options(sizes=(8,)))
    assert column(section, 0, "exit code") == ["0"]
    assert column(section, 0, "reports") == ["8"]


def test_records_are_found_among_a_connectors_messages() -> None:
    """What a decoder has changed on the way is not the truth."""
    case = rate_bound(2)
    body = {"account_id": "bench000", "product": "SMS", "direction": "outbound"}
    truth = Truth(case.settings(), body, case.start, case.windows().__next__()[1])
    rows = [dict(zip(truth.columns, row, strict=True)) for row in truth.rows()]
    lines = [
        '{"type": "LOG", "log": {"level": "INFO", "message": "hello"}}',
        "not a message",
        *(json.dumps({"type": "RECORD", "record": {"data": row}}) for row in rows),
    ]
    assert rows
    assert airbyte.record_digest(airbyte.records(lines), truth.columns) == truth.record_digest()
    assert (
        airbyte.record_digest(airbyte.records(lines[:-1]), truth.columns) != truth.record_digest()
    )


def test_the_connectors_config_has_every_window() -> None:
    server = Process("http://127.0.0.1:1", "bench000", "secret", process=None)  # type: ignore[arg-type]
    assert airbyte.config(rate_bound(2), server)["windows"] == [
        "2026-02-28T22:00:00+00:00|2026-02-28T23:00:00+00:00",
        "2026-02-28T23:00:00+00:00|2026-03-01T00:00:00+00:00",
    ]


def test_without_the_cdk_it_is_said_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(airbyte, "HOME", tmp_path / "nowhere")
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    with pytest.raises(airbyte.NotThere, match="No such file or directory"):
        airbyte.install()
