"""`check`: looks at everything that a run needs. Sends nothing that costs anything."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import click

from orchestrator.app import check as checks
from orchestrator.app import check_disk
from orchestrator.app.check_disk import Check, Level
from orchestrator.app.notifications import says_anything, send_test, unavailable
from orchestrator.app.setup import clock_of
from orchestrator.cli import options
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.config import load_inputs
from orchestrator.core.policy import ExitCode
from orchestrator.errors import InputError
from orchestrator.reporting.phrases import counted, time_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from orchestrator.config import Inputs
    from orchestrator.core.settings import Config, Credentials

_ORDER: Final = (ExitCode.BAD_INPUT, ExitCode.DISK, ExitCode.FINDINGS)
"""The first that applies, as for a run."""

_MANY: Final = 25
"""List calls from which on it is said that it takes a while."""


@click.command(
    short_help="Check config, credentials, clock, disk and the way to the API. Costs nothing.",
    epilog="Example: `orchestrator check jobs/nightly.yaml` before a job goes into cron. Exit "
    "codes are those with which a run would end: 0 nothing stands in its way, 1 something does, "
    "2 the config, a job file, the credentials or a ledger that does not fit its files do, 74 the "
    "disk or a damaged ledger does.",
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
    made: list[Check] = []

    def kept() -> Iterator[Check]:
        for check in _checks(jobs, config, send=send):
            made.append(check)
            yield check

    if as_json:
        write(json_list(json_text(_fields(check)) for check in kept()))
        write(["\n"])
    else:
        for check in kept():
            write_lines([str(check)])
    codes = {check.code for check in made if check.level is Level.ERROR}
    return next((code for code in _ORDER if code in codes), ExitCode.DONE)


def _fields(check: Check) -> dict[str, str]:
    return {
        "level": check.level.value,
        "subject": check.subject,
        "words": check.words,
        "remedy": check.remedy,
    }


def _checks(jobs: Sequence[Path], config: Path | None, *, send: bool) -> Iterator[Check]:
    try:
        inputs = load_inputs(jobs, config=config, env=os.environ)
    except InputError as error:
        for mistake in error.mistakes:
            yield Check(Level.ERROR, "input", str(mistake), code=ExitCode.BAD_INPUT)
        return
    yield from _inputs(inputs)
    names = inputs.credential_names if jobs else tuple(inputs.config.credentials)
    found, lines = checks.credentials(inputs.config, names)
    yield from lines
    yield from _api(inputs, found)
    yield from checks.callbacks(inputs.config)
    yield check_disk.folder("output.directory", inputs.config.output.directory)
    yield check_disk.folder("state", inputs.config.state.parent)
    yield from check_disk.file_format(inputs.config)
    yield from check_disk.readers(inputs.config)
    yield from checks.ledger(inputs.config, inputs.jobs)
    yield from _notifications(inputs.config, send=send)


def _notifications(config: Config, *, send: bool) -> Iterator[Check]:
    if not says_anything(config):
        if send:
            words = "nobody hears how runs end: the config has neither notify nor ping"
            yield Check(Level.WARNING, "notify", words, "add one, or leave --notify out")
        return
    for problem in unavailable(config):
        yield Check(Level.WARNING, "notify", problem, "a run would go on without it")
    if send:
        told, problems = anyio.run(send_test, config, clock_of(None))
        for problem in problems:
            yield Check(Level.WARNING, "notify", problem, "a run would go on without it")
        yield Check(Level.OK, "notify", f"{counted(told, 'test message')} sent")


def _inputs(inputs: Inputs) -> Iterator[Check]:
    yield Check(Level.OK, "config", inputs.source)
    for warning in inputs.warnings:
        yield Check(Level.WARNING, "input", str(warning))
    for job in inputs.jobs:
        yield Check(
            Level.OK, "job", f"{job.name} ({job.path}): {counted(len(job.series), 'series')}"
        )


def _api(inputs: Inputs, credentials: dict[str, Credentials]) -> Iterator[Check]:
    try:
        reach = anyio.run(checks.reach, inputs.config)
    except InputError as error:
        yield Check(Level.ERROR, "reach", str(error), code=ExitCode.BAD_INPUT)
        return
    if urlsplit(inputs.config.api.base_url).scheme == "https":
        yield from checks.variables()
    yield reach
    if reach.level is Level.ERROR or not credentials:
        return
    accounts = _accounts(inputs, credentials)
    most = max(len(wanted) for wanted in accounts.values())
    if most > _MANY:
        wait = timedelta(seconds=most / inputs.config.api.requests_per_second)
        click.echo(f"asking for {most:,} accounts: at least {time_words(wait)}", err=True)
    yield from anyio.run(checks.rights, inputs.config, credentials, accounts)


def _accounts(inputs: Inputs, credentials: dict[str, Credentials]) -> dict[str, list[str]]:
    """The accounts to ask for, by API key: those of the jobs, or each key's own."""
    wanted: dict[str, dict[str, None]] = {one.api_key: {} for one in credentials.values()}
    for job in inputs.jobs:
        for entry in job.series:
            if entry.credentials in credentials:
                key = credentials[entry.credentials].api_key
                wanted[key][entry.series.account_id] = None
    return {key: list(accounts) or [key] for key, accounts in wanted.items()}
