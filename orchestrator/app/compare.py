"""Compares what `demo` has collected, and paid, with the records of its simulator."""

import json
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestrator.app.ledger_reading import collected, reading_ledger, series_of
from orchestrator.collect.stores import output_store
from orchestrator.config import Inputs
from orchestrator.core.debt import wants
from orchestrator.core.intervals import Window, union
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Series
from orchestrator.core.ports import LedgerReader
from orchestrator.core.settings import Config
from orchestrator.simulator import RecordDigest, Settings, Truth, digest_csv

_PATIENCE_SECONDS = 60.0


@dataclass(slots=True)
class Line:
    """One account and product: what was collected of it."""

    account_id: str
    product: str
    reports: int = 0
    rows: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class Finding:
    """How a collection compares with the truth."""

    lines: list[Line] = field(default_factory=list)
    records: int = 0
    charged: int = 0  # how many the simulator charged
    # every difference, in words; none if all is well
    differences: list[str] = field(default_factory=list)


def compare(inputs: Inputs, settings: Settings, base_url: str, now: datetime) -> Finding:
    """Compares all files of the jobs with the simulator's records, as multisets.

    Args:
        base_url: of the running simulator, for its bill.
        now: the moment that the run took as its own: it says which time the jobs wanted.
    """
    finding = Finding()
    lines: dict[tuple[str, str], Line] = {}
    with reading_ledger(inputs.config) as store:
        for series in series_of(store, inputs.jobs):
            truth = _truth(settings, series, _wanted(store, inputs, series, now))
            files = _files(store, inputs.config, series)
            finding.records += truth.rows
            if files != truth:
                finding.differences.append(_difference(series, files, truth))
        for report in collected(store, inputs.jobs):
            key = (report.series.account_id, report.series.product)
            line = lines.setdefault(key, Line(*key))
            line.reports += 1
            line.rows += report.rows or 0
            line.size_bytes += report.size_bytes or 0
    finding.lines = list(lines.values())
    _compare_bill(finding, _bill(base_url))
    return finding


def _truth(settings: Settings, series: Series, wanted: Iterable[Window]) -> RecordDigest:
    body = {name: value for name, value in series.body.items() if value is not False}
    record_digest = RecordDigest()
    for window in wanted:
        record_digest += Truth(settings, body, window.start, window.end).record_digest()
    return record_digest


def _files(store: LedgerReader, config: Config, series: Series) -> RecordDigest:
    record_digest = RecordDigest()
    output = output_store(config.output)
    for report in store.reports(series, (State.COLLECTED,)):
        with output.open(report.target or "") as stream:
            record_digest += digest_csv(stream)
    return record_digest


def _difference(series: Series, files: RecordDigest, truth: RecordDigest) -> str:
    if files.rows == truth.rows:
        return f"{series}: {files.rows:,} records in both, but not the same ones"
    return f"{series}: {files.rows:,} records in the files, {truth.rows:,} at the simulator"


def _wanted(
    store: LedgerReader, inputs: Inputs, series: Series, now: datetime
) -> tuple[Window, ...]:
    """The time that the jobs want of a series."""
    return union(
        *(
            wants(job, now, store.resolution(job.name, series))
            for job in inputs.jobs
            if any(entry.series == series for entry in job.series)
        )
    )


def _bill(base_url: str) -> dict[str, Any]:
    with urllib.request.urlopen(  # noqa: S310 - the simulator that we started on this machine
        f"{base_url}/_sim/bill", timeout=_PATIENCE_SECONDS
    ) as answer:
        bill: dict[str, Any] = json.load(answer)
    return bill


def _compare_bill(finding: Finding, bill: dict[str, Any]) -> None:
    finding.charged = int(bill["charged"])
    if bill["paid_twice"]:
        finding.differences.append(f"{len(bill['paid_twice']):,} records were charged twice")
    if finding.charged != finding.records:
        by_account: dict[str, int] = defaultdict(int)
        for charge in bill["reports"]:
            by_account[charge["account_id"]] += charge["charged"]
        finding.differences.append(
            f"{finding.charged:,} records were charged, of {finding.records:,} that were wanted "
            f"({', '.join(f'{name}: {number:,}' for name, number in by_account.items())})"
        )
