"""Checks everything that a run needs. Sends nothing that costs anything, and changes nothing."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from anyio import to_thread

from orchestrator.app import check_api, check_disk
from orchestrator.app.check_disk import Check, Level, failed, require_output
from orchestrator.app.ledger_reading import ledger_is_missing, reading_ledger
from orchestrator.app.manifest_check import Comparison, compare, refuse_unknown_files
from orchestrator.app.notifications import says_anything, send_test, unavailable
from orchestrator.app.setup import clock_of, run_in_new_loop
from orchestrator.config import Inputs
from orchestrator.core.model import Job
from orchestrator.core.policy import ExitCode
from orchestrator.core.settings import Config, Credentials
from orchestrator.errors import InputError, LedgerError, OldLedgerVersion, OutputError
from orchestrator.ledger import ledger_exists, lock_holder, refuse_hard_links, refuse_network
from orchestrator.notify import otel
from orchestrator.reporting.phrases import counted, time_words

_ORDER: Final = (ExitCode.BAD_INPUT, ExitCode.DISK, ExitCode.FINDINGS)
"""The first that applies is the exit code, as for a run."""

_MANY_CALLS: Final = 25
"""List calls of one key from which on it is said how long they take."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was checked."""

    checks: tuple[Check, ...]

    @property
    def code(self) -> ExitCode:
        """The exit code with which a run would end; `ExitCode.DONE` if nothing is in its way."""
        codes = {check.code for check in self.checks if check.level is Level.ERROR}
        return next((code for code in _ORDER if code in codes), ExitCode.DONE)


async def check(
    inputs: Inputs,
    *,
    on_check: Callable[[Check], None] | None = None,
    inform: Callable[[str], None] | None = None,
    send_messages: bool = False,
) -> CheckResult:
    """Checks everything that a run of the jobs needs.

    Credentials, the connection to the API, what the keys may ask for (one list call for each key
    and account, which is free), clock, disk, lock, ledger and notifications.

    Args:
        inputs: see `load`; without jobs each key is checked for its own account.
        on_check: called with each check as it is made.
        inform: called with a sentence where the next check takes long.
        send_messages: send a test message to everybody who hears of runs.
    """
    checks: list[Check] = []
    async for made in _checks(inputs, inform, send_messages=send_messages):
        checks.append(made)
        if on_check is not None:
            on_check(made)
    return CheckResult(tuple(checks))


def check_sync(
    inputs: Inputs,
    *,
    on_check: Callable[[Check], None] | None = None,
    inform: Callable[[str], None] | None = None,
    send_messages: bool = False,
) -> CheckResult:
    """`check` for programs without an event loop."""
    work = partial(check, inputs, on_check=on_check, inform=inform, send_messages=send_messages)
    return run_in_new_loop(work, "check")


def checks_of_bad_input(error: InputError) -> CheckResult:
    """What there is to say where config or job files cannot be read: their mistakes."""
    return CheckResult(
        tuple(
            Check(Level.ERROR, "input", str(mistake), code=ExitCode.BAD_INPUT)
            for mistake in error.mistakes
        )
    )


async def _checks(
    inputs: Inputs, inform: Callable[[str], None] | None, *, send_messages: bool
) -> AsyncIterator[Check]:
    config = inputs.config
    for made in _inputs(inputs):
        yield made
    names = inputs.credential_names if inputs.jobs else tuple(config.credentials)
    credentials, lines = check_api.credentials(config, names)
    for made in lines:
        yield made
    async for made in _api(inputs, credentials, inform):
        yield made
    for made in (
        *check_api.callbacks(config),
        *await to_thread.run_sync(lambda: list(check_disk.object_store(config))),
        check_disk.output_folder(config),
        check_disk.folder("state", config.state.parent),
        *check_disk.file_format(config),
        *check_disk.readers(config),
        *check_disk.ledger_rights(config.state),
        *await to_thread.run_sync(lambda: list(_ledger(config, inputs.jobs))),
    ):
        yield made
    async for made in _notifications(config, send=send_messages):
        yield made


def _inputs(inputs: Inputs) -> Iterator[Check]:
    yield Check(Level.OK, "config", inputs.source)
    for warning in inputs.warnings:
        yield Check(Level.WARNING, "input", str(warning))
    for job in inputs.jobs:
        yield Check(
            Level.OK, "job", f"{job.name} ({job.path}): {counted(len(job.series), 'series')}"
        )


async def _api(
    inputs: Inputs, credentials: Mapping[str, Credentials], inform: Callable[[str], None] | None
) -> AsyncIterator[Check]:
    config = inputs.config
    try:
        reach = await check_api.reach(config)
    except InputError as error:
        yield failed("reach", error)
        return
    if urlsplit(config.api.base_url).scheme == "https":
        for made in check_api.variables():
            yield made
    yield reach
    if reach.level is Level.ERROR or not credentials:
        return
    accounts = _accounts(inputs, credentials)
    most = max(len(wanted) for wanted in accounts.values())
    if most > _MANY_CALLS and inform is not None:
        least = timedelta(seconds=most / config.api.requests_per_second)
        inform(f"asking for {most:,} accounts: at least {time_words(least)}")
    for made in await check_api.rights(config, credentials, accounts):
        yield made


def _accounts(inputs: Inputs, credentials: Mapping[str, Credentials]) -> dict[str, list[str]]:
    """The accounts to ask for, by API key: those of the jobs, or each key's own."""
    wanted: dict[str, dict[str, None]] = {each.api_key: {} for each in credentials.values()}
    for job in inputs.jobs:
        for entry in job.series:
            if entry.credentials in credentials:
                key = credentials[entry.credentials].api_key
                wanted[key][entry.series.account_id] = None
    return {key: list(accounts) or [key] for key, accounts in wanted.items()}


def _ledger(config: Config, jobs: Sequence[Job]) -> Iterator[Check]:
    """Whether a run could take the ledger, and whether it would refuse it: with its exit code.

    A lock that is held is only mentioned: that run will end.
    """
    who = None
    try:
        refuse_network(config.state)
        who = lock_holder(config.state)
    except LedgerError as error:
        yield failed("lock", error)
    else:
        free = "free: no run is active on this ledger"
        yield Check(Level.OK, "lock", free if who is None else f"held: {who} is running")
    comparison = None
    try:
        refuse_hard_links(config.state)
        with reading_ledger(config, whole=True) as reader:
            if who is None:  # a run that is active writes both, and has compared them
                require_output(config)
                comparison = compare(config, reader)
                refuse_unknown_files(config, reader, jobs, clock_of(None).now())
            series, reports = reader.size()
    except OldLedgerVersion as error:
        yield Check(Level.OK, "ledger", str(error))
    except (InputError, LedgerError, OutputError) as error:
        yield failed("ledger", error)
    else:
        if comparison is not None:
            yield from _comparison(comparison)
        text = f"{config.state}: {counted(series, 'series')}, {counted(reports, 'report')}"
        if not ledger_exists(config.state) and ledger_is_missing(config) is None:
            text = f"none yet at {config.state}: the first run begins it"
        yield Check(Level.OK, "ledger", text)


def _comparison(comparison: Comparison) -> Iterator[Check]:
    """What a person should know of how the ledger and the manifest stand to each other."""
    if comparison.problem:
        remedy = "a run keeps it, and writes it anew from the ledger"
        yield Check(Level.WARNING, "manifest", comparison.problem, remedy)
    if comparison.moved:
        yield Check(Level.WARNING, "ledger", comparison.moved)


async def _notifications(config: Config, *, send: bool) -> AsyncIterator[Check]:
    if not says_anything(config):
        if send:
            text = "nobody hears how runs end: the config has neither notify nor ping"
            yield Check(Level.WARNING, "notify", text, "add one, or leave --notify out")
        return
    if config.metrics.otlp is not None:
        try:
            otel.library()
        except InputError as error:
            yield failed("notify", error)
    for problem in unavailable(config):
        yield Check(Level.WARNING, "notify", problem, "a run would go on without it")
    if send:
        told, problems = await send_test(config, clock_of(None))
        for problem in problems:
            yield Check(Level.WARNING, "notify", problem, "a run would go on without it")
        yield Check(Level.OK, "notify", f"{counted(told, 'test message')} sent")
