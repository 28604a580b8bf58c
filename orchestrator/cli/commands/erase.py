"""`erase`: removes collected files on purpose, for good."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import click

from orchestrator.app.erase import Erasure, erase, to_erase
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, confirm, read_inputs
from orchestrator.cli.output import json_text, say
from orchestrator.core.commands import JOB, typed
from orchestrator.reporting.json_fields import exit_fields
from orchestrator.reporting.phrases import counted, size_words


@click.command(
    epilog="Example: `orchestrator erase jobs/nightly.yaml --before 2025-01-01 --dry-run` says "
    "what would be removed. Exit code 75: reports of that time are still open."
)
@options.jobs_argument
@click.option(
    "--before",
    metavar="DATE",
    required=True,
    help="Files whose window ends at or before this moment; a bare date is in the job's time zone.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask, for cron.")
@options.lock_wait_option
@options.json_option
@options.config_option
def command(
    *,
    jobs: tuple[Path, ...],
    before: str,
    dry_run: bool,
    yes: bool,
    lock_wait: timedelta,
    as_json: bool,
    config: Path | None,
) -> int:
    """Remove the collected files of the job files' series that are older than a date, for good.

    Also what is kept aside of that time. The ledger keeps hashes and counts, and no run buys the
    files again by itself. A file that reaches beyond the date is kept whole.
    """
    inputs = read_inputs(jobs, config, quiet=True)
    if not yes or dry_run:
        erasure = to_erase(inputs, before)
        if dry_run and as_json:
            click.echo(json_text(_as_json(erasure, before, dry_run=True)))
            return erasure.code
        for line in _lines(erasure, before, "would be" if dry_run else "will be"):
            say(line, err=not dry_run)
        if dry_run:
            return erasure.code
        if not erasure.is_empty:
            confirm(
                "Erase them for good?",
                "erase removes files for good",
                "erase: not confirmed; nothing was changed",
            )
    result = anyio.run(partial(erase, inputs, before, lock_wait=lock_wait, announce=announce))
    if as_json:
        click.echo(json_text(_as_json(result, before, dry_run=False)))
    else:
        for line in _lines(result, before, ""):
            say(line)
    return result.code


def _lines(erasure: Erasure, before: str, are: str) -> Iterator[str]:
    """What is to be erased, or was where `are` is empty."""
    is_to_be = f"{are} " if are else ""
    if erasure.is_empty:
        yield f"nothing to erase: no collected file ends before {before}"
    if erasure.files:
        yield (
            f"{counted(erasure.files, 'file')} with {counted(erasure.rows, 'record')}, "
            f"{size_words(erasure.size_bytes)}, {is_to_be}erased; no run buys them again"
        )
    if erasure.disputed:
        yield f"{counted(erasure.disputed, 'disputed report')} {is_to_be}waived"
    if erasure.beside:
        yield f"what is kept aside of {counted(erasure.beside, 'report')} {is_to_be}removed"
    if erasure.kept_whole:
        yield f"{counted(erasure.kept_whole, 'file')} kept whole, for they reach beyond {before}"
    if erasure.open:
        yield (
            f"{counted(erasure.open, 'report')} of that time still open: {typed('run', JOB)} "
            "finishes what is open, then erase again"
        )


def _as_json(erasure: Erasure, before: str, *, dry_run: bool) -> dict[str, object]:
    return {
        "before": before,
        "dry_run": dry_run,
        **asdict(erasure),
        **exit_fields(erasure.code),
    }
