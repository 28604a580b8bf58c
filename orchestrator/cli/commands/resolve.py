"""`resolve`: a person decides about reports that are not collected."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import click

from orchestrator.app.resolve import Decision, Resolved, resolve
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, read_inputs
from orchestrator.cli.output import json_text, say
from orchestrator.core.local_dates import chunk_text
from orchestrator.core.model import Report
from orchestrator.errors import ApiError
from orchestrator.reporting.json_fields import chunk_fields


@click.command(
    epilog="Examples: `orchestrator resolve 17 --refetch`, `orchestrator resolve 81 82 --waive`, "
    "`orchestrator resolve --all --waive nightly.yaml`. `orchestrator status --held` and "
    "`orchestrator status --failed` name the reports that wait, and what can be done about each."
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
@options.lock_wait_option
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
    given = {
        Decision.ADOPT: adopt is not None,
        Decision.REFETCH: refetch,
        Decision.ACCEPT_FILE: accept_file,
        Decision.WAIVE: waive,
        Decision.RESUBMIT: resubmit,
    }
    decisions = [decision for decision, is_given in given.items() if is_given]
    if len(decisions) != 1:
        raise click.UsageError(
            "give one of --refetch, --adopt REQUEST_ID, --accept-file, --waive, --resubmit"
        )
    if adopt is not None and (every or len(names) > 1):
        raise click.UsageError("--adopt is for one report: give its number alone")
    inputs = read_inputs(tuple(map(Path, names)) if every else (), config, quiet=True)
    result = anyio.run(
        partial(
            resolve,
            inputs,
            decisions[0],
            () if every else names,
            request_id=adopt or "",
            lock_wait=lock_wait,
            announce=announce,
        )
    )
    for resolved in result.reports:
        _show(resolved, as_json=as_json)
    if not result.reports and not as_json:
        click.echo("no report of these jobs waits for a decision")
    if as_json:
        done = [_as_json(resolved.report) for resolved in result.reports if resolved.error is None]
        if len(names) == 1 and not every:
            click.echo("".join(map(json_text, done)), nl=bool(done))
        else:
            click.echo(json_text({"reports": done}))
    return result.code


def _show(resolved: Resolved, *, as_json: bool) -> None:
    if resolved.error is not None:
        is_unchanged = isinstance(resolved.error, ApiError)
        remedy = "; nothing was changed, try again" if is_unchanged else ""
        say(f"error: {resolved.error}{remedy}", err=True)
    elif not as_json:
        say(f"report {resolved.report.id}, {chunk_text(resolved.report)}: {resolved.text}")


def _as_json(report: Report) -> dict[str, object]:
    return {
        "report": report.id,
        "request_id": report.request_id,
        **chunk_fields(report),
        "state": report.state.value,
        "target": report.target,
    }
