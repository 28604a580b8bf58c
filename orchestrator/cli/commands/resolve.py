"""`resolve`: a person decides about reports that are not collected."""

from __future__ import annotations

import os
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import click

from orchestrator.app.cost import Cost
from orchestrator.app.ledger_reading import refuse_missing_ledger, series_of
from orchestrator.app.ledger_writing import writing_ledger
from orchestrator.app.setup import clock_of, open_sessions
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, read_inputs
from orchestrator.cli.output import json_text, say, series_fields, window_fields
from orchestrator.collect.collector import FileCollector
from orchestrator.config import resolve_credentials
from orchestrator.core.commands import JOB, typed
from orchestrator.core.lifecycle import State
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.policy import ExitCode
from orchestrator.engine import resolve
from orchestrator.errors import ApiError, CollectError, InputError, Mistake, OrchestratorError
from orchestrator.ledger import ledger_exists

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from orchestrator.config import Inputs
    from orchestrator.core.model import Job, Report
    from orchestrator.core.ports import Clock, Ledger, LedgerReader
    from orchestrator.core.settings import Config, Credentials

_NUMBER: Final = re.compile(r"r?(\d{1,18})")


@dataclass(frozen=True, slots=True)
class _Decision:
    """What the user decided: exactly one of them."""

    adopt: str | None
    refetch: bool
    accept_file: bool
    waive: bool
    resubmit: bool

    @property
    def number(self) -> int:
        """How many were given."""
        flags = self.refetch + self.accept_file + self.waive + self.resubmit
        return (self.adopt is not None) + flags


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one report.

    Attributes:
        report: as it stands now.
        words: what follows; empty where `error` says why nothing does.
        error: why the decision could not be carried out.
    """

    report: Report
    words: str = ""
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


@click.command(
    short_help="Decide about a report that the tool will not decide for you.",
    epilog="Examples: `orchestrator resolve 17 --refetch`, `orchestrator resolve 81 82 --waive`, "
    "`orchestrator resolve --all --waive nightly.yaml`. `orchestrator status --held` and "
    "`orchestrator status --failed` name the reports that wait, and what can be done about each.",
)
@click.argument("names", metavar="REPORT…", nargs=-1, required=True)
@click.option(
    "--refetch",
    is_flag=True,
    help="Free: the next run asks for the report's status anew and fetches its file again.",
)
@click.option(
    "--adopt",
    metavar="REQUEST_ID",
    help="Free: the report of this id at the API is the one whose create had no answer.",
)
@click.option(
    "--accept-file", is_flag=True, help="Free: of a disputed report, take the file as it came."
)
@click.option(
    "--waive", is_flag=True, help="Free: skip its period; future runs will not request it."
)
@click.option(
    "--resubmit",
    is_flag=True,
    help="Costs money: the next run buys its window again, whatever was paid for it.",
)
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="REPORT… are job files: decide about every report of theirs that waits for a person.",
)
@click.option(
    "--lock-wait",
    type=options.Duration(),
    default="0s",
    show_default=True,
    help="How long to wait for another run on the same ledger to end.",
)
@options.json_option
@options.config_option
def command(
    *,
    names: tuple[str, ...],
    adopt: str | None,
    refetch: bool,
    accept_file: bool,
    waive: bool,
    resubmit: bool,
    every: bool,
    lock_wait: timedelta,
    as_json: bool,
    config: Path | None,
) -> int:
    """Decide about reports that are not collected, where the tool will not decide for you.

    REPORT is a number in `status` (17 or r17), or the request_id by which the API knows it;
    several may be given. The ledger is that of --config, or of the config.yaml in this folder or
    one above it; with --all that of the job files.
    """
    decision = _Decision(adopt, refetch, accept_file, waive, resubmit)
    if decision.number != 1:
        raise click.UsageError(
            "give one of --refetch, --adopt REQUEST_ID, --accept-file, --waive, --resubmit"
        )
    if adopt is not None and (every or len(names) > 1):
        raise click.UsageError("--adopt is for one report: give its number alone")
    inputs = read_inputs(tuple(map(Path, names)) if every else (), config, quiet=True)
    settings = inputs.config
    refuse_missing_ledger(settings)
    if not ledger_exists(settings.state):
        raise InputError(f"there is no ledger at {settings.state}, so no report to resolve")
    outcomes = anyio.run(_resolve, inputs, () if every else names, decision, lock_wait)
    for outcome in outcomes:
        if outcome.error is not None:
            unchanged = (
                "; nothing was changed, try again" if isinstance(outcome.error, ApiError) else ""
            )
            say(f"error: {outcome.error}{unchanged}", err=True)
        elif not as_json:
            report = outcome.report
            say(f"report {report.id}, {chunk_text(report)}: {outcome.words}")
    if not outcomes and not as_json:
        click.echo("no report of these jobs waits for a decision")
    if as_json:
        done = [_as_json(outcome.report) for outcome in outcomes if outcome.error is None]
        if len(names) == 1 and not every:
            click.echo("".join(map(json_text, done)), nl=bool(done))
        else:
            click.echo(json_text({"reports": done}))
    return next(code for code in _WORST_FIRST if code in {*(o.code for o in outcomes), 0})


async def _resolve(
    inputs: Inputs, names: Sequence[str], decision: _Decision, lock_wait: timedelta
) -> list[_Outcome]:
    """Decides about each report in turn; what fails for one does not stop the others.

    Raises:
        InputError: the ledger has no report of one of these names; nothing was changed.
    """
    clock = clock_of(None)
    config = inputs.config
    async with AsyncExitStack() as stack:
        writing = await stack.enter_async_context(
            writing_ledger(config, clock, lock_wait, announce=announce)
        )
        ledger = writing.ledger
        if names:
            reports = await ledger.read(lambda store: _find_all(store, names))
        else:
            reports = await ledger.read(lambda store: _waiting(store, inputs.jobs))
        outcomes = []
        for report in reports:
            try:
                decided = await _decide(report, decision, config, ledger, clock)
            except (InputError, CollectError, ApiError) as error:
                outcomes.append(_Outcome(report, error=error))
                continue
            cost = ""
            if decision.resubmit:
                cost = await ledger.read(partial(_cost_words, report=report, config=config))
            outcomes.append(_Outcome(decided, _what_follows(decided, decision, cost)))
        await writing.manifest.write(clock.now())
        return outcomes


async def _decide(
    report: Report, decision: _Decision, config: Config, ledger: Ledger, clock: Clock
) -> Report:
    collector = FileCollector(config.output)
    if decision.adopt is not None:
        return await _adopt(report, decision.adopt, config, ledger, clock)
    if decision.refetch:
        return await resolve.refetch(report, ledger)
    if decision.accept_file:
        return await resolve.accept_file(report, ledger, collector)
    if decision.resubmit:
        return await resolve.resubmit(report, ledger, collector)
    return await resolve.waive(report, ledger)


def _find_all(store: LedgerReader, names: Sequence[str]) -> list[Report]:
    """The reports of these names, each once.

    Raises:
        InputError: all names that the ledger does not have.
    """
    found: dict[int, Report] = {}
    mistakes: list[Mistake] = []
    for name in names:
        try:
            report = _find(store, name)
        except InputError as error:
            mistakes += error.mistakes
        else:
            found[report.id] = report
    if mistakes:
        raise InputError(mistakes)
    return list(found.values())


def _waiting(store: LedgerReader, jobs: Sequence[Job]) -> list[Report]:
    """The reports of the jobs' series that wait for a person."""
    found: dict[int, Report] = {}
    for series in series_of(store, jobs):
        for report in store.reports(series, (State.HELD, State.DISPUTED)):
            found[report.id] = report
        for given_up in store.given_up(series):
            if given_up.report_id is not None and not given_up.acknowledged:
                found[given_up.report_id] = store.report(given_up.report_id)
    return list(found.values())


def _cost_words(store: LedgerReader, *, report: Report, config: Config) -> str:
    """What buying a report's window again will probably cost."""
    records = report.items_count if report.items_count is not None else report.rows
    if records is None:
        records = store.histories().of(report.series).expected((report.window,))
    if records is None:
        return "how many records that will be, nothing known here tells"
    cost = Cost(config.prices)
    cost.add(report.series, records)
    return cost.words()


async def _adopt(
    report: Report, request_id: str, config: Config, ledger: Ledger, clock: Clock
) -> Report:
    credentials = _credentials_of(report, config)
    async with open_sessions(config, {credentials.name: credentials}, clock) as sessions:
        return await resolve.adopt(report, request_id, ledger, sessions[credentials.name])


def _find(store: LedgerReader, name: str) -> Report:
    number = _NUMBER.fullmatch(name)
    if number is not None:
        try:
            return store.report(int(number[1]))
        except KeyError:
            pass
    try:
        return store.report_by_request(name)
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


def _what_follows(report: Report, decision: _Decision, cost: str) -> str:
    if decision.adopt is not None:
        return f"adopted as {report.request_id}; {typed('run', JOB)} goes on with it"
    if decision.refetch:
        return f"{typed('run', JOB)} asks for its status and fetches its file again, at no cost"
    if decision.accept_file:
        where = f"its file is accepted as {report.target}"
        return (
            where
            if report.state is State.COLLECTED
            else f"{where}; {typed('run', JOB)} publishes it"
        )
    if decision.resubmit:
        return f"{typed('run', JOB)} buys its window again, as far as a job wants it: {cost}"
    return "skipped; future runs will not request this period"


def _as_json(report: Report) -> dict[str, object]:
    return {
        "report": report.id,
        "request_id": report.request_id,
        **series_fields(report.series),
        **window_fields(report.window),
        "state": report.state.value,
        "target": report.target,
    }
