"""Opens ledgers by URL, to read or to write, and makes one from a manifest.

The only door to this package: nobody outside it knows SQLite, its files or its lock. A ledger's
URL is a path, ``sqlite:///PATH`` (with a fourth slash where the path is absolute), or
``sqlite://`` for one in memory, which is gone once it is closed.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from anyio import to_thread

from orchestrator.core.model import LedgerPoint
from orchestrator.core.ports import Clock, Ledger, LedgerReader, LedgerRestore
from orchestrator.errors import InputError, LedgerError
from orchestrator.ledger import integrity, lock
from orchestrator.ledger.backup import LedgerBackup, copy_ledger
from orchestrator.ledger.creation import files_of, give_name, remove_ledger
from orchestrator.ledger.restore import SqliteRestore
from orchestrator.ledger.sqlite import SqliteLedger, connect, connect_in_memory, reading
from orchestrator.ledger.sqlite_errors import translated
from orchestrator.ledger.store import Store
from orchestrator.presence import exists

IN_MEMORY: Final = "sqlite://"
"""The URL of a ledger in memory."""

_UNFINISHED: Final = ".rebuild"
"""What the name of a ledger ends in while it is made from a manifest."""


@asynccontextmanager
async def open_ledger(
    url: str | Path,
    clock: Clock,
    lock_wait: timedelta,
    *,
    prepare: Callable[[], None] | None = None,
    check_later: bool = False,
) -> AsyncIterator[Ledger]:
    """Opens a ledger for a run: takes its lock, makes or upgrades it, checks it for damage.

    Args:
        url: see the module. Where there is no ledger, a new one is made.
        lock_wait: how long to wait for another run to end.
        prepare: is called in a worker thread under the lock, before the ledger is looked for. It
            may make one (`restored_ledger`), or raise in order to leave all as it is.
        check_later: a large ledger is not checked for damage here: call `Ledger.check`.

    Raises:
        InputError: no ledger is known by such a URL, or its file has more than one name.
        LedgerLocked: another run holds the lock.
        LedgerError: it cannot be opened, is no ledger, is damaged, or of a newer version.
    """
    path = _file_of(url)
    if path is None:
        with closing(connect_in_memory()) as connection:
            yield SqliteLedger(connection, Path(IN_MEMORY), clock)
        return
    async with lock.run_lock(path, lock_wait):
        if prepare is not None:
            await to_thread.run_sync(prepare)
        with translated(path):
            check_later = check_later and integrity.is_large(path)
        with closing(connect(path, check_later=check_later)) as connection:
            yield SqliteLedger(connection, path, clock, check_later=check_later)


@contextmanager
def open_reader(url: str | Path, *, whole: bool = False) -> Iterator[LedgerReader]:
    """Opens a ledger to read from, also beside a run. It takes no lock and makes no ledger.

    One in memory is empty: for whoever reads where no ledger has been begun.

    Args:
        whole: the whole ledger is checked for damage first.

    Raises:
        InputError: no ledger is known by such a URL.
        LedgerError: there is none, it cannot be read, or is damaged.
        OldLedgerVersion: it is of an older version: a run brings it up to date.
    """
    path = _file_of(url)
    if path is None:
        with closing(connect_in_memory()) as connection:
            yield Store(connection)
        return
    with reading(path, whole=whole) as store:
        yield store


@contextmanager
def restored_ledger(
    url: str | Path, at: datetime, point: LedgerPoint | None, events: int
) -> Iterator[LedgerRestore]:
    """Makes a ledger from what is left of a lost one; it appears once the block has ended.

    It is made under another name and takes its own when it is complete: with half of it, the other
    half would be bought again. Where the block raises, nothing is left. Call it under the lock
    (`prepare` of `open_ledger`).

    Args:
        url: see the module; there must be no ledger.
        point: how far the lost ledger had got: the new one is its next generation. None: nobody
            knows; the new one has an identity of its own.
        events: the number of the lost ledger's latest event; 0 where it is unknown.

    Raises:
        InputError: no ledger is made by such a URL.
        LedgerError: it cannot be written.
    """
    path = _file_of(url)
    if path is None:
        raise InputError(f"a ledger in memory ({url}) cannot be made from a manifest")
    place = lock.real_path(path)
    unfinished = place.with_name(place.name + _UNFINISHED)
    with translated(path):
        remove_ledger(unfinished)
        try:
            with closing(connect(unfinished)) as connection:
                unfinished.chmod(0o600)  # SQLite gives its -wal and -shm files the same rights
                connection.execute("BEGIN IMMEDIATE")
                restore = SqliteRestore(connection, at, point, events)
                yield restore
                restore.finish()
                connection.execute("COMMIT")
                # Everything into the one file that is about to be renamed.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("PRAGMA journal_mode = DELETE")
            give_name(unfinished, place)
        finally:
            remove_ledger(unfinished)


def back_up_ledger(url: str | Path, target: Path, *, replace: bool = False) -> LedgerBackup:
    """Copies a ledger into one file, also while a run writes to it. It takes no lock.

    Args:
        target: of the copy, in a folder that exists. It appears there in one step, once it is
            complete, checked for damage and synced.
        replace: an older copy at the target is replaced.

    Raises:
        InputError: there is no ledger in a file, or something at the target that must not be
            replaced, or no folder.
        LedgerError: the ledger cannot be read, is damaged, or of a newer version.
        OutputError: the copy cannot be written.
    """
    path = _file_of(url)
    if path is None or not ledger_exists(path):
        raise InputError(f"there is no ledger at {url} to back up: the first run begins one")
    return copy_ledger(path, target, replace=replace)


def ledger_exists(url: str | Path) -> bool:
    """Whether there is something where a URL says that the ledger is.

    Raises:
        LedgerError: a folder above it may not be looked into.
    """
    path = _file_of(url)
    try:
        return path is not None and exists(path)
    except OSError as error:
        raise LedgerError(
            f"cannot look for the ledger {path}: {error.strerror}; run the command as the user "
            "whose ledger it is, or give `state` a place that this user may read"
        ) from None


def ledger_files(url: str | Path) -> tuple[Path, ...]:
    """The files that a ledger may have, the ledger itself first, the lock last; none in memory."""
    path = _file_of(url)
    if path is None:
        return ()
    try:
        return (*files_of(path), lock.lock_of(path))
    except LedgerError:  # its links lead in a circle, so nothing can have locked it
        return files_of(path)


def lock_holder(url: str | Path) -> str | None:
    """Who holds the lock of a ledger now, such as ``process 4711``; None if it is free.

    Raises:
        LedgerError: it cannot be found out.
    """
    path = _file_of(url)
    return None if path is None else lock.holder(path)


def refuse_network(url: str | Path) -> None:
    """Refuses a ledger on a network file system, where no lock can be trusted.

    Raises:
        LedgerError: it is on one.
    """
    path = _file_of(url)
    if path is not None:
        lock.refuse_network(path.parent)


def _file_of(url: str | Path) -> Path | None:
    """The file that a URL names; None for a ledger in memory.

    Raises:
        InputError: no ledger is known by such a URL.
    """
    if isinstance(url, Path):
        return url
    scheme, separator, place = url.partition("://")
    if not separator:
        return Path(url)
    if scheme == "sqlite" and place in {"", "/:memory:"}:
        return None
    if scheme == "sqlite" and place.startswith("/") and len(place) > 1:
        return Path(place[1:])
    raise InputError(
        f"the ledger {url}: this program keeps a ledger in an SQLite file only; give its path, or "
        "sqlite:///PATH"
    )
