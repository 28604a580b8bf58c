"""Faults of one HTTP call: refusals, broken connections, bad downloads; and of the whole server."""

import gzip
import json
import zlib
from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from email.utils import formatdate
from typing import Annotated, Final, Protocol

from aiohttp import web

from orchestrator.simulator import problems
from orchestrator.simulator.calls import WRONG_DATE, Call, FaultOfCall, problem_answer
from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.dates import parse_moment
from orchestrator.simulator.faults.model import Fault
from orchestrator.simulator.faults.options import (
    AnyNumber,
    Flag,
    HttpStatus,
    Number,
    Share,
    Text,
    one_of,
)
from orchestrator.simulator.problems import Refused
from orchestrator.simulator.report_json import other_host


class Refuse(FaultOfCall, do="refuse"):
    """Answers with this `status`, optionally with ``Retry-After``.

    `retry_after` is in seconds; with `as_date` it is sent as a date. `rate_limit` gives the answer
    the problem type of a throttled call. With `made` the call does its work first.
    """

    status: HttpStatus
    retry_after: Number | None = None
    as_date: Flag = False
    rate_limit: Flag = False
    made: Flag = False

    async def answer(self, call: Call) -> web.StreamResponse:
        if self.made:
            await call.proceed()
        status, seconds = self.status, self.retry_after
        headers = {}
        if seconds is not None:
            headers["Retry-After"] = (
                formatdate(call.clock.epoch() + seconds, usegmt=True)
                if self.as_date
                else f"{seconds:g}"
            )
        if status == 429 or self.rate_limit:
            return problem_answer(problems.too_fast(status, headers))
        if status >= 500:
            return problem_answer(problems.server_error(status, headers))
        named = {
            401: problems.unauthorized(),
            403: problems.forbidden(),
            404: problems.no_report(call.request.match_info.get("id", "")),
            409: problems.already_final(),
        }
        refused = named.get(status) or Refused(
            status, "about:blank", "Refused", "Refused by a fault."
        )
        refused.headers.update(headers)
        return problem_answer(refused)


_RANGE_WORDS: Final = ("parameters", "start", "detail", "title")


class RangeRefused(FaultOfCall, do="range", places=("create",)):
    """Refuses with 422 a window that is too long, or that begins too long ago.

    `longest` and `oldest` are in days. `words` says what the problem blames, and where: both
    ``parameters``, ``start`` alone, the ``detail`` or the ``title``.
    """

    longest: Number | None = None
    oldest: Number | None = None
    words: Annotated[str, one_of(*_RANGE_WORDS)] = "parameters"

    async def answer(self, call: Call) -> web.StreamResponse:
        body = json.loads(await call.request.read())
        start, end = parse_moment(body["date_start"]), parse_moment(body["date_end"])
        day = timedelta(days=1)
        longest, oldest = self.longest, self.oldest
        reason = ""
        if longest is not None and (end - start) / day > longest:
            reason = f"Date range too long: at most {longest:g} days"
        elif oldest is not None and (call.clock.now() - start) / day > oldest:
            reason = f"The start date is older than {oldest:g} days"
        if not reason:
            return await call.proceed()
        blamed = {"parameters": ["date_start", "date_end"], "start": ["date_start"]}
        refused = problems.unprocessable([(name, reason) for name in blamed.get(self.words, ())])
        if self.words not in blamed:
            refused.problem[self.words] = reason
        return problem_answer(refused)


class Reset(FaultOfCall, do="reset"):
    """Resets the connection; with `made`, after the call has done its work."""

    made: Flag = False

    async def answer(self, call: Call) -> web.StreamResponse:
        if self.made:
            await call.proceed()
        return call.reset()


class Cut(FaultOfCall, do="cut"):
    """Does the work, sends a `share` of the answer, and closes the connection."""

    share: Share = 0.5

    async def answer(self, call: Call) -> web.StreamResponse:
        call.cut = self.share
        return await call.cut_short(await call.proceed(), self.share)


class Hang(FaultOfCall, do="hang"):
    """Waits this many real `seconds`, then answers; with `made` it does the work before."""

    seconds: Number
    made: Flag = False

    async def answer(self, call: Call) -> web.StreamResponse:
        if not self.made:
            await call.pause(self.seconds)
            return await call.proceed()
        response = await call.proceed()
        if not response.prepared:
            await call.pause(self.seconds)
        return response


class Html(FaultOfCall, do="html"):
    """Answers with this `status` and an HTML page, as a proxy does.

    With `made` the call does its work first.
    """

    status: HttpStatus = 502
    made: Flag = False

    async def answer(self, call: Call) -> web.StreamResponse:
        if self.made:
            await call.proceed()
        page = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>Please try later.</p></body></html>"
        return web.Response(text=page, status=self.status, content_type="text/html")


class WrongDate(FaultOfCall, do="date"):
    """Sends a wrong ``Date`` header: wrong by `by` seconds, or this `text`."""

    by: AnyNumber | None = None
    text: Text | None = None

    async def answer(self, call: Call) -> web.StreamResponse:
        wrong = formatdate(call.clock.epoch() + (self.by or 0.0), usegmt=True)
        response = await call.proceed()
        if not response.prepared:
            response.headers[WRONG_DATE] = self.text or wrong
        return response


_ENCODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw": lambda body: zlib.compress(body, wbits=-zlib.MAX_WBITS),
    "members": lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:]),
    "padded": lambda body: gzip.compress(body) + bytes(512),
    "half": lambda body: gzip.compress(body)[:-20],
    "bomb": lambda body: gzip.compress(body + bytes(300 << 20)),
}


class Encoded(FaultOfCall, do="encoded"):
    """Encodes the body, though the client has not asked for that.

    `label` is the value of ``Content-Encoding``; `by` says how the bytes are really encoded: one
    or more of ``gzip``, ``deflate`` (with zlib's header), ``raw`` (without it), ``members``
    (gzip in two members), ``padded`` (gzip followed by zeros), ``half`` (gzip without its end)
    and ``bomb`` (gzip that unpacks to 300 MiB more), separated by commas. Either may be left out.
    """

    label: Text | None = None
    by: Text | None = None

    async def answer(self, call: Call) -> web.StreamResponse:
        response = await call.proceed()
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            for name in (self.by or "").split(","):
                if name:
                    response.body = _ENCODINGS[name](response.body)
            if self.label:
                response.headers["Content-Encoding"] = self.label
        return response


class NoBody(FaultOfCall, do="no_body", places=("download",)):
    """Answers with this `status` and no body."""

    status: HttpStatus = 200

    async def answer(self, call: Call) -> web.StreamResponse:  # noqa: ARG002 - the base's signature
        return web.Response(status=self.status)


class Slow(FaultOfCall, do="slow", places=("download",)):
    """Sends the file at `rate` bytes for each real second."""

    rate: Number

    async def answer(self, call: Call) -> web.StreamResponse:
        call.rate = self.rate
        return await call.proceed()


class Endless(FaultOfCall, do="endless", places=("download",)):
    """Sends a file that begins like an archive and never ends, as fast as the client reads."""

    async def answer(self, call: Call) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(call.request)
        piece = b"PK\x03\x04" + bytes(64 * 1024)
        while True:
            await response.write(piece)


class Trickle(FaultOfCall, do="trickle"):
    """Never ends the head of the answer.

    Each real second it sends, by its `form`, one header (``headers``) or one answer 103
    (``provisional``).
    """

    form: Annotated[str, one_of("headers", "provisional")] = "headers"

    async def answer(self, call: Call) -> web.StreamResponse:
        transport = call.request.transport
        if transport is None:
            return call.reset()
        provisional = self.form == "provisional"
        transport.write(b"" if provisional else b"HTTP/1.1 200 OK\r\n")
        number_of_header = 0
        while not transport.is_closing() and not call.closing.is_set():
            number_of_header += 1
            line = f"X-{number_of_header}: x\r\n"
            head = f"HTTP/1.1 103 Early Hints\r\n{line}\r\n" if provisional else line
            transport.write(head.encode())
            await call.pause(1.0)
        return call.reset()


class Redirect(FaultOfCall, do="redirect", places=("download",)):
    """Redirects the download, with this `status`.

    `to` is ``file`` (the file on a host of another name, which refuses credentials), ``itself``,
    ``chain`` (a new address each time, without end), ``nowhere`` (no address), or an address.
    """

    to: Text = "file"
    status: HttpStatus = 302

    async def answer(self, call: Call) -> web.StreamResponse:
        path = call.request.path
        hop = int(call.request.query.get("hop", "0"))
        elsewhere = other_host(str(call.request.url.origin()))
        targets = {
            "file": f"{elsewhere}/_sim/file/{call.request.match_info.get('id', '')}",
            "itself": path,
            "chain": f"{path}?hop={hop + 1}",
            "nowhere": "",
        }
        target = targets.get(self.to, self.to)
        headers = {"Location": target} if target else {}
        return web.Response(status=self.status, headers=headers)


# --- of the whole server --------------------------------------------------------------------------


class Server(Protocol):
    """What a fault of the whole server may do."""

    @property
    def clock(self) -> WorldClock:
        """The world's clock."""
        ...

    async def restart(self, seconds: float) -> None:
        """Ends every connection, and listens again after this many seconds of the loop."""
        ...


class FaultOfServer(Fault, places=("server",)):
    """Strikes the whole server once, at the fault's `after`."""

    @abstractmethod
    async def strike(self, server: Server) -> None:
        """Does it."""


class Restart(FaultOfServer, do="restart"):
    """Stops the server for this many real `seconds`; its reports stay."""

    seconds: Number = 0.0

    async def strike(self, server: Server) -> None:
        await server.restart(self.seconds)


class Clock(FaultOfServer, do="clock"):
    """Moves the server's clock `by` this many seconds, and with it ``Date`` and `receive_time`."""

    by: AnyNumber

    async def strike(self, server: Server) -> None:
        server.clock.advance(timedelta(seconds=self.by))
