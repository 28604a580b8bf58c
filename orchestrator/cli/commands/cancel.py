"""`cancel`: ends at the API what is open, and forgets what earlier runs still owe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import click

from orchestrator.app.ledger_reading import refuse_missing_ledger
from orchestrator.app.ledger_writing import writing_ledger
from orchestrator.app.setup import clock_of, credentials_of, open_sessions, with_credentials_of_open
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, read_inputs
from orchestrator.cli.output import json_text, say, series_fields, window_fields
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.policy import ExitCode
from orchestrator.engine import cancel
from orchestrator.ledger import ledger_exists
from orchestrator.reporting.phrases import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from orchestrator.config import Inputs
    from orchestrator.core.settings import Credentials
    from orchestrator.engine.cancel import Cancellation


@click.command(
    short_help="Cancel at the API what is open.",
    epilog="Example: `orchestrator cancel jobs/backfill.yaml`. What is cancelled is asked for "
    "again by the next run, unless the job file no longer wants it. Exit code 75: something is "
    "still open.",
)
@options.jobs_argument
@click.option(
    "--forget",
    is_flag=True,
    help="Also drop what the relative windows (such as `yesterday`) of earlier runs still owe: "
    "days that were missed are not made up.",
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
    jobs: tuple[Path, ...],
    forget: bool,
    lock_wait: timedelta,
    as_json: bool,
    config: Path | None,
) -> int:
    """Cancel at the API the open reports of the job files' series, whoever asked for them.

    A report that is finished there is paid: it stays, and `run` collects its file. So does one of
    which nobody knows yet whether the API has it.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    refuse_missing_ledger(inputs.config)
    credentials = with_credentials_of_open(inputs, credentials_of(inputs))
    results: Sequence[Cancellation] = ()
    forgotten = 0
    if ledger_exists(inputs.config.state):
        results, forgotten = anyio.run(_cancel, inputs, credentials, forget, lock_wait)
    code = _code(results)
    if as_json:
        click.echo(json_text(_as_json(results, forgotten, code)))
        return code
    for one in results:
        report = one.report
        say(f"report {report.id}, {chunk_text(report)}: {one.words}")
    cancelled = sum(one.done for one in results)
    still = sum(one.report.state.is_open for one in results)
    click.echo(
        f"{counted(cancelled, 'report')} cancelled, {still:,} still open"
        if results
        else "nothing is open"
    )
    if forget:
        click.echo(f"{counted(forgotten, 'series')} of relative windows begin anew today")
    return code


async def _cancel(
    inputs: Inputs, credentials: Mapping[str, Credentials], forget: bool, lock_wait: timedelta
) -> tuple[Sequence[Cancellation], int]:
    clock = clock_of(None)
    forgotten = 0
    async with (
        writing_ledger(inputs.config, clock, lock_wait, announce=announce) as writing,
        open_sessions(inputs.config, credentials, clock) as sessions,
    ):
        by_name_and_key = {
            **{session.api_key: session for session in sessions.values()},
            **sessions,
        }
        results = await cancel.cancel(inputs.jobs, writing.ledger, by_name_and_key)
        if forget:
            forgotten = await cancel.forget(inputs.jobs, writing.ledger, clock.now())
        await writing.manifest.write(clock.now())
    return results, forgotten


def _code(results: Sequence[Cancellation]) -> ExitCode:
    if any(one.report.state.is_open for one in results):
        return ExitCode.UNFINISHED
    return ExitCode.DONE


def _as_json(results: Sequence[Cancellation], forgotten: int, code: ExitCode) -> dict[str, Any]:
    return {
        "reports": [
            {
                "report": one.report.id,
                "request_id": one.report.request_id,
                **series_fields(one.report.series),
                **window_fields(one.report.window),
                "state": one.report.state.value,
                "cancelled": one.done,
                "words": one.words,
            }
            for one in results
        ],
        "forgotten_series": forgotten,
        "exit_code": int(code),
        "exit_word": code.name.lower(),
    }
