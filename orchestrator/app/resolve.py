"""Carries out what a person decides about reports that are not collected."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final, assert_never

from orchestrator.app.cost import Cost
from orchestrator.app.ledger_reading import refuse_missing_ledger, series_of
from orchestrator.app.ledger_writing import (
    TOGETHER,
    Announce,
    no_announcement,
    side_by_side,
    writing_ledger,
)
from orchestrator.app.setup import SystemClock, open_sessions, output_of
from orchestrator.collect.collector import FileCollector
from orchestrator.config import Inputs, resolve_credentials
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Job, Report
from orchestrator.core.policy import ExitCode
from orchestrator.core.ports import Ledger, LedgerReader
from orchestrator.core.settings import Config, Credentials
from orchestrator.engine import resolve as engine_resolve
from orchestrator.errors import ApiError, CollectError, InputError, Mistake, OrchestratorError
from orchestrator.ledger import ledger_exists

_NUMBER: Final = re.compile(r"r?(\d{1,18})")


class Decision(Enum):
    """What is to become of a report."""

    REFETCH = "refetch"
    """Free: the next run asks for its status anew, and fetches its file again."""
    ADOPT = "adopt"
    """Free: a report at the API is the one whose create had no answer."""
    ACCEPT_FILE = "accept-file"
    """Free: take the file of a disputed report as it came."""
    WAIVE = "waive"
    """Free: skip its period; future runs will not request it."""
    RESUBMIT = "resubmit"
    """Costs money: the next run buys its window again."""


_ONE_BY_ONE: Final = frozenset({Decision.ADOPT, Decision.ACCEPT_FILE})
"""What calls the API, or reads and writes a whole file; the others share the ledger's commits."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of one report.

    Attributes:
        text: what follows; empty where `error` says why nothing does.
        error: why the decision could not be carried out.
    """

    report: Report
    text: str = ""
    error: OrchestratorError | None = None

    @property
    def code(self) -> ExitCode:
        """The exit code of this report alone."""
        match self.error:
            case None:
                return ExitCode.DONE
            case InputError():
                return ExitCode.BAD_INPUT
            case ApiError():
                return ExitCode.UNFINISHED
            case _:
                return ExitCode.FINDINGS


_WORST_FIRST: Final = (
    ExitCode.BAD_INPUT,
    ExitCode.FINDINGS,
    ExitCode.UNFINISHED,
    ExitCode.DONE,
)


@dataclass(frozen=True, slots=True)
class ResolveResult:
    """What became of the reports, each by itself."""

    reports: tuple[Resolved, ...]

    @property
    def code(self) -> ExitCode:
        """The worst exit code of a report; `ExitCode.DONE` without any."""
        codes = {each.code for each in self.reports}
        return next((code for code in _WORST_FIRST if code in codes), ExitCode.DONE)


async def resolve(
    inputs: Inputs,
    decision: Decision,
    names: Sequence[str] = (),
    *,
    request_id: str = "",
    lock_wait: timedelta = timedelta(),
    announce: Announce = no_announcement,
) -> ResolveResult:
    """Decides about each report by itself; what fails for one does not stop the others.

    Args:
        names: our numbers of reports (``17`` or ``r17``), or the API's ids; none: every report of
            the jobs that waits for a person.
        request_id: for `Decision.ADOPT`, the API's id of the report to adopt.
        lock_wait: how long to wait for another run on the same ledger.
        announce: called with level and text of what a person should know.

    Raises:
        InputError: there is no ledger, or it has no report of one of these names; nothing was
            changed.
        LedgerLocked: another run is active on the ledger.
        LedgerError: the ledger cannot be read or written.
    """
    config = inputs.config
    refuse_missing_ledger(config)
    if not ledger_exists(config.state):
        raise InputError(f"there is no ledger at {config.state}, so no report to resolve")
    clock = SystemClock()
    resolved: dict[int, Resolved] = {}
    async with writing_ledger(config, clock, lock_wait, announce=announce) as writable:
        ledger = writable.ledger
        if names:
            reports = await ledger.read(lambda reader: _find_all(reader, names))
        else:
            reports = await ledger.read(lambda reader: _waiting(reader, inputs.jobs))

        async def decide(report: Report) -> None:
            try:
                result = await _decided(report, decision, request_id, config, ledger)
            except (InputError, CollectError, ApiError) as error:
                result = Resolved(report, error=error)
            resolved[report.id] = result

        size = 1 if decision in _ONE_BY_ONE else TOGETHER
        for first in range(0, len(reports), size):
            await side_by_side(reports[first : first + size], decide)
        await writable.manifest.write(clock.now())
    return ResolveResult(tuple(resolved[report.id] for report in reports))


async def _decided(
    report: Report, decision: Decision, request_id: str, config: Config, ledger: Ledger
) -> Resolved:
    """Carries a decision out, and says what follows."""
    run = typed("run", JOB)
    match decision:
        case Decision.ADOPT:
            decided = await _adopt(report, request_id, config, ledger)
            text = f"adopted as {decided.request_id}; {run} goes on with it"
        case Decision.REFETCH:
            decided = await engine_resolve.refetch(report, ledger)
            text = f"{run} asks for its status and fetches its file again, at no cost"
        case Decision.ACCEPT_FILE:
            collector = FileCollector(output_of(config))
            decided = await engine_resolve.accept_file(report, ledger, collector)
            text = f"its file is accepted as {decided.target}"
            if decided.state is not State.COLLECTED:
                text += f"; {run} publishes it"
        case Decision.RESUBMIT:
            collector = FileCollector(output_of(config))
            decided = await engine_resolve.resubmit(report, ledger, collector)
            cost = await ledger.read(lambda reader: _cost_text(reader, report, config))
            text = f"{run} buys its window again, as far as a job wants it: {cost}"
        case Decision.WAIVE:
            decided = await engine_resolve.waive(report, ledger)
            text = "skipped; future runs will not request this period"
        case _:
            assert_never(decision)
    return Resolved(decided, text)


def _find_all(reader: LedgerReader, names: Sequence[str]) -> list[Report]:
    """The reports of these names, each once.

    Raises:
        InputError: all names that the ledger does not have.
    """
    reports: dict[int, Report] = {}
    mistakes: list[Mistake] = []
    for name in names:
        try:
            report = _find(reader, name)
        except InputError as error:
            mistakes += error.mistakes
        else:
            reports[report.id] = report
    if mistakes:
        raise InputError(mistakes)
    return list(reports.values())


def _waiting(reader: LedgerReader, jobs: Sequence[Job]) -> list[Report]:
    """The reports of the jobs' series that wait for a person."""
    reports: dict[int, Report] = {}
    for series in series_of(reader, jobs):
        for report in reader.reports(series, (State.HELD, State.DISPUTED)):
            reports[report.id] = report
        for given_up in reader.given_up(series):
            if given_up.report_id is not None and not given_up.acknowledged:
                reports[given_up.report_id] = reader.report(given_up.report_id)
    return list(reports.values())


def _cost_text(reader: LedgerReader, report: Report, config: Config) -> str:
    """What buying a report's window again will probably cost."""
    records = report.items_count if report.items_count is not None else report.rows
    if records is None:
        records = reader.histories().of(report.series).expected((report.window,))
    if records is None:
        return "how many records that will be, nothing known here tells"
    cost = Cost(config.prices)
    cost.add(report.series.product, records)
    return cost.words()


async def _adopt(report: Report, request_id: str, config: Config, ledger: Ledger) -> Report:
    credentials = _credentials_of(report, config)
    by_name = {credentials.name: credentials}
    async with open_sessions(config, by_name, SystemClock()) as sessions:
        return await engine_resolve.adopt(report, request_id, ledger, sessions[credentials.name])


def _find(reader: LedgerReader, name: str) -> Report:
    number = _NUMBER.fullmatch(name)
    if number is not None:
        try:
            return reader.report(int(number[1]))
        except KeyError:
            pass
    try:
        return reader.report_by_request(name)
    except KeyError:
        raise InputError(
            f"the ledger has no report {name}; {typed('status')} shows the number of each"
        ) from None


def _credentials_of(report: Report, config: Config) -> Credentials:
    """The credentials of the key that bought a report; others need not be at hand.

    Raises:
        InputError: none of the config's is of that key.
    """
    missing: list[str] = []
    for name in config.credentials:
        try:
            credentials = resolve_credentials(config, [name], os.environ)[name]
        except InputError as error:
            missing += [str(mistake) for mistake in error.mistakes]
            continue
        if credentials.api_key == report.api_key:
            return credentials
    also = f" ({'; '.join(missing)})" if missing else ""
    raise InputError(
        f"report {report.id} was asked for with the API key {report.api_key}, and no credentials "
        f"of the config are of that key{also}"
    )
