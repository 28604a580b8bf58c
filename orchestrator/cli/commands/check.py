"""`check`: looks at everything that a run needs. Sends nothing that costs anything."""

from collections.abc import Callable
from pathlib import Path

import click

from orchestrator.app.check import CheckResult, check_sync, checks_of_bad_input
from orchestrator.app.check_disk import Check
from orchestrator.app.setup import load
from orchestrator.cli import options
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.errors import InputError


@click.command(
    epilog="Example: `orchestrator check jobs/nightly.yaml` before a job goes into cron. Exit "
    "codes are those with which a run would end: 0 nothing stands in its way, 1 something does, "
    "2 the config, a job file, the credentials or a ledger that does not fit its files do, 74 the "
    "disk or a damaged ledger does."
)
@options.optional_jobs_argument
@click.option(
    "--notify",
    "send",
    is_flag=True,
    help="Send a test message to everybody who hears of runs (`notify`, `ping`).",
)
@options.json_option
@options.config_option
def command(jobs: tuple[Path, ...], send: bool, as_json: bool, config: Path | None) -> int:
    """Check everything that a run needs, one line each: `ok`, `warning` or `error` with a remedy.

    Config and job files, credentials, the way to the API, what the keys may ask for (one list
    call for each key and account, which is free), the clock, the disk, the lock and the ledger.
    Without a JOB, each key is checked for its own account.
    """

    def show(made: Check) -> None:
        if not as_json:
            write_lines([str(made)])

    result = _result(jobs, config, show, send=send)
    if as_json:
        write(json_list(json_text(_fields(made)) for made in result.checks))
        write(["\n"])
    return result.code


def _fields(made: Check) -> dict[str, str]:
    return {
        "level": made.level.value,
        "subject": made.subject,
        "words": made.text,
        "remedy": made.remedy,
    }


def _result(
    jobs: tuple[Path, ...], config: Path | None, on_check: Callable[[Check], None], *, send: bool
) -> CheckResult:
    try:
        inputs = load(jobs, config)
    except InputError as error:
        result = checks_of_bad_input(error)
        for made in result.checks:
            on_check(made)
        return result
    return check_sync(
        inputs,
        on_check=on_check,
        inform=lambda text: click.echo(text, err=True),
        send_messages=send,
    )
