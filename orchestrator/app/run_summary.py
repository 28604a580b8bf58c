"""Sums up a run, and writes `_SUCCESS` beside the files once all that its jobs want is there."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from orchestrator.app import callbacks, editions, overlaps
from orchestrator.app.cost import Cost
from orchestrator.app.files import quarantined_file
from orchestrator.app.ledger_reading import column_drift, series_of
from orchestrator.app.plan import series_plans
from orchestrator.app.run_request import RunRequest
from orchestrator.app.run_work import Executed
from orchestrator.collect import layout
from orchestrator.collect.stores import output_store
from orchestrator.core import policy
from orchestrator.core.checkpoint import Checkpoint
from orchestrator.core.intervals import Overlaps, intersect, union
from orchestrator.core.lifecycle import OPEN, State
from orchestrator.core.model import Job, LedgerPoint
from orchestrator.core.ports import Ledger, LedgerReader
from orchestrator.core.settings import Config, Prices
from orchestrator.engine.run import RunEnd, SeriesEnd
from orchestrator.errors import OutputError
from orchestrator.reporting.run_stats import RunStats
from orchestrator.reporting.summary import CollectedTotals, Others, RunSummary, UnfinishedSeries
from orchestrator.texts import utc_text


async def summarise(
    request: RunRequest, ledger: Ledger, executed: Executed, why_stopped: str, begun: LedgerPoint
) -> RunSummary:
    """Adds up what stands now, and shows the last warnings; `begun` is where the ledger was."""
    config, jobs, end = request.inputs.config, request.inputs.jobs, executed.end
    if not why_stopped and executed.unreachable:
        why_stopped = f"out of reach: {executed.unreachable}"
    why_stopped = why_stopped or end.stopped
    stats = executed.stats
    for text in await ledger.read(lambda reader: overlaps.subaccount_warnings(reader, jobs)):
        request.note("warning", text)
    if executed.loop_lag.words:
        request.note(
            "info", executed.loop_lag.words, type="event_loop", **executed.loop_lag.as_json
        )
    totals = stats.sum()
    if silence := callbacks.silence(executed.receiver, config, totals.collected):
        request.note("warning", silence)
    renewed = executed.renewed
    waived, erased = await ledger.read(lambda reader: _left_out(reader, jobs, end.now))
    in_all, price_in_all = await ledger.read(lambda reader: _collected_totals(reader, config, jobs))
    point, ended_at = await ledger.read(lambda reader: reader.point()), request.clock.now()
    return RunSummary(
        jobs=jobs,
        now=end.now,
        code=policy.exit_code(end.remains),
        lasted=timedelta(seconds=time.monotonic() - request.started),
        requests=stats.requests(),
        collected=CollectedTotals(totals.collected, totals.rows, totals.size_bytes),
        in_all=in_all,
        price=_price(config.prices, stats, price_in_all),
        column_drift=await ledger.read(
            lambda reader: tuple(column_drift(reader, jobs, begun.changes))
        ),
        waived=waived,
        erased=erased,
        directory=config.output.place,
        unfinished=await ledger.read(
            lambda reader: tuple(
                _unfinished_series(reader, config, series) for series in end.unsettled
            )
        ),
        plan_notes=stats.plan_notes,
        why_stopped=why_stopped,
        verdict="" if renewed is None else editions.verdict(renewed, why_stopped),
        callbacks=callbacks.numbers(executed.receiver),
        event_loop=executed.loop_lag,
        remains=end.remains,
        others=await ledger.read(lambda reader: _others(reader, jobs, end)),
        bugs=end.bugs,
        run=str(Checkpoint.of(point, ended_at, secrets.token_hex(2))),
        ended_at=ended_at,
        changes=(begun.changes, point.changes),
    )


def write_success(config: Config, summary: RunSummary) -> RunSummary:
    """Says beside the files that a run has collected all that its jobs want: `_SUCCESS`.

    It is replaced as a whole, and stays as it is when a later run does not come so far.

    Returns:
        The summary, which says so where the store refuses it.
    """
    fields = {
        "run": summary.run,
        "ended_at": utc_text(summary.ended_at or summary.now),
        "jobs": [job.name for job in summary.jobs],
        "collected": summary.collected.as_json,
        "in_all": summary.in_all.as_json,
    }
    try:
        with output_store(config.output).replace(layout.SUCCESS) as file:
            file.write(json.dumps(fields).encode() + b"\n")
    except OutputError as error:
        remains = replace(summary.remains, not_written=f"{error}; the next run tries again")
        return replace(summary, remains=remains, code=policy.exit_code(remains))
    return summary


def _collected_totals(
    reader: LedgerReader, config: Config, jobs: Sequence[Job]
) -> tuple[CollectedTotals, Cost]:
    """All that is collected of the jobs' series, in this run and before, and what it cost."""
    cost = Cost(config.prices)
    reports = rows = size_bytes = 0
    for series in series_of(reader, jobs):
        number, its_rows, its_bytes = reader.counts(series).get(State.COLLECTED, (0, 0, 0))
        reports += number
        rows += its_rows
        size_bytes += its_bytes
        cost.add(series.product, its_rows)
    return CollectedTotals(reports, rows, size_bytes), cost


def _price(prices: Prices, stats: RunStats, in_all: Cost) -> Mapping[str, Any] | None:
    """What the collected records cost, for programs; None where no price is known."""
    cost = Cost(prices)
    for row in stats.rows():
        cost.add(row.product, row.rows)
    if not cost.is_priced:
        return None
    return {
        "collected": cost.money_text,
        "in_all": in_all.money_text,
        "currency": prices.currency or None,
    }


def _left_out(reader: LedgerReader, jobs: Sequence[Job], now: datetime) -> tuple[int, int]:
    """How many windows that the jobs want a person has decided to skip, and has erased."""
    any_left_out = any(
        not reader.counts(series).keys().isdisjoint((State.WAIVED, State.ERASED))
        or any(gap.acknowledged for gap in reader.given_up(series))
        for series in series_of(reader, jobs)
    )
    if not any_left_out:
        return 0, 0
    # What a job wants is computed only where that matters: it takes as long as a plan.
    waived = erased = 0
    for line in series_plans(reader, jobs, now):
        waived += line.waived
        erased += line.erased
    return waived, erased


def _others(reader: LedgerReader, jobs: Sequence[Job], end: RunEnd) -> Others:
    """What is not of the jobs: open reports of the run's keys, and what waits for a person."""
    keys = frozenset(series.key for series in series_of(reader, jobs))
    disputed, given_up = reader.waiting_for_a_person(keys)
    return Others(
        open=end.others.open,
        series=end.others.series,
        jobs=end.others.jobs,
        refused=end.others.refused,
        disputed=disputed,
        given_up=given_up,
    )


def _unfinished_series(reader: LedgerReader, config: Config, end: SeriesEnd) -> UnfinishedSeries:
    """Why a series is not done."""
    counts = reader.counts(end.series) if end.open else {}
    failures = reader.failures(end.series) if end.owed else ()
    tried = intersect(end.owed, union(failure.window for failure in failures))
    of_tried = Overlaps(tried)
    relevant = [failure for failure in failures if of_tried.of(failure.window)]
    attempts = map(Overlaps(failure.window for failure in relevant).of, tried)
    return UnfinishedSeries(
        job=end.job,
        series=end.series,
        owed=end.owed,
        refused=end.refused,
        open={state: number for state, (number, _, _) in counts.items() if state in OPEN},
        given_up=end.given_up,
        disputed=end.disputed,
        tried=tried,
        attempts=max(attempts, default=0),
        last_failure=relevant[-1].reason if relevant else "",
        kept={report.id: quarantined_file(config, report) for report in end.disputed},
    )
