"""The ledger as `run`, `cancel`, `resolve` and `erase` write it: locked, with its manifest."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, TypeAlias

import anyio
from anyio import to_thread

from orchestrator.app.check_disk import require_output, require_store
from orchestrator.app.ledger_reading import refuse_missing_ledger
from orchestrator.app.manifest_check import Stands, compare
from orchestrator.app.manifest_sync import ManifestSync
from orchestrator.collect.disk import translate_os_errors
from orchestrator.collect.manifest_writing import put_aside
from orchestrator.collect.stores import output_store
from orchestrator.core.model import Report
from orchestrator.core.policy import most_telling
from orchestrator.core.ports import Clock, Ledger
from orchestrator.core.settings import Config
from orchestrator.ledger import ledger_exists, open_ledger
from orchestrator.presence import exists

Announce: TypeAlias = "Callable[[str, str], None]"
"""Takes level (``info`` or ``warning``) and text of what a person should know; in any thread."""


TOGETHER: Final = 100
"""Reports whose changes share their commits; after a kill as many may have to be gone on with."""


async def side_by_side(
    reports: Sequence[Report], work: Callable[[Report], Coroutine[Any, Any, None]]
) -> None:
    """Does a work for each report side by side, so that the ledger's commits are shared."""
    try:
        async with anyio.create_task_group() as tasks:
            for report in reports:
                tasks.start_soon(work, report)
    except BaseExceptionGroup as group:
        raise most_telling(group) from group


def no_announcement(level: str, text: str) -> None:
    """An `Announce` that tells nobody."""


@dataclass(frozen=True, slots=True)
class WritableLedger:
    """A ledger that may be written."""

    ledger: Ledger
    manifest: ManifestSync  # is told of every change; to be written as a whole at the end


@asynccontextmanager
async def writing_ledger(
    config: Config,
    clock: Clock,
    lock_wait: timedelta = timedelta(),
    *,
    first: Callable[[], None] | None = None,
    announce: Announce,
    check_later: bool = False,
) -> AsyncIterator[WritableLedger]:
    """The ledger under the run's lock; begun anew where there is none, which is announced.

    The manifest beside the files belongs to it, and is written anew where it lacks something.

    Args:
        clock: stamps its events.
        first: done in a thread under the lock, before the ledger is looked for.
        announce: told, as (level, text), that a ledger is begun, or that a manifest was changed.
        check_later: a large one is not checked for damage here: call `Ledger.check`.

    Raises:
        LedgerLocked: another run holds it.
        LedgerError: it cannot be opened.
        InputError: the ledger is missing beside its files, or does not belong to them.
        OutputError: the manifest cannot be written.
    """

    def prepare() -> None:
        require_store(config)
        if first is not None:
            first()
        refuse_missing_ledger(config)
        if not ledger_exists(config.state):
            announce("info", f"a new ledger: {config.state}")

    async with open_ledger(
        config.state, clock, lock_wait, prepare=prepare, check_later=check_later
    ) as ledger:
        store = output_store(config.output)
        comparison = await ledger.read(partial(compare, config, store=store))
        is_current = comparison.stands is Stands.AS_THE_LEDGER
        if comparison.moved:
            announce("warning", comparison.moved)
        manifest = ManifestSync(config, store, comparison.survey if is_current else None)
        ledger.tell(manifest)
        await to_thread.run_sync(_make_output, config)
        if not is_current:
            # Not from a ledger that may be damaged: the old one may have to bring it back.
            await ledger.check()
            if comparison.problem:
                kept = await to_thread.run_sync(put_aside, store, config.output.directory)
                announce(
                    "warning",
                    f"{comparison.problem}; it is kept as {kept}, and written anew from the ledger",
                )
            await manifest.write(clock.now())
        try:
            yield WritableLedger(ledger, manifest)
        finally:
            manifest.close()


def _make_output(config: Config) -> None:
    """Makes sure that files can be written, and read by those alone whom `output.mode` names.

    The command sets its umask, a program that uses the library has its own: the mode of the output
    directory closes all that is in it. A directory that is there already stays as it is.

    Raises:
        OutputError: files cannot be written there.
    """
    require_output(config)
    directory = config.output.directory
    with translate_os_errors(directory, "write"):
        for path in reversed([path for path in directory.parents if not exists(path)]):
            path.mkdir(0o750, exist_ok=True)
        directory.mkdir(0o750 & ~config.output.mode.umask, exist_ok=True)
