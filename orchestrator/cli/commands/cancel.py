"""`cancel`: ends at the API what is open, and forgets what earlier runs still owe."""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click

from orchestrator.app.cancel import CancelResult, cancel
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, read_inputs
from orchestrator.cli.output import json_text, say
from orchestrator.core.local_dates import chunk_text
from orchestrator.reporting.json_fields import chunk_fields, exit_fields
from orchestrator.reporting.phrases import counted


@click.command(
    epilog="Example: `orchestrator cancel jobs/backfill.yaml`. What is cancelled is asked for "
    "again by the next run, unless the job file no longer wants it. Exit code 75: something is "
    "still open."
)
@options.jobs_argument
@click.option(
    "--forget",
    is_flag=True,
    help="Also drop what the relative windows (such as `yesterday`) of earlier runs still owe: "
    "days that were missed are not made up.",
)
@options.lock_wait_option
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
    which it is not known yet whether the API has it.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    result = anyio.run(
        partial(cancel, inputs, forget=forget, lock_wait=lock_wait, announce=announce)
    )
    if as_json:
        click.echo(json_text(_as_json(result)))
        return result.code
    for each in result.reports:
        say(f"report {each.report.id}, {chunk_text(each.report)}: {each.words}")
    click.echo(
        f"{counted(result.cancelled, 'report')} cancelled, {result.still_open:,} still open"
        if result.reports
        else "nothing is open"
    )
    if forget:
        click.echo(f"{counted(result.forgotten, 'series')} of relative windows begin anew today")
    return result.code


def _as_json(result: CancelResult) -> dict[str, Any]:
    return {
        "reports": [
            {
                "report": each.report.id,
                "request_id": each.report.request_id,
                **chunk_fields(each.report),
                "state": each.report.state.value,
                "cancelled": each.done,
                "words": each.words,
            }
            for each in result.reports
        ],
        "forgotten_series": result.forgotten,
        **exit_fields(result.code),
    }
