"""The ledger as a run writes it: `Ledger`, and who is told of its changes.

What was asked for and what became of it: the only truth. Nothing here says how it is stored.
`orchestrator.ledger.open_ledger` opens one.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from orchestrator.core.durations import ReportDuration
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import LedgerChanges, Owner
from orchestrator.core.lifecycle import Event
from orchestrator.core.model import (
    LedgerPoint,
    Report,
    Resolution,
    Series,
    SeriesState,
)
from orchestrator.core.ports.ledger_reader import LedgerReader

T = TypeVar("T")


class ChangeListener(Protocol):
    """Is told of what each transaction of a ledger has changed, such as a manifest."""

    def prepare(
        self, reader: LedgerReader, changes: LedgerChanges, point: LedgerPoint
    ) -> Callable[[], None]:
        """Reads what it needs, inside the transaction; in a worker thread.

        The ledger calls the returned function once the transaction is committed, in the same
        thread; it must return only when what it has written is synced. The commands of the
        transaction wait for it. An error that it raises is theirs.
        """


class Ledger(Protocol):
    """The ledger of a run, which holds its lock. Every call is one transaction.

    - A call that returns has been committed and synced. Calls made together share one commit.
    - A call cannot be cancelled half-way: it is done, or has failed, before it returns.
    - A call that raises has changed nothing.
    - Every call raises `LedgerError` where the ledger cannot be read or written.
    """

    # --- as a whole ---------------------------------------------------------------------------

    async def read(self, work: Callable[[LedgerReader], T]) -> T:
        """Runs `work`, in a worker thread, on one unchanging state of the ledger.

        The reader is valid inside `work` alone. What `work` raises comes out of here. It may be
        called again, where what others asked for at the same time has failed.
        """

    async def check(self) -> None:
        """Reads the whole ledger for damage, unless that was done; lets `sound` return.

        Raises:
            LedgerError: it is damaged.
        """

    async def sound(self) -> None:
        """Returns once the ledger is known to be undamaged: nothing is bought before.

        A large one is checked beside the beginning of a run.
        """

    @property
    def is_sound(self) -> bool:
        """Whether `sound` would return at once."""

    def tell(self, listener: ChangeListener) -> None:
        """Tells `listener` of all changes from now on, in place of an earlier one."""

    # --- what is read often -------------------------------------------------------------------

    async def series_state(self, job: str, series: Series) -> SeriesState:
        """See `LedgerReader.series_state`."""

    async def recent_durations(self) -> Mapping[str, Sequence[ReportDuration]]:
        """See `Histories.recent_durations`."""

    async def superseded(self, by: Report | None = None) -> Sequence[Report]:
        """See `LedgerReader.superseded`."""

    def open_reports(
        self, series: Iterable[Series], api_keys: Iterable[str] = ()
    ) -> AsyncIterator[Report]:
        """The open reports of these series, and those that these keys bought of any series.

        Those come first whose file expires first. They are read in pages of bounded size, one
        transaction each; reports that are created meanwhile are left out.
        """

    async def owners_of(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        """See `LedgerReader.owners_of`."""

    async def owners(self, request_ids: Sequence[str]) -> Mapping[str, Owner]:
        """See `LedgerReader.owners`."""

    # --- what is written ----------------------------------------------------------------------

    async def record_intent(
        self,
        series: Series,
        window: Window,
        *,
        job: str,
        api_key: str,
        server_ahead: timedelta,
        callback_url: str | None,
        replaces: Report | None = None,
    ) -> Report:
        """Writes the intent to create a report: a new one in `SUBMITTING`.

        With `replaces` it is a newer edition of that collected report, bought on purpose: when it
        is collected, the other is superseded in the same transaction.

        Raises:
            InvalidTransition: a part of the window is collected, open or given up already: it
                would be paid twice. For an edition: what it replaces is not collected, or another
                edition of it is not settled.
        """

    async def apply(self, report: Report, event: Event) -> Report:
        """Takes an event: state, facts and the event's own row.

        Raises:
            InvalidTransition: the state does not allow it, or the ledger has another state of the
                report than `report` says. A repeated call therefore changes nothing.
            WindowTaken: the event would give the report its window again, which another has by now.
            RequestIdConflict: another report has the request id that the event brings.
        """

    async def give_up(
        self, series: Series, window: Window, reason: str, report_id: int | None
    ) -> None:
        """Notes that no run asks for a window by itself, until `retry`.

        `report_id` is the report whose failure was the last one allowed.
        """

    async def end_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        """`apply`, and `give_up` of the report's window, in one transaction."""

    async def retry(self, series: Series) -> int:
        """Removes the series' given-up windows (not those that the user waived).

        Its failures up to now no longer count.

        Returns:
            How many windows had been given up.
        """

    async def undo_give_up(self, report: Report) -> int:
        """Removes what was given up with a report; the number of entries.

        Where there were any, the failures of the series no longer count.
        """

    async def acknowledge(self, report: Report) -> int:
        """Notes that the user waives what was given up with a report; the number of entries."""

    async def withdrawn(self, report: Report) -> None:
        """Notes that the file of a superseded or erased report is removed."""

    async def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        """Replaces the resolutions of these series of a job, all or none."""
