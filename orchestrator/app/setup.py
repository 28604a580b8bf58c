"""Builds what the use cases work with: inputs, credentials, the ledger, sessions with the API."""

from __future__ import annotations

import os
import random
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anyio import to_thread

from orchestrator.app.clocks import ShiftedClock, SystemClock
from orchestrator.config import load_inputs, proxies_of, resolve_credentials
from orchestrator.core.commands import JOB, typed
from orchestrator.errors import InputError, OrchestratorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from datetime import datetime
    from os import PathLike

    from orchestrator.app.manifest_sync import ManifestSync
    from orchestrator.config import Inputs
    from orchestrator.core.ports import Clock, Ledger, LedgerReader, Observer
    from orchestrator.core.settings import Config, Credentials
    from orchestrator.engine.key_session import KeySession


def load(
    jobs: Iterable[str | PathLike[str]],
    config: str | PathLike[str] | None = None,
    *,
    now: datetime | None = None,
) -> Inputs:
    """Reads the config and the job files; changes nothing and sends nothing.

    Args:
        jobs: paths of job files; none: only the config is read.
        config: path of the config; None: it is looked for, as the commands do.
        now: the moment by which dates in the future are judged; None: the present.

    Returns:
        What the other use cases take. Its `warnings` are for people to read.

    Raises:
        InputError: every mistake of every file.
    """
    return load_inputs(
        [Path(job) for job in jobs],
        config=None if config is None else Path(config),
        env=os.environ,
        now=now,
    )


def clock_of(now: datetime | None) -> Clock:
    """The machine's clock, or one that begins at `now`."""
    return SystemClock() if now is None else ShiftedClock(now)


def credentials_of(inputs: Inputs) -> dict[str, Credentials]:
    """The credentials that the jobs use, looked up; the way to the API is looked at too.

    Raises:
        InputError: all that are missing, or a proxy that cannot be used.
    """
    proxies_of(inputs.config, os.environ)
    return resolve_credentials(inputs.config, inputs.credential_names, os.environ)


def with_credentials_of_open(
    inputs: Inputs, credentials: Mapping[str, Credentials]
) -> dict[str, Credentials]:
    """The credentials of the jobs, and others of the config that bought what is open of theirs.

    An account may have moved to another key since: its open reports are seen by the old one only.
    What of this cannot be had is left out; the reports stay open then, and the run says so.
    """
    config = inputs.config
    found = dict(credentials)
    at_hand = {one.api_key for one in credentials.values()}
    keys = frozenset(entry.series.key for job in inputs.jobs for entry in job.series)
    try:
        with reading_ledger(config) as store:
            missing = store.keys_of_open(keys) - at_hand
    except OrchestratorError:
        return found  # the run itself will say what is wrong with its ledger
    for name in config.credentials:
        if missing and name not in found:
            with suppress(InputError):
                resolved = resolve_credentials(config, [name], os.environ)
                if resolved[name].api_key in missing:
                    found |= resolved
                    missing -= {resolved[name].api_key}
    return found


# --- the ledger -----------------------------------------------------------------------------------


def ledger_is_missing(config: Config) -> str | None:
    """What stands in the output directory that a missing ledger must have known; None if nothing.

    A ledger that exists is not missing.
    """
    from orchestrator.collect.layout import MANIFEST, holds_files  # noqa: PLC0415 - start-up time
    from orchestrator.collect.manifest import survey  # noqa: PLC0415
    from orchestrator.ledger import ledger_exists  # noqa: PLC0415

    if ledger_exists(config.state):
        return None
    found = holds_files(config.output.directory)
    if found == MANIFEST and survey(config.output.directory).tells_nothing:
        found = next((path.name for path in config.output.directory.glob("report_account=*")), None)
    return found


def refuse_missing_ledger(config: Config) -> None:
    """A ledger that is gone must not be begun anew beside its files: all would be paid again.

    Raises:
        InputError: there are collected files, but no ledger.
    """
    found = ledger_is_missing(config)
    if found is not None:
        raise InputError(
            f"there is no ledger at {config.state}, but {config.output.directory} holds {found}: "
            "beginning anew would buy everything again; point `state` at the ledger, or use "
            f"{typed('run', JOB, '--rebuild-ledger')} to make one from the manifest"
        )


@contextmanager
def reading_ledger(config: Config, *, whole: bool = False) -> Iterator[LedgerReader]:
    """The ledger to read from; an empty one, in memory, where none has been begun.

    Args:
        config: where it is.
        whole: all of it is read first, and checked for damage.

    Raises:
        InputError: the ledger is missing beside its files.
        LedgerError: it cannot be read, or is damaged.
    """
    from orchestrator.ledger import IN_MEMORY, ledger_exists, open_reader  # noqa: PLC0415 - start-up

    refuse_missing_ledger(config)
    url = config.state if ledger_exists(config.state) else IN_MEMORY
    with open_reader(url, whole=whole) as reader:
        yield reader


@dataclass(frozen=True, slots=True)
class WritableLedger:
    """A ledger that may be written.

    Attributes:
        ledger: under the run's lock.
        manifest: is told of every change; to be written as a whole at the end.
    """

    ledger: Ledger
    manifest: ManifestSync


@asynccontextmanager
async def writing_ledger(
    config: Config,
    clock: Clock,
    lock_wait: timedelta = timedelta(),
    *,
    first: Callable[[], None] | None = None,
    announce: Callable[[str, str], None],
    check_later: bool = False,
) -> AsyncIterator[WritableLedger]:
    """The ledger under the run's lock; begun anew where there is none, which is announced.

    The manifest beside the files belongs to it, and is written anew where it lacks something.

    Args:
        config: where it is.
        clock: stamps its events.
        lock_wait: how long to wait for the lock.
        first: done in a thread under the lock, before the ledger is looked for.
        announce: told, as (level, text), that a ledger is begun, or that a manifest was changed.
        check_later: a large one is not checked for damage here: call `Ledger.check`.

    Raises:
        LedgerLocked: another run holds it.
        LedgerError: it cannot be opened.
        InputError: the ledger is missing beside its files, or does not belong to them.
        OutputError: the manifest cannot be written.
    """
    from orchestrator.app.check_disk import require_output  # noqa: PLC0415 - start-up time
    from orchestrator.app.manifest_check import Stands, compare  # noqa: PLC0415
    from orchestrator.app.manifest_sync import ManifestSync  # noqa: PLC0415
    from orchestrator.collect.manifest import put_aside  # noqa: PLC0415
    from orchestrator.ledger import ledger_exists, open_ledger  # noqa: PLC0415

    def prepare() -> None:
        if first is not None:
            first()
        refuse_missing_ledger(config)
        if not ledger_exists(config.state):
            announce("info", f"a new ledger: {config.state}")

    async with open_ledger(
        config.state, clock, lock_wait, prepare=prepare, check_later=check_later
    ) as ledger:
        comparison = await ledger.read(partial(compare, config))
        is_current = comparison.stands is Stands.AS_THE_LEDGER
        manifest = ManifestSync(config, comparison.survey if is_current else None)
        ledger.tell(manifest)
        await to_thread.run_sync(require_output, config)
        if not is_current:
            # Not from a ledger that may be damaged: the old one may have to bring it back.
            await ledger.check()
            if comparison.words:
                kept = await to_thread.run_sync(put_aside, config.output.directory)
                announce(
                    "warning",
                    f"{comparison.words}; it is kept as {kept}, and written anew from the ledger",
                )
            await manifest.write(clock.now())
        try:
            yield WritableLedger(ledger, manifest)
        finally:
            manifest.close()


# --- the API --------------------------------------------------------------------------------------


@asynccontextmanager
async def open_sessions(
    config: Config,
    credentials: Mapping[str, Credentials],
    clock: Clock,
    observer: Observer | None = None,
    patience: timedelta = timedelta(),
) -> AsyncIterator[dict[str, KeySession]]:
    """A desk for each API key, by name of credentials; names of one key share it.

    Args:
        config: where the API is, and how fast it may be asked.
        credentials: resolved, by name.
        clock: for the server's ``Date``.
        observer: told when the API is down; None: nobody is.
        patience: how long to wait for an API that is down.

    Raises:
        InputError: the config or the environment names a proxy that cannot be used.
    """
    from orchestrator.api import KeyRateLimiter, VonageReports, open_session  # noqa: PLC0415
    from orchestrator.core.ports import NullObserver  # noqa: PLC0415 - start-up time
    from orchestrator.engine.key_session import KeySession  # noqa: PLC0415

    jitter = random.SystemRandom().random
    proxies = proxies_of(config, os.environ)
    async with open_session(config.api.authorities) as session:
        by_key: dict[str, KeySession] = {}
        for one in credentials.values():
            if one.api_key not in by_key:
                api = VonageReports(
                    session, config.api.base_url, one, config.api.timeout, clock, proxies=proxies
                )
                rate_limiter = KeyRateLimiter(config.api.requests_per_second)
                by_key[one.api_key] = KeySession(
                    api,
                    rate_limiter,
                    config.retry,
                    jitter=jitter,
                    observer=NullObserver() if observer is None else observer,
                    patience=patience,
                )
        yield {name: by_key[one.api_key] for name, one in credentials.items()}
