"""Commits in groups: one transaction, and one sync of the disk, for all that is asked together."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
from anyio import to_thread
from anyio.lowlevel import cancel_shielded_checkpoint

from orchestrator.core.ports import ChangeListener, LedgerReader
from orchestrator.errors import OrchestratorError
from orchestrator.ledger.sqlite_errors import explain
from orchestrator.ledger.store import Store

T = TypeVar("T")

_OF_ONE_PIECE: Final = (OrchestratorError, KeyError, sqlite3.IntegrityError)
"""Errors of one piece of work; any other fails the whole transaction."""


@dataclass(slots=True)
class _Entry:
    """A piece of work that waits for a transaction."""

    work: Callable[[Store], Any]
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Batch:
    """The pieces of work of one transaction; the caller who brought the first one runs it."""

    entries: list[_Entry] = field(default_factory=list)
    # set when the transaction before it has ended
    turn: anyio.Event = field(default_factory=anyio.Event)
    # set when it has been committed, or has failed
    ended: anyio.Event = field(default_factory=anyio.Event)


class GroupCommits:
    """Runs pieces of work on a store inside transactions; `tell` and `read` are those of `Ledger`.

    Whatever is asked while a transaction runs goes into the next one together: one sync of the
    disk serves many reports. A piece that fails undoes itself alone. Calls are not cancellable:
    one that has begun is committed before it returns, or has failed.

    Args:
        connection: whose transactions begin and end here alone.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._listener: ChangeListener | None = None
        self._store = Store(connection)
        self._batch = _Batch()
        self._leading = False
        self._limiter = anyio.CapacityLimiter(1)

    def tell(self, listener: ChangeListener) -> None:
        self._listener = listener

    async def read(self, work: Callable[[LedgerReader], T]) -> T:
        return await self.transact(work)

    async def transact(self, work: Callable[[Store], T]) -> T:
        """Runs `work` inside a transaction; its result once that is committed and synced.

        An error that `work` raises undoes what it did, and nothing else. It may be called
        again, once all that it did is undone: another piece of the same transaction has failed.
        """
        entry, batch = _Entry(work), self._batch
        batch.entries.append(entry)
        with anyio.CancelScope(shield=True):
            if len(batch.entries) > 1:
                await batch.ended.wait()
            else:
                if self._leading:
                    await batch.turn.wait()
                await self._lead(batch)
        if entry.error is not None:
            raise entry.error
        result: T = entry.result
        return result

    async def _lead(self, batch: _Batch) -> None:
        """Commits a batch, then hands the lead to whoever came in meanwhile."""
        self._leading = True
        # Whoever else has just been woken gets to say what it has for this transaction.
        await cancel_shielded_checkpoint()
        self._batch = _Batch()
        try:
            await to_thread.run_sync(self._run, batch.entries, limiter=self._limiter)
        except BaseException as error:
            for entry in batch.entries:
                entry.error = entry.error or error
            raise
        finally:
            batch.ended.set()
            if self._batch.entries:
                self._batch.turn.set()
            else:
                self._leading = False

    def _run(self, batch: Sequence[_Entry]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._work(batch)
                tell = self._note_changes()
                self.commit()
            except BaseException:
                self._store.rolled_back()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            # Only now: a manifest that knows more than its ledger would be taken for the proof
            # that the ledger is an old one.
            if tell is not None:
                tell()
        except sqlite3.Error as error:
            for entry in batch:
                entry.result, entry.error = None, explain(error, self._path)
        except BaseException as error:
            for entry in batch:
                entry.result, entry.error = None, error
            raise

    def _note_changes(self) -> Callable[[], None] | None:
        """Counts a transaction that has changed something that a manifest tells.

        Inside the transaction, so that what is told is what stands in the ledger. What is
        returned tells it; None: there is nothing, or nobody, to tell.
        """
        changes = self._store.changes.take()
        if not changes:
            return None
        point = self._store.count_change()
        return (
            None if self._listener is None else self._listener.prepare(self._store, changes, point)
        )

    def _work(self, batch: Sequence[_Entry]) -> None:
        """Does every piece of work; where one of several fails, all anew, and that one is undone.

        A savepoint costs two statements, and pieces hardly ever fail: so there is none at first.
        """
        try:
            for entry in batch:
                entry.result = entry.work(self._store)
        except _OF_ONE_PIECE as error:
            self._undo("ROLLBACK")
            self._db.execute("BEGIN IMMEDIATE")
            if len(batch) == 1:
                self._fail(batch[0], error)
                return
            for entry in batch:
                self._work_apart(entry)

    def _work_apart(self, entry: _Entry) -> None:
        self._db.execute("SAVEPOINT work")
        try:
            entry.result = entry.work(self._store)
        except _OF_ONE_PIECE as error:
            self._undo("ROLLBACK TO work")
            self._fail(entry, error)
        self._db.execute("RELEASE work")

    def _undo(self, statement: str) -> None:
        self._db.execute(statement)
        self._store.rolled_back()

    def _fail(self, entry: _Entry, error: Exception) -> None:
        entry.result = None
        entry.error = explain(error, self._path) if isinstance(error, sqlite3.Error) else error

    def commit(self) -> None:
        """Ends the transaction: what it wrote is on the disk. The one place where that happens."""
        self._db.execute("COMMIT")
