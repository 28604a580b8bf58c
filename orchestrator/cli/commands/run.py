"""`run`: goes on with what is open, works off the debt of the jobs, leaves verified files."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import click

from orchestrator.app import editions
from orchestrator.app.notifications import Announcement
from orchestrator.app.setup import (
    clock_of,
    credentials_of,
    refuse_shifted_clock,
)
from orchestrator.cli import options
from orchestrator.cli.commands.plan import show_plan
from orchestrator.cli.displays import RunOutput
from orchestrator.cli.inputs import announce, confirm, read_inputs
from orchestrator.cli.output import say
from orchestrator.cli.run_process import run_in_this_process
from orchestrator.config import Inputs
from orchestrator.engine.editions import Renewal
from orchestrator.texts import printable


@click.command(
    epilog="Examples: `orchestrator run jobs/nightly.yaml`; in cron `orchestrator run nightly.yaml "
    "backfill.yaml --deadline 22h --lock-wait 10m`. Ctrl-C once stops in order, and the next run "
    "goes on. With --json the keys of the answer are: jobs, now, seconds, requests, collected and "
    "in_all (reports, rows, bytes), price, directory, made_up, unsettled (job, account_id, "
    "product, direction, filter, owed, refused, open, given_up, disputed), waived, "
    "column_drift, others, later, callbacks, event_loop, needs_person, unfinished, why, exit_code, "
    "exit_word, run (its id), files (that it has collected).",
)
@options.jobs_argument
@click.option(
    "--deadline",
    type=options.Duration(),
    help="Stop in order after so long, the wait for the lock included; what is left waits for the "
    "next run (exit code 75).",
)
@options.lock_wait_option
@click.option("--retry-failed", is_flag=True, help="Ask again for what earlier runs have given up.")
@click.option("--dry-run", is_flag=True, help="Only show what would be asked for, as `plan` does.")
@click.option(
    "--rebuild-ledger",
    is_flag=True,
    help="The ledger is lost: make it anew from the manifest beside the files, then run.",
)
@click.option(
    "--again",
    "buy_again",
    is_flag=True,
    help="Buy on purpose newer editions of what is collected between --from and --to, and nothing "
    "else. Says first how many records that are, and asks. The old files stay until the new ones "
    "are verified.",
)
@click.option("--from", "first", metavar="DATE", help="With --again: the first moment.")
@click.option("--to", "last", metavar="DATE", help="With --again: the first moment after it.")
@click.option("--yes", is_flag=True, help="With --again: do not ask, for cron.")
@options.now_option
@click.option("--quiet", "-q", is_flag=True, help="Only warnings, errors, and what is left.")
@click.option(
    "--verbose",
    "-v",
    is_flag=True,
    help="Every line, single tries of downloads too. Without it lines of one cause are told a few "
    "times and then counted.",
)
@options.json_option
@options.log_format_option
@options.config_option
def command(
    *,
    jobs: tuple[Path, ...],
    deadline: timedelta | None,
    lock_wait: timedelta,
    retry_failed: bool,
    dry_run: bool,
    rebuild_ledger: bool,
    buy_again: bool,
    first: str | None,
    last: str | None,
    yes: bool,
    now: datetime | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    log_format: str,
    config: Path | None,
) -> int:
    """Collect every record that the job files want and that is not collected yet.

    Goes on with every open report of the API keys, whichever job asked for it, asks for what is
    missing, waits, downloads, verifies, and leaves one file a report. Run it as often as you like:
    what is collected or asked for is never
    bought again. On a terminal it shows its progress; elsewhere it writes a few lines to standard
    error. The summary, or with --json one object, goes to standard output.
    """
    started = time.monotonic()
    if dry_run and (retry_failed or rebuild_ledger):
        raise click.UsageError("--dry-run goes with neither --retry-failed nor --rebuild-ledger")
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose contradict each other")
    span = _span_of_again(first, last, buy_again=buy_again, yes=yes)
    if buy_again and (dry_run or retry_failed or rebuild_ledger):
        raise click.UsageError("--again stands alone: without --dry-run, --retry-failed and so on")
    json_lines = log_format == "json" and not dry_run
    clock = clock_of(now)
    if dry_run:
        return show_plan(read_inputs(jobs, config, now), clock.now(), as_json=as_json)
    with Announcement(
        jobs, config, clock, partial(announce, "warning", as_json=json_lines)
    ) as announcement:
        inputs = read_inputs(jobs, config, now, quiet=json_lines)
        if now is not None:
            refuse_shifted_clock(inputs.config)
        credentials = credentials_of(inputs)
        output = RunOutput(
            credentials.values(), clock, as_json=as_json, log_format=log_format, quiet=quiet
        )
        announcement.begin(inputs.config, output.mask)
        if json_lines:
            for warning in inputs.warnings:
                output.display.note("warning", str(warning), {})
        renewals: tuple[Renewal, ...] = ()
        if span is not None:
            choice = editions.choose_editions(inputs, *span, clock.now())
            _confirm(inputs, choice, yes=yes)
            renewals = choice.renewals
        output.display.note("info", f"config: {inputs.source}", {})
        with output.lines_of_libraries():
            result = run_in_this_process(
                inputs,
                credentials=credentials,
                clock=clock,
                display=output.display,
                on_event=output.subscriber(announcement.notify),
                started=started,
                deadline=deadline,
                lock_wait=lock_wait,
                retry_failed=retry_failed,
                rebuild_ledger=rebuild_ledger,
                again=renewals,
                verbose=verbose,
            )
        announcement.end(result)
        return output.tell(result, inputs)


def _span_of_again(
    first: str | None, last: str | None, *, buy_again: bool, yes: bool
) -> tuple[str, str] | None:
    """The span of `--again`; None without it."""
    if buy_again:
        if first is None or last is None:
            raise click.UsageError("--again needs --from DATE and --to DATE")
        return first, last
    if first is not None or last is not None or yes:
        raise click.UsageError(
            "--from, --to and --yes go with --again; what a run collects, the job file says"
        )
    return None


def _confirm(inputs: Inputs, choice: editions.EditionChoice, *, yes: bool) -> None:
    """Says what will be bought, and asks whether it shall be."""
    for line in editions.announcement(inputs, choice):
        say(printable(line), err=True)
    if not yes:
        reason, refused = "--again buys what is there already", "--again: not confirmed"
        confirm("Buy them again?", reason, f"{refused}; nothing was asked for")
