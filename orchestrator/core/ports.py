"""What the engine needs of the world, as interfaces. The command line plugs in the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

from orchestrator.core import vonage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import datetime, timedelta

    from orchestrator.core.debt import Debt
    from orchestrator.core.durations import ReportDuration
    from orchestrator.core.echo import EchoDifference
    from orchestrator.core.intervals import Window
    from orchestrator.core.lifecycle import Event
    from orchestrator.core.model import (
        FieldValue,
        Owner,
        RemoteReport,
        Report,
        ReportList,
        Resolution,
        Series,
        SeriesState,
    )
    from orchestrator.core.spending import Bought
    from orchestrator.core.volume import History
    from orchestrator.core.vonage import Status


class Clock(Protocol):
    """The wall clock. Waiting and measuring go through anyio, whose loop it agrees with."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class Priority(IntEnum):
    """Whose request goes first when a key has more to ask than it may. Lower goes first."""

    CANCEL = 0
    DOWNLOAD = 1
    SUBMIT = 2
    POLL = 3
    CALLBACK = 4
    """A look because somebody called: before every submit, but never more often than
    `RateLimiter` says.

    Anybody who knows an address may call; what is bought must not wait for that.
    """


class Slot(Protocol):
    """What a request needs besides its turn, such as one of so many downloads at once."""

    @property
    def pool(self) -> object:
        """What it is one of: places of one pool are free, or taken, together."""
        ...

    @property
    def is_free(self) -> bool:
        """Whether it may be taken now."""
        ...

    def take(self) -> None:
        """Takes it. Taken again, it changes nothing."""
        ...

    def give_back(self) -> None:
        """Frees it, if it was taken."""
        ...

    def when_free(self, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when it may be free."""
        ...


class RateLimiter(Protocol):
    """The one way to the API for one key: so many turns a second, by priority."""

    def turn(
        self, priority: Priority, order: float = 0.0, place: Slot | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Waits for a turn; the request is made inside.

        Among equal priorities the lower `order` goes first, then who came first. With a `place`
        the turn comes only while that is free, and takes it; others go by meanwhile. A poll that
        has waited for long goes before submits. Of five turns for which others wait, one at most
        goes to a look after a callback. A `Throttled` that passes through slows the whole
        key down; an inside without error lets it climb back.

        Raises:
            TransportError: it has been closed; nothing was sent.
        """
        ...

    def close(self, reason: str) -> None:
        """Lets nobody through any more: who waits, and who comes, gets a `TransportError`."""
        ...


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a download that broke could go on.

    Attributes:
        offset: bytes that are here already.
        length: of the whole file, as the server has said it.
        validator: by which the server tells this file from any other (`Download.validator`).
    """

    offset: int
    length: int
    validator: str


@dataclass(frozen=True, slots=True)
class Within:
    """How long a download may take.

    Attributes:
        life: one that would take longer, at its pace, is of no use: the file expires before.
        patience: one that can go on another time ends after so long.
    """

    life: timedelta
    patience: timedelta


ITS_LIFE: Final = Within(vonage.FILE_PROMISED, vonage.FILE_PROMISED)
"""As long as the vendor promises a file."""


class Download(Protocol):
    """A file on its way from the API."""

    @property
    def length(self) -> int | None:
        """Bytes of the whole file, as the server says; None where it does not say."""
        ...

    @property
    def start(self) -> int:
        """Where in the file the bytes begin: 0, or at the offset of a `Resume` that was granted."""
        ...

    @property
    def validator(self) -> str | None:
        """What proves later on that the file is still the same; None where there is no proof."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes from `start`, in pieces of bounded size.

        Raises:
            TransportError: the stream broke, or ended before `length`, or is too slow (`Within`);
                or the server answered a `Resume` with something that is of no use.
        """
        ...


class ReportsApi(Protocol):
    """The Reports API under one API key: one method an endpoint, one request a call.

    No call retries or waits for a turn: that is the engine's part. Every call may raise any
    `ApiError`.
    """

    @property
    def api_key(self) -> str:
        """The key that signs."""
        ...

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a simulator, whose clock may run faster than ours."""
        ...

    @property
    def server_ahead(self) -> timedelta:
        """The server's clock less ours, by the latest ``Date`` header; zero before the first."""
        ...

    def server_now(self) -> datetime | None:
        """The present moment by the server's clock; None before the first ``Date`` header.

        Life spans at the API are judged by it: those of reports, of files, of unknown creates.
        """
        ...

    async def create(
        self, series: Series, window: Window, callback_url: str | None
    ) -> RemoteReport:
        """``POST /v2/reports``. Paid. Never repeated by itself.

        Of the answer only the id matters: whatever else cannot be read is left out.
        """
        ...

    async def status(self, request_id: str) -> RemoteReport:
        """``GET /v2/reports/{request_id}``."""
        ...

    async def list(
        self,
        account_id: str,
        statuses: Sequence[Status],
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        only: Container[str] | None = None,
    ) -> ReportList:
        """``GET /v2/reports``: reports created by the account, by time of creation.

        Entries that cannot be read as a report are left out; with `only`, which saves time, those
        of other ids too. It may be asked from another thread.

        Raises:
            TooLarge: there are more than can be read at once; a narrower range may be had.
        """
        ...

    async def cancel(self, request_id: str) -> RemoteReport | None:
        """``DELETE /v2/reports/{request_id}``; `Rejected` with status 409 if already final.

        None: it was taken, and the answer does not tell how the report stands now.
        """
        ...

    def download(
        self, download_url: str, resume: Resume | None = None, within: Within = ITS_LIFE
    ) -> AbstractAsyncContextManager[Download]:
        """``GET /v3/media/{file_id}``: the archive as a stream.

        With `resume` the server is asked to go on there if the file is still the same. Whether it
        does is what the download's `start` says.

        Raises:
            NotFound: no such file, or no longer.
            FileRefused: its address refuses it, or the link cannot be followed.
        """
        ...


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """What a verified file holds, before it takes its name; `foreign` as in `Verified`."""

    rows: int
    size_bytes: int
    sha256: str
    target: str
    foreign: tuple[tuple[str, int], ...] | None = None


class Collector(Protocol):
    """Makes a verified file of a download, and publishes it. Idempotent at every step."""

    async def fetch(self, report: Report, download: Download) -> VerifiedFile:
        """Takes the archive, checks it against the report, writes the file aside.

        A download that begins where an earlier one of this report broke (`resumable`) goes on
        from there; any other begins anew.

        Raises:
            TransportError: the stream broke; fetch it again.
            WrongCount: it is sound, and holds another number of records; as below.
            CorruptArchive: structure, length or CRC are wrong; the archive stays for `recheck`
                and `quarantine`, until it is fetched again.
            TooLong: it is longer than its records can be; nothing stays of it.
            NoRoom: it would leave too little room on the disk; nothing stays of it.
            OutputError: the disk.
        """
        ...

    @property
    def lacks_room(self) -> str:
        """Why nothing more should be begun, in words; empty while the disk has room."""
        ...

    async def recheck(self, report: Report) -> VerifiedFile | None:
        """Checks the archive that the last refused `fetch` has left, against the report of now.

        None: there is none, or it does not fit either; it stays for `quarantine`.

        Raises:
            OutputError: the disk.
        """
        ...

    async def empty(self, report: Report) -> VerifiedFile:
        """Makes the file of a report that has no records, and for which the API has no file.

        Raises:
            OutputError: the disk.
        """
        ...

    async def refutes(self, report: Report, differences: Sequence[EchoDifference]) -> bool:
        """Whether the file that `fetch` has made shows that a wrong echo is a slip of the API.

        Raises:
            OutputError: the disk.
        """
        ...

    def resumable(self, report: Report) -> Resume | None:
        """Where the next download of a report may go on; None: from the beginning."""
        ...

    async def release(self, report: Report) -> None:
        """Sets aside what a broken download has left behind, for the next run to go on with."""
        ...

    async def publish(self, report: Report) -> bool:
        """Gives a verified report's file its final name, synced; True if it stands there.

        Uses the report's `target` and `sha256`. False if neither the file aside nor one of that
        hash under its name is there: it must be fetched again.

        Raises:
            NameTaken: another file, with other content, stands under that name.
            OutputError: the disk.
        """
        ...

    async def quarantine(self, report: Report, reason: str) -> None:
        """Keeps whatever has been fetched of a report for a person to look at, outside the data."""
        ...

    async def accept(self, report: Report) -> VerifiedFile:
        """Makes the file that was kept aside ready for `publish`, whatever its count.

        Raises:
            CollectError: there is no such file, or not even the archive can be read.
        """
        ...

    async def withdraw(self, report: Report) -> None:
        """Removes the published file of a superseded report; it may be gone already.

        Raises:
            OutputError: the disk.
        """
        ...

    async def discard(self, report: Report) -> None:
        """Removes what was fetched of a report and is not published."""
        ...


class Ledger(Protocol):
    """What was asked for, what became of it: the only truth. Every call is one transaction.

    A call that returns has been committed and synced.

    Every method raises `LedgerError` where the ledger cannot be read or written.
    """

    async def sound(self) -> None:
        """Returns once the ledger's file is known to be undamaged: nothing is bought before.

        A large one is read beside the beginning of a run.
        """
        ...

    async def series_state(self, job: str, series: Series) -> SeriesState:
        """All that is known of a series, as a job sees it."""
        ...

    async def history(self, series: Series) -> History:
        """What was collected of a series, or of its likes where nothing was of itself."""
        ...

    async def newest(self) -> int:
        """The number of the latest report; 0 before the first."""
        ...

    async def bought(self, since: datetime, *, up_to: int) -> Bought:
        """What was asked for since a moment of the API's clock, and may have been paid.

        Args:
            since: by the API's clock; what seems to be of a later day than today counts too.
            up_to: reports with higher numbers are left out.
        """
        ...

    async def record_rates(self, series: Iterable[Series]) -> Mapping[str, float]:
        """Records a second in the latest collected windows of series, by the series' key.

        Series of which nothing is collected are left out.
        """
        ...

    async def recent_durations(self) -> Mapping[str, Sequence[ReportDuration]]:
        """How long the latest collected reports took, by product; a few hundred of each."""
        ...

    async def superseded(self, by: Report | None = None) -> Sequence[Report]:
        """The reports whose place another edition has taken, and whose file still has to go.

        With `by`: only the one whose place this edition has taken.
        """
        ...

    async def withdrawn(self, report: Report) -> None:
        """Notes that the file of a superseded report is gone."""
        ...

    async def remember(self, job: str, resolutions: Mapping[Series, Resolution]) -> None:
        """Replaces the resolutions of these series of a job, in one transaction."""
        ...

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
            InvalidTransition: a moment of the window is had already: buying it would be paying
                twice. For an edition: what it replaces is not collected, or another edition of it
                is not settled.
        """
        ...

    async def apply(self, report: Report, event: Event) -> Report:
        """Takes an event: state, facts and the event's own row, in one transaction.

        Raises:
            InvalidTransition: the state does not allow it, or it changed behind our back.
            WindowHad: the event would give the report its window again, which another has by now.
        """
        ...

    async def give_up(
        self, series: Series, window: Window, reason: str, report_id: int | None
    ) -> None:
        """Makes a window had until `retry`: no run asks for it by itself.

        `report_id` is the report that was the last straw.
        """
        ...

    async def end_and_give_up(self, report: Report, event: Event, reason: str) -> Report:
        """`apply` and `give_up` of the report's window, in one transaction."""
        ...

    async def retry(self, series: Series) -> int:
        """Forgets what was given up for a series (not what the user waived), and its failures.

        Returns:
            How many windows had been given up.
        """
        ...

    async def undo_give_up(self, report: Report) -> int:
        """Forgets what was given up with a report, and the series' failures; how many entries."""
        ...

    async def acknowledge(self, report: Report) -> int:
        """Notes that the user does without what was given up with a report; how many entries."""
        ...

    def open_reports(
        self, series: Iterable[Series], api_keys: Iterable[str] = ()
    ) -> AsyncIterator[Report]:
        """The reports with work left, in pages, those whose file expires first, first.

        Those of these series, whoever bought them, and those that these keys bought of any series.
        """
        ...

    async def reread(self, report: Report) -> Report:
        """A report as it stands now."""
        ...

    async def owners_of(self, request_ids: Iterable[str]) -> Mapping[str, int]:
        """Which of these request ids belong to rows of ours, and to which."""
        ...

    async def owners(self, request_ids: Iterable[str]) -> Mapping[str, Owner]:
        """The rows of ours that have these request ids; ids that none has are left out."""
        ...

    async def recent(
        self, account_id: str, api_key: str, since: datetime, until: datetime
    ) -> frozenset[str]:
        """The request ids, of an account and a key, that became known in this time.

        Of the newest rows alone, and not of those that the API no longer knows.
        """
        ...

    async def unresolved_creates(self, report: Report) -> tuple[Report, ...]:
        """Other unsettled rows (submitting, held) of the same account: they may be the twin."""
        ...


class Callbacks(Protocol):
    """Our own receiver of callbacks. It tells that somebody called, never what was said."""

    def new_address(self) -> str:
        """A callback URL for one report: unguessable, and no secret is in it."""
        ...

    def listen(self, callback_url: str, ring: Callable[[], None]) -> AbstractContextManager[None]:
        """While entered, `ring` is called in the event loop when that address is called.

        A call that came before, in this process, rings at once. Repeated calls ring again, but
        not without bound. An address of another receiver never rings.
        """
        ...


class Observer(Protocol):
    """Who watches a run: the progress display, the log. Must not block and must not fail."""

    def wanted(self, debt: Debt) -> None:
        """A series' debt is known, as the run begins."""
        ...

    def changed(self, report: Report, event: Event | None) -> None:
        """A report took an event; None: it was found open, or its intent was just written."""
        ...

    def received(self, report: Report, size_bytes: int) -> None:
        """So many more bytes of a report's archive have come."""
        ...

    def note(self, level: str, text: str, **facts: FieldValue | float | None) -> None:
        """Something a person should read: ``info``, ``warning`` or ``error``.

        ``debug``: only for one who wants to see each step.
        """
        ...


class NullObserver:
    """The `Observer` of what nobody watches."""

    def wanted(self, debt: Debt) -> None:
        """Not told."""

    def changed(self, report: Report, event: Event | None) -> None:
        """Not told."""

    def received(self, report: Report, size_bytes: int) -> None:
        """Not told."""

    def note(self, level: str, text: str, **facts: FieldValue | float | None) -> None:
        """Not told."""
