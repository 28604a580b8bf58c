"""Calls the Reports API: one method for each endpoint, one request for each call.

It repeats nothing and waits for nothing; only a download may follow redirects, or try its file's
other address. Every failure is an `ApiError`.
"""

import base64
import contextlib
from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import quote, unquote

import anyio
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from anyio import to_thread
from yarl import URL

from orchestrator.api import bounded_json, problems, wire
from orchestrator.api import urls as api_urls
from orchestrator.api.downloads import FileUrls
from orchestrator.api.responses import Stream, read_bounded
from orchestrator.api.transport import BELOW_HTTP, CONNECT_MAX, send_once, through, transport_error
from orchestrator.core import vonage
from orchestrator.core.events import RequestMade
from orchestrator.core.intervals import Window
from orchestrator.core.model import RemoteReport, ReportList, Series
from orchestrator.core.ports import ITS_LIFE, Clock, Resume, Within
from orchestrator.core.proxies import Proxies
from orchestrator.core.settings import Credentials
from orchestrator.core.vonage import Status
from orchestrator.errors import ApiError, ServerFault, Throttled, TooLarge
from orchestrator.texts import hider, short, utc_text

MAX_LIST_BYTES: Final = 32 * 1024**2
"""Maximum number of bytes of a list answer that are read: about 30,000 reports."""

THREADED_LIST_BYTES: Final = 256 * 1024
"""A list answer of at least so many bytes (about 400 reports) is parsed in a thread.

Parsing it takes 5 ms or more, in which the event loop would do nothing else.
"""

MAX_ANSWER_BYTES: Final = 1024**2
"""Maximum number of bytes that are read of any other answer, except files."""

_MAX_CLOCK_DIFFERENCE: Final = timedelta(days=100 * 365)
"""A ``Date`` that differs by more from our clock is ignored: sums with it would be no dates."""

DIRECT: Final = Proxies()  # No proxy

_PLAIN: Final = {"Accept-Encoding": "identity"}


class VonageReports:
    """The Reports API v2 under one API key. Implements `core.ports.ReportsApi`.

    It does not retry, and does not limit its rate: see `KeyRateLimiter`. Only downloads follow
    redirects. Key and secret travel in a header, and only to the scheme, host and port of
    `base_url`; see `FileUrls` for the one exception.
    """

    def __init__(
        self,
        session: ClientSession,
        base_url: str,
        credentials: Credentials,
        timeout: timedelta,
        clock: Clock,
        *,
        proxies: Proxies = DIRECT,
        tell: Callable[[RequestMade], object] = lambda _request: None,
    ) -> None:
        """A client on a session of `open_session`, which is not closed by it.

        Args:
            base_url: ``https://…``; plain ``http://`` only to this machine.
            timeout: of a whole call; of a download, the longest gap between two pieces.
            tell: called with every request that has ended.

        Raises:
            InputError: the address is none, holds credentials, or would send them in the clear.
        """
        self._session = session
        self._base = api_urls.parse_base(base_url)
        self._reports = self._base.with_path(
            self._base.raw_path.rstrip("/") + vonage.REPORTS_PATH, encoded=True
        )
        self.api_key = credentials.api_key
        self.is_local = api_urls.is_local(self._base)
        self._clock = clock
        self._tell = tell
        self._proxy = api_urls.proxy_towards(proxies, self._base)
        self._server_ahead: timedelta | None = None
        secret = credentials.api_secret.reveal()
        token = base64.b64encode(f"{credentials.api_key}:{secret}".encode()).decode()
        self._signed = {**_PLAIN, "Authorization": f"Basic {token}"}
        self._never_shown = tuple(text.lower() for text in (secret, token) if text)
        self._hide = hider((secret, token))
        # Less than the whole timeout, so that no connection is told apart from a lost answer.
        connect = min(timeout / 2, CONNECT_MAX).total_seconds()
        whole = timeout.total_seconds()
        self._call_timeout = ClientTimeout(total=whole, connect=connect)
        self._files = FileUrls(
            session,
            self._base,
            self._signed,
            ClientTimeout(total=None, connect=connect, sock_read=whole),
            refusal=self._refusal,
            note_date=self._note_date,
            now=clock.now,
            proxies=proxies,
            hide=self._hide,
        )

    @property
    def server_ahead(self) -> timedelta:
        """The server's clock less ours, by the latest ``Date``; up to a second too small."""
        return self._server_ahead or timedelta()

    def server_now(self) -> datetime | None:
        return None if self._server_ahead is None else self._clock.now() + self._server_ahead

    async def create(
        self, series: Series, window: Window, callback_url: str | None
    ) -> RemoteReport:
        """``POST /v2/reports``. Paid; sent once, whatever happens."""
        call = f"POST /v2/reports for {series}, {window}"
        body = wire.create_body(series, window, callback_url)
        answer = await self._ask("POST", self._endpoint(), call, json=body)
        return self._created_in(answer, call)

    async def status(self, request_id: str) -> RemoteReport:
        call = f"GET /v2/reports/{request_id}"
        answer = await self._ask("GET", self._endpoint(request_id), call)
        return self._report_in(answer, call, request_id)

    async def list(
        self,
        account_id: str,
        statuses: Sequence[Status],
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        only: Container[str] | None = None,
    ) -> ReportList:
        """``GET /v2/reports``; without dates the API answers for the last seven days.

        A large answer is read in a thread, and `only` is asked there.
        """
        call = f"GET /v2/reports of account {account_id}"
        query = {
            "account_id": account_id,
            "status": ",".join(status.value for status in statuses),
        }
        if created_from is not None:
            query["date_from"] = utc_text(created_from)
        if created_to is not None:
            whole_second = created_to + timedelta(microseconds=-created_to.microsecond % 1_000_000)
            query["date_to"] = utc_text(whole_second)
        answer = await self._ask("GET", self._endpoint(), call, params=query, limit=MAX_LIST_BYTES)
        try:
            if len(answer) < THREADED_LIST_BYTES:
                return self._reports_in(answer, only)
            return await to_thread.run_sync(self._reports_in, answer, only)
        except bounded_json.TooManyValues as error:
            raise TooLarge(f"{call}: answered {error}; no such list is that long") from error
        except bounded_json.WireError as error:
            raise ServerFault(
                f"{call}: answered something that is not a list of reports: {error}", call=call
            ) from error

    async def cancel(self, request_id: str) -> RemoteReport | None:
        """``DELETE /v2/reports/{request_id}``; None: a success that holds no report object."""
        call = f"DELETE /v2/reports/{request_id}"
        answer = await self._ask("DELETE", self._endpoint(request_id), call)
        try:
            return self._report_in(answer, call, request_id)
        except ServerFault:  # done, or begun, all the same: 202 and 204 have no body
            return None

    @asynccontextmanager
    async def download(
        self, download_url: str, resume: Resume | None = None, within: Within = ITS_LIFE
    ) -> AsyncIterator[Stream]:
        """``GET /v3/media/{file_id}``, or wherever the API's link points (see `FileUrls`)."""
        with self._told("GET /v3/media/{file_id}"):
            async with AsyncExitStack() as stack:
                try:
                    stream = await self._files.open(stack, download_url, within, resume)
                except ApiError as error:
                    # That a file fails says nothing about the API; the next status call does.
                    error.is_about_file |= not isinstance(error, Throttled)
                    error.hide(self._hide)
                    raise
                yield stream

    # --- requests ---------------------------------------------------------------------------------

    def _endpoint(self, request_id: str | None = None) -> URL:
        if request_id is None:
            return self._reports
        path = f"{self._reports.raw_path}/{quote(request_id, safe='')}"
        return self._reports.with_path(path, encoded=True)

    async def _ask(
        self,
        method: str,
        url: URL,
        call: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        limit: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """The body of a 2xx answer; everything else is raised."""
        route = "" if url is self._reports else "/{request_id}"
        try:
            with self._told(f"{method} {vonage.REPORTS_PATH}{route}"):
                async with self._session.request(
                    method,
                    url,
                    params=params,
                    json=json,
                    headers=self._signed,
                    timeout=self._call_timeout,
                    allow_redirects=False,
                    auto_decompress=False,
                    middlewares=(send_once,),
                    **through(self._proxy),
                ) as response:
                    self._note_date(response)
                    if response.status >= 400:
                        raise await self._refusal(response, call)
                    if response.status >= 300:
                        error = _misdirected(response, call)
                        error.hide(self._hide)
                        raise error
                    return await read_bounded(response, call, limit)
        except BELOW_HTTP as error:
            failure = transport_error(error, call, proxy=self._proxy)
            raise failure from failure.__cause__

    @contextmanager
    def _told(self, call: str) -> Iterator[None]:
        """Tells of a request once it has ended."""
        begun, kind, status = anyio.current_time(), "", None
        try:
            yield
        except BaseException as error:
            kind, status = type(error).__name__, getattr(error, "status", None)
            raise
        finally:
            self._tell(RequestMade(call, anyio.current_time() - begun, kind, status))

    def _note_date(self, response: ClientResponse) -> None:
        date = problems.read_date(response.headers.get("Date"))
        if date is None:
            return
        ahead = date - self._clock.now()
        if abs(ahead) <= _MAX_CLOCK_DIFFERENCE:
            self._server_ahead = ahead

    # --- refusals ---------------------------------------------------------------------------------

    async def _refusal(self, response: ClientResponse, call: str) -> ApiError:
        body = b""
        # The status says enough; and the body may never end where the address is a file's.
        with contextlib.suppress(ServerFault, TooLarge, *BELOW_HTTP):
            with anyio.move_on_after(self._call_timeout.total or 0):
                body = await read_bounded(response, call, MAX_ANSWER_BYTES)
        return problems.refusal(
            response.status,
            response.headers,
            problems.read_problem(response.status, body, self._hide),
            call=call,
            api_key=self.api_key,
            now=self._clock.now(),
        )

    def _created_in(self, answer: bytes, call: str) -> RemoteReport:
        """The report in the answer to a create: its id was paid for, whatever else is odd."""
        try:
            report = wire.read_created(wire.parse_created(answer))
        except bounded_json.WireError as error:
            raise _not_a_report(call, error) from error
        if self._repeats_a_secret(report):
            report = RemoteReport(report.request_id, report.status, "", {})
            self._refuse_secret(report, call)
        return report

    def _report_in(self, answer: bytes, call: str, request_id: str) -> RemoteReport:
        try:
            report = wire.read_report(bounded_json.parse_object(answer))
        except bounded_json.WireError as error:
            raise _not_a_report(call, error) from error
        self._refuse_secret(report, call)
        if report.request_id != request_id:
            raise ServerFault(f"{call}: answered with another report than that", call=call)
        return report

    def _refuse_secret(self, report: RemoteReport, call: str) -> None:
        if self._repeats_a_secret(report):
            raise ServerFault(f"{call}: answered with our own secret in it", call=call)

    def _reports_in(self, answer: bytes, only: Container[str] | None) -> ReportList:
        """The reports of a list answer. Pure, so any thread may do it."""
        drop = None if only is None else partial(wire.is_of_another, only)
        listed = wire.read_list(bounded_json.parse_object(answer, drop), only)
        kept = [report for report in listed if not self._repeats_a_secret(report)]
        return ReportList(kept, listed.said, listed.unread + len(listed) - len(kept))

    def _repeats_a_secret(self, report: RemoteReport) -> bool:
        """Whether the report object would carry the secret into the ledger and the log."""
        texts = (report.request_id, report.status_word, *map(str, report.echo.values()))
        urls = (unquote(url) for url in (report.download_url, report.callback_url) if url)
        # Joined, since a list has thousands: a secret has no line break, so joining makes no match.
        # A host is shown in lower case, however it was written.
        said = "\n".join((*texts, *urls)).lower()
        return any(secret in said for secret in self._never_shown)


def _not_a_report(call: str, error: bounded_json.WireError) -> ServerFault:
    message = f"{call}: answered something that is not a report: {error}"
    return ServerFault(message, call=call)


def _misdirected(response: ClientResponse, call: str) -> ServerFault:
    try:
        host = short(URL(response.headers.get("Location", "")).host or "itself")
    except ValueError:
        host = "nowhere"
    return ServerFault(
        f"{call}: redirects to {host} (HTTP {response.status}), which no such call should; check"
        " api.base_url",
        call=call,
    )
