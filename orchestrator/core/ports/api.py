"""The Reports API as the engine sees it: requests, downloads, and turns by priority.

A call of `ReportsApi` is one request, downloads apart: it neither retries nor knows the ledger. The
`RateLimiter` alone waits for turns.
"""

from collections.abc import AsyncGenerator, Container, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, Protocol

from orchestrator.core import vonage
from orchestrator.core.intervals import Window
from orchestrator.core.model import RemoteReport, ReportList, Series
from orchestrator.core.slots import Slot
from orchestrator.core.vonage import Status


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


class RateLimiter(Protocol):
    """The only way to the API for one key: a limited number of turns a second, by priority."""

    def turn(
        self, priority: Priority, order: float = 0.0, slot: Slot | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Waits for a turn; the request is made inside.

        Among equal priorities the lower `order` goes first, then who came first. With a `slot`
        the turn comes only while that is free, and takes it; others go by meanwhile. A poll that
        has waited for long goes before submits. Of five turns for which others wait, one at most
        goes to a look after a callback. A `Throttled` that passes through slows the whole
        key down; an inside without error lets it climb back.

        Raises:
            TransportError: it has been closed; nothing was sent.
        """

    def close(self, reason: str) -> None:
        """Lets nobody through any more: who waits, and who comes, gets a `TransportError`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a download that broke could go on."""

    offset: int  # bytes that are here already
    length: int  # of the whole file, as the server has said it
    validator: str  # by which the server tells this file from any other (`Download.validator`)


@dataclass(frozen=True, slots=True)
class Within:
    """How long a download may take."""

    # one that would take longer, at its pace, is of no use: the file expires before
    life: timedelta
    patience: timedelta  # one that can go on another time ends after this time


ITS_LIFE: Final = Within(vonage.FILE_PROMISED, vonage.FILE_PROMISED)
"""As long as the vendor promises a file."""


class Download(Protocol):
    """A file on its way from the API."""

    @property
    def length(self) -> int | None:
        """Bytes of the whole file, as the server says; None where it does not say."""

    @property
    def start(self) -> int:
        """Where in the file the bytes begin: 0, or at the offset of a `Resume` that was granted."""

    @property
    def validator(self) -> str | None:
        """What proves later on that the file is still the same; None where there is no proof."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes from `start`, in pieces of bounded size.

        Raises:
            TransportError: the stream broke, or ended before `length`, or is too slow (`Within`);
                or the server answered a `Resume` with something that is of no use.
        """


class ReportsApi(Protocol):
    """The Reports API under one API key: one method an endpoint, one request a call.

    No call retries or waits for a turn: that is the engine's part. Every call may raise any
    `ApiError`.
    """

    @property
    def api_key(self) -> str:
        """The key that signs."""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a simulator, whose clock may run faster than ours."""

    @property
    def server_ahead(self) -> timedelta:
        """The server's clock less ours, by the latest ``Date`` header; zero before the first."""

    def server_now(self) -> datetime | None:
        """The present moment by the server's clock; None before the first ``Date`` header.

        Life spans at the API are judged by it: those of reports, of files, of unknown creates.
        """

    async def create(
        self, series: Series, window: Window, callback_url: str | None
    ) -> RemoteReport:
        """``POST /v2/reports``. Paid. Never repeated by itself.

        Of the answer only the id matters: whatever else cannot be read is left out.
        """

    async def status(self, request_id: str) -> RemoteReport:
        """``GET /v2/reports/{request_id}``."""

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

    async def cancel(self, request_id: str) -> RemoteReport | None:
        """``DELETE /v2/reports/{request_id}``; `Rejected` with status 409 if already final.

        None: it was taken, and the answer does not tell how the report stands now.
        """

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
