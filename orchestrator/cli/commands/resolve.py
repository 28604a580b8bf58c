"""`resolve`: a person settles a report that waits for one."""

from __future__ import annotations

import os
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
import click

from orchestrator.cli import options, projection
from orchestrator.cli.output import json_text, series_fields, window_fields
from orchestrator.cli.setup import (
    clock_of,
    open_desks,
    read_inputs,
    refuse_missing_ledger,
    writing_ledger,
)
from orchestrator.collect.collector import FileCollector
from orchestrator.config import resolve_credentials
from orchestrator.core.lifecycle import State
from orchestrator.core.policy import ExitCode
from orchestrator.engine import resolve
from orchestrator.errors import ApiError, CollectError, InputError

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from orchestrator.core.model import Report
    from orchestrator.core.ports import Clock
    from orchestrator.core.settings import Config, Credentials
    from orchestrator.ledger.sqlite import SqliteLedger
    from orchestrator.ledger.store import Store

_NUMBER: Final = re.compile(r"r?(\d{1,18})")


@dataclass(frozen=True, slots=True)
class _Decision:
    """What the user decided: exactly one of them."""

    adopt: str | None
    resubmit: bool
    accept_file: bool
    waive: bool

    @property
    def number(self) -> int:
        """How many were given."""
        return (self.adopt is not None) + self.resubmit + self.accept_file + self.waive


@click.command(
    short_help="Settle a report that waits for a person.",
    epilog="Example: `orchestrator resolve 17 --resubmit`. `orchestrator status --held` and "
    "`--failed` name the reports that wait, and what can be done about each.",
)
@click.argument("name", metavar="REPORT")
@click.option(
    "--adopt",
    metavar="REQUEST_ID",
    help="Of a held report: the report of this id at the API is the one.",
)
@click.option("--resubmit", is_flag=True, help="Let the next run buy its window again.")
@click.option("--accept-file", is_flag=True, help="Of a disputed report: take the file as it came.")
@click.option("--waive", is_flag=True, help="Do without what it would have brought.")
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
    name: str,
    adopt: str | None,
    resubmit: bool,
    accept_file: bool,
    waive: bool,
    lock_wait: timedelta,
    as_json: bool,
    config: Path | None,
) -> int:
    """Settle what a machine must not decide: a held, disputed or given-up report.

    REPORT is its number in `status` (17 or r17), or the request_id by which the API knows it. The
    ledger is that of --config, or of the config.yaml in this folder or one above it.
    """
    decision = _Decision(adopt, resubmit, accept_file, waive)
    if decision.number != 1:
        raise click.UsageError("give one of --adopt REQUEST_ID, --resubmit, --accept-file, --waive")
    settings = read_inputs((), config).config
    refuse_missing_ledger(settings)
    if not settings.state.exists():
        raise InputError(f"there is no ledger at {settings.state}, so no report to resolve")
    try:
        report = anyio.run(_resolve, settings, name, decision, lock_wait)
    except CollectError as error:
        click.echo(f"error: {error}", err=True)
        return ExitCode.FINDINGS
    except ApiError as error:
        click.echo(f"error: {error}; nothing was changed, try again", err=True)
        return ExitCode.UNFINISHED
    if as_json:
        click.echo(json_text(_as_json(report)))
    else:
        what = _what_follows(report, decision)
        click.echo(f"report {report.id}, {report.series}, {report.window}: {what}")
    return ExitCode.DONE


async def _resolve(config: Config, name: str, decision: _Decision, lock_wait: timedelta) -> Report:
    clock = clock_of(None)
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(writing_ledger(config, clock, lock_wait))
        report = await ledger.transact(lambda store: _find(store, name))
        collector = FileCollector(config.output)
        if decision.adopt is not None:
            return await _adopt(report, decision.adopt, config, ledger, clock)
        if decision.accept_file:
            report = await resolve.accept_file(report, ledger, collector)
            await projection.write_projection(config, clock.now())
            return report
        if decision.resubmit:
            return await resolve.resubmit(report, ledger, collector)
        return await resolve.waive(report, ledger)


async def _adopt(
    report: Report, request_id: str, config: Config, ledger: SqliteLedger, clock: Clock
) -> Report:
    credentials = _credentials_of(report, config)
    async with open_desks(config, {credentials.name: credentials}, clock) as desks:
        return await resolve.adopt(report, request_id, ledger, desks[credentials.name])


def _find(store: Store, name: str) -> Report:
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
            f"the ledger has no report {name}; `orchestrator status` shows the number of each"
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


def _what_follows(report: Report, decision: _Decision) -> str:
    if decision.adopt is not None:
        return f"adopted as {report.request_id}; `orchestrator run` goes on with it"
    if decision.accept_file:
        where = f"its file is accepted as {report.target}"
        return where if report.state is State.COLLECTED else f"{where}; `run` publishes it"
    if decision.resubmit:
        return "`orchestrator run` asks for its window again, as far as a job wants it"
    return "done without; no run asks for its window"


def _as_json(report: Report) -> dict[str, object]:
    return {
        "report": report.id,
        "request_id": report.request_id,
        **series_fields(report.series),
        **window_fields(report.window),
        "state": report.state.value,
        "target": report.target,
    }
