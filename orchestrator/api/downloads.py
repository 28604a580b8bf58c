"""Opens the download of a finished file: at the API, or at the host that its link names."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote

import anyio
from aiohttp import ClientResponse, ClientSession, ClientTimeout, InvalidURL
from yarl import URL

from orchestrator.api import problems, ranges, urls
from orchestrator.api.responses import Stream, resumed
from orchestrator.api.transport import BELOW_HTTP, send_once, through, transport_error
from orchestrator.core.ports import Resume, Within
from orchestrator.core.proxies import Proxies
from orchestrator.errors import (
    ApiError,
    FileRefused,
    NotFound,
    ServerFault,
    Throttled,
    TransportError,
)
from orchestrator.texts import short

MAX_REDIRECTS: Final = 3  # Maximum number of redirects that a download follows

_MAX_KEY_PAUSE: Final = timedelta(minutes=1)
"""Longest `Retry-After` of a download that slows its key down; a longer one is for the file."""

_PLAIN: Final = {"Accept-Encoding": "identity"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WHOLE: Final = frozenset({200, 203, 204})
"""HTTP status of answers that hold the whole file; 204: it is empty."""


@dataclass(slots=True)
class FileUrls:
    """Opens the downloads of one API key.

    A link to another host with the path of the media endpoint is tried at `base_url` first: that
    works behind a gateway, and shows the key to nobody else. Key and secret go to the scheme, host
    and port of `base_url`, and where that is the vendor's, to the vendor's other https hosts; to
    no host behind a redirect that leads elsewhere.
    """

    session: ClientSession
    base: URL
    signed: Mapping[str, str]  # the headers that carry key and secret
    timeout: ClientTimeout  # of a request; an answer's head must be here within its `sock_read`
    refusal: Callable[[ClientResponse, str], Awaitable[ApiError]]
    note_date: Callable[[ClientResponse], None]  # told of the answers of the API itself
    now: Callable[[], datetime]
    proxies: Proxies
    hide: Callable[[str], str]
    _link_first: bool = False

    async def open(
        self, stack: AsyncExitStack, link: str, within: Within, resume: Resume | None
    ) -> Stream:
        """The stream of a file, which lasts as long as the stack.

        Raises:
            ApiError: as `core.ports.ReportsApi.download` says.
        """
        own = urls.at_base(self.base, link)
        if own is None or urls.is_same(self.base, own, link):
            return await self._follow(stack, link, within, resume)
        ways = (link, own) if self._link_first else (own, link)
        try:
            stream = await self._follow(stack, ways[0], within, resume)
        except (TransportError, Throttled) as error:
            if not error.is_about_file:
                raise
            first: ApiError | None = error
        except ApiError as error:
            first = error
        else:
            if stream.is_plausible:
                return stream
            first = None
        await stack.aclose()
        try:
            stream = await self._follow(stack, ways[1], within, resume)
        except ApiError as second:
            raise _more_telling(first, second) from None
        if stream.is_plausible:
            self._link_first = ways[1] is link
        return stream

    async def _follow(
        self, stack: AsyncExitStack, link: str, within: Within, resume: Resume | None
    ) -> Stream:
        url, trusted = self.base, True
        target = link
        for _ in range(MAX_REDIRECTS + 1):
            url = urls.follow(self.base, url, target)
            trusted = trusted and urls.may_sign(self.base, url)
            is_api = url.origin() == self.base.origin()
            call = self._call(url) if is_api else f"GET the file from {self._shown(url.host or '')}"
            response = await self._ask(stack, url, call, resume, signed=trusted, is_api=is_api)
            if response.status in _WHOLE:
                stream = Stream(response, call, within)
                await stream.begin()
                return stream
            if response.status in {206, 416} and resume is not None:
                return resumed(response, call, within, resume)
            if response.status not in _REDIRECTS:
                raise await self._file_refusal(response, call, is_api=is_api)
            target = response.headers.get("Location", "")
            if not target:
                raise ServerFault(
                    f"{call}: redirects, but does not say where", call=call, is_about_file=True
                )
            await stack.aclose()
        raise ServerFault(
            f"GET {urls.path_of(link)}: redirects more than {MAX_REDIRECTS} times",
            call="download",
            is_about_file=True,
        )

    def _shown(self, text: str) -> str:
        return short(self.hide(text))

    def _call(self, url: URL) -> str:
        # A secret that a redirect's path repeats may be written with per cent signs.
        plain = unquote(url.raw_path)
        is_free = self.hide(plain) == plain
        return f"GET {self._shown(url.raw_path)}" if is_free else "GET the file"

    async def _ask(
        self,
        stack: AsyncExitStack,
        url: URL,
        call: str,
        resume: Resume | None,
        *,
        signed: bool,
        is_api: bool,
    ) -> ClientResponse:
        proxy = urls.proxy_towards(self.proxies, url)
        try:
            # aiohttp's own timeout does not end slow headers, or endless provisional answers.
            with anyio.fail_after(self.timeout.sock_read):
                response = await stack.enter_async_context(
                    self.session.get(
                        url,
                        headers={**(self.signed if signed else _PLAIN), **ranges.asking(resume)},
                        timeout=self.timeout,
                        allow_redirects=False,
                        auto_decompress=False,
                        middlewares=(send_once,),
                        **through(proxy),
                    )
                )
        except (InvalidURL, ValueError, OverflowError):
            raise urls.link_refused(call, "is no address") from None
        except BELOW_HTTP as error:
            failure = transport_error(error, call, proxy=proxy, is_about_file=not is_api)
            raise failure from failure.__cause__
        if is_api:
            self.note_date(response)
        return response

    async def _file_refusal(self, response: ClientResponse, call: str, *, is_api: bool) -> ApiError:
        status = response.status
        if status in {404, 410}:
            message = f"{call}: the file is not there, or no longer"
            return NotFound(message, call=call, is_about_file=not is_api)
        if status < 400:
            return ServerFault(
                f"{call}: answered HTTP {status} instead of the file", call=call, is_about_file=True
            )
        # What another host answers says nothing about the key or its rate.
        if is_api:
            said = await self.refusal(response, call)
            if isinstance(said, ServerFault) or (
                isinstance(said, Throttled)
                and (said.retry_after is None or said.retry_after <= _MAX_KEY_PAUSE)
            ):
                return said
        if status < 500 and status != 429:
            return FileRefused(
                f"{call}: the file's address answers HTTP {status}; the link may have died",
                status=status,
                call=call,
                is_about_file=not is_api,
            )
        wait = problems.read_retry_after(response.headers, self.now())
        asks = f" and asks to wait {wait}" if wait else ""
        return ServerFault(
            f"{call}: the file's address answers HTTP {status}{asks}",
            call=call,
            retry_after=wait,
            is_about_file=True,
        )


def _more_telling(first: ApiError | None, second: ApiError) -> ApiError:
    """Of the failures of both ways to a file, the one by which its fate is decided.

    A failure that may pass wins over one that will not; otherwise the API's own wins.
    """
    may_pass = isinstance(second, ServerFault | Throttled) or (
        isinstance(second, TransportError) and second.maybe_sent
    )
    return second if first is None or may_pass else first
