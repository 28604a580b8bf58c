"""Faults that stand around one call: refusals, broken connections, strange machines in between."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import timedelta
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from aiohttp import web

from orchestrator.simulator import problems
from orchestrator.simulator.calls import WRONG_DATE, problem_answer
from orchestrator.simulator.dates import parse_moment
from orchestrator.simulator.faults.registry import (
    MADE,
    Option,
    flag,
    http_status,
    in_calls,
    number,
    one_of,
    share,
    signed,
    text,
)
from orchestrator.simulator.problems import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.simulator.calls import Call
    from orchestrator.simulator.faults.registry import Options


@in_calls(
    status=Option(http_status, required=True),
    retry_after=Option(number),
    as_date=Option(flag, default=False),
    rate_limit=Option(flag, default=False),
    made=MADE,
)
async def _refuse(call: Call, options: Options) -> web.StreamResponse:
    """Another status; with ``Retry-After`` in seconds or as a date, with the type of a throttle."""
    if options["made"]:
        await call.proceed()
    status, seconds = options["status"], options["retry_after"]
    headers = {}
    if seconds is not None:
        headers["Retry-After"] = (
            formatdate(call.clock.epoch() + seconds, usegmt=True)
            if options["as_date"]
            else f"{seconds:g}"
        )
    if status == 429 or options["rate_limit"]:
        return problem_answer(problems.too_fast(status, headers))
    if status >= 500:
        return problem_answer(problems.server_error(status, headers))
    named = {
        401: problems.unauthorized(),
        403: problems.forbidden(),
        404: problems.no_report(call.request.match_info.get("id", "")),
        409: problems.already_final(),
    }
    refused = named.get(status) or Refused(status, "about:blank", "Refused", "Refused by a fault.")
    refused.headers.update(headers)
    return problem_answer(refused)


_RANGE_WORDS: Final = ("parameters", "start", "detail", "title")


@in_calls(
    "create",
    longest=Option(number),
    oldest=Option(number),
    words=Option(one_of(*_RANGE_WORDS), default="parameters"),
)
async def _range(call: Call, options: Options) -> web.StreamResponse:
    """422 for a window of more than `longest` days, or that begins more than `oldest` days ago.

    `words`: what is blamed, and where: both ``parameters``, ``start`` alone, the ``detail`` or the
    ``title`` of the problem.
    """
    body = json.loads(await call.request.read())
    start, end = parse_moment(body["date_start"]), parse_moment(body["date_end"])
    day = timedelta(days=1)
    longest, oldest = options["longest"], options["oldest"]
    reason = ""
    if longest is not None and (end - start) / day > longest:
        reason = f"Date range too long: at most {longest:g} days"
    elif oldest is not None and (call.clock.now() - start) / day > oldest:
        reason = f"The start date is older than {oldest:g} days"
    if not reason:
        return await call.proceed()
    blamed = {"parameters": ["date_start", "date_end"], "start": ["date_start"]}
    refused = problems.unprocessable([(name, reason) for name in blamed.get(options["words"], ())])
    if options["words"] not in blamed:
        refused.problem[options["words"]] = reason
    return problem_answer(refused)


@in_calls(made=MADE)
async def _reset(call: Call, options: Options) -> web.StreamResponse:
    """The connection is reset."""
    if options["made"]:
        await call.proceed()
    return call.reset()


@in_calls(share=Option(share, default=0.5))
async def _cut(call: Call, options: Options) -> web.StreamResponse:
    """The work is done, and the answer breaks off."""
    call.cut = options["share"]
    return await call.cut_short(await call.proceed(), options["share"])


@in_calls(seconds=Option(number, required=True), made=MADE)
async def _hang(call: Call, options: Options) -> web.StreamResponse:
    """Nothing happens for some time of the loop; then the answer comes after all."""
    if not options["made"]:
        await call.pause(options["seconds"])
        return await call.proceed()
    response = await call.proceed()
    if not response.prepared:
        await call.pause(options["seconds"])
    return response


@in_calls(status=Option(http_status, default=502), made=MADE)
async def _html(call: Call, options: Options) -> web.StreamResponse:
    """A page of some machine in between."""
    if options["made"]:
        await call.proceed()
    page = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>Please try later.</p></body></html>"
    return web.Response(text=page, status=options["status"], content_type="text/html")


@in_calls(by=Option(signed), text=Option(text))
async def _date(call: Call, options: Options) -> web.StreamResponse:
    """The ``Date`` header of this answer is wrong by so many seconds, or is no date at all."""
    wrong = formatdate(call.clock.epoch() + (options["by"] or 0.0), usegmt=True)
    response = await call.proceed()
    if not response.prepared:
        response.headers[WRONG_DATE] = options["text"] or wrong
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


@in_calls(label=Option(text), by=Option(text))
async def _encoded(call: Call, options: Options) -> web.StreamResponse:
    """The answer's body is encoded, though that was not asked for.

    `label` is what ``Content-Encoding`` says; `by` how the bytes are really encoded: one or
    more of ``gzip``, ``deflate`` (with the header of zlib), ``raw`` (without), ``members`` (gzip
    in two of them), ``padded`` (gzip with zeros behind), ``half`` (gzip that is cut off) and
    ``bomb`` (gzip with much more in it), one after the other. Either may be left out.
    """
    response = await call.proceed()
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        for name in (options["by"] or "").split(","):
            if name:
                response.body = _ENCODINGS[name](response.body)
        if options["label"]:
            response.headers["Content-Encoding"] = options["label"]
    return response


@in_calls("download", status=Option(http_status, default=200))
async def _no_body(_call: Call, options: Options) -> web.StreamResponse:
    """A success without a byte."""
    return web.Response(status=options["status"])


@in_calls("download", rate=Option(number, required=True))
async def _slow(call: Call, options: Options) -> web.StreamResponse:
    """The file comes at so many bytes a second of the loop."""
    call.rate = options["rate"]
    return await call.drip(await call.proceed(), options["rate"])


@in_calls("download")
async def _endless(call: Call, _options: Options) -> web.StreamResponse:
    """The file begins as an archive does, and goes on for ever, as fast as it is taken."""
    response = web.StreamResponse()
    await response.prepare(call.request)
    piece = b"PK\x03\x04" + bytes(64 * 1024)
    while True:
        await response.write(piece)


@in_calls(form=Option(one_of("headers", "provisional"), default="headers"))
async def _trickle(call: Call, options: Options) -> web.StreamResponse:
    """The head of the answer never ends: a header every second, or provisional answers (103)."""
    transport = call.request.transport
    if transport is None:
        return call.reset()
    provisional = options["form"] == "provisional"
    transport.write(b"" if provisional else b"HTTP/1.1 200 OK\r\n")
    number_of_header = 0
    while not transport.is_closing() and not call.closing.is_set():
        number_of_header += 1
        line = f"X-{number_of_header}: x\r\n"
        head = f"HTTP/1.1 103 Early Hints\r\n{line}\r\n" if provisional else line
        transport.write(head.encode())
        await call.pause(1.0)
    return call.reset()


@in_calls("download", to=Option(text, default="file"), status=Option(http_status, default=302))
async def _redirect(call: Call, options: Options) -> web.StreamResponse:
    """The call leads elsewhere.

    `to` is ``file`` (the file on a host of another name, which wants no credentials), ``itself``,
    ``chain`` (a new address each time, without end), ``nowhere`` (no address), or an address.
    """
    path = call.request.path
    hop = int(call.request.query.get("hop", "0"))
    targets = {
        "file": call.elsewhere(f"/_sim/file/{call.request.match_info.get('id', '')}"),
        "itself": path,
        "chain": f"{path}?hop={hop + 1}",
        "nowhere": "",
    }
    target = targets.get(options["to"], options["to"])
    headers = {"Location": target} if target else {}
    return web.Response(status=options["status"], headers=headers)
