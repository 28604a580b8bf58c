"""Links that die or lead elsewhere, and downloads in between."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from contextlib import suppress
from typing import Any

import anyio
from aiohttp import web

from orchestrator.simulator.report_json import other_host
from tests.opinion.deviations.helpers import (
    Answer,
    with_query,
)
from tests.opinion.front import (
    Go,
    ObservedSpan,
    edited,
    is_good,
    kind,
    links_in,
    refused,
    status_key,
    without_link,
)


@kind(
    "status",
    "list",
    "download",
    weight=4,
    life=[20, 120, 900, 7200],
    status=[403, 400, 410, 401],
    shares=[1.0],
)
async def link_signed(call: ObservedSpan, go: Go, life: int, status: int) -> Answer:
    """Links are signed, and die some time after they were given out."""
    if call.place != "download":
        until = int(call.now) + life
        return edited(
            await go(), lambda one: links_in(one, lambda link: with_query(link, "until", until))
        )
    if call.now < float(call.request.query.get("until", "0")):
        return await go()
    body = "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
    return web.Response(status=status, text=body, content_type="application/xml")


@kind("status", "list", "download", weight=3, status=[404, 403, 410], shares=[1.0])
async def link_renewed(call: ObservedSpan, go: Go, status: int) -> Answer:
    """Every answer by id gives the file a new address; older ones are dead."""
    tokens = call.front.tokens
    if call.place == "download":
        assert call.about is not None
        if call.request.query.get("token") == str(tokens[call.about.number]):
            return await go()
        return call.not_found() if status == 404 else refused(status)
    if call.place == "status" and call.about is not None:
        tokens[call.about.number] += 1

    def edit(one: dict[str, Any]) -> None:
        about = call.front.world.find(one["request_id"])
        number = tokens[about.number] if about else 0
        links_in(one, lambda link: with_query(link, "token", number))

    return edited(await go(), edit)


@kind(
    "status",
    "list",
    "download",
    weight=3,
    host=["localhost", "localhost", "closed", "a..b", "http:"],
    shares=[1.0],
)
async def link_elsewhere(call: ObservedSpan, go: Go, host: str) -> Answer:
    """Links name another host (a gateway's inside), where the file is not to be had."""
    if call.place == "download":
        if call.request.host.startswith("localhost"):
            return refused(401, "Unauthorized")
        return await go()
    base = call.front.base_url
    named = {
        "localhost": other_host(base),
        "closed": "http://127.0.0.1:1",
        "a..b": "https://a..b",
        "http:": "http://[::1",
    }[host]
    return edited(await go(), lambda one: links_in(one, lambda link: link.replace(base, named, 1)))


@kind("status", "list", weight=1)
async def link_relative(call: ObservedSpan, go: Go) -> Answer:
    """Links are relative."""
    base = call.front.base_url
    return edited(await go(), lambda one: links_in(one, lambda link: link.removeprefix(base)))


@kind("status", "list", weight=2)
async def empty_without_link(call: ObservedSpan, go: Go) -> Answer:
    """SUCCESS with no records has no link."""

    def edit(one: dict[str, Any]) -> None:
        if one.get("items_count") == 0 and one.get(status_key(one)) == "SUCCESS":
            without_link(one)

    return edited(await go(), edit)


@kind("download", weight=3, times=[1, 3, 9, 20], status=[200, 200, 502],
      unkind="a page instead of a file waits for a person")  # fmt: skip
async def html(call: ObservedSpan, go: Go, times: int, status: int) -> Answer:
    """The file's address answers some times with a page for people."""
    if call.count() > times:
        return await go()
    page = "<!DOCTYPE html><html><body>Scheduled maintenance</body></html>"
    return web.Response(status=status, text=page, content_type="text/html")


@kind("download", weight=4, label=["gzip", "x-gzip", "deflate"], real=[True, False])
async def encoded(call: ObservedSpan, go: Go, label: str, real: bool) -> Answer:
    """The file comes with a Content-Encoding, real or a mere label."""
    answer = await go()
    if not is_good(answer):
        return answer
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    packed = zlib.compress(answer.body) if label == "deflate" else gzip.compress(answer.body)
    headers = {"Content-Encoding": label, "Content-Type": "application/zip"}
    return web.Response(body=packed if real else answer.body, headers=headers)


@kind("download", weight=3, seconds=[5, 60, 600], fewer=[1, 2, 100],
      unkind="a file that lacks records for long waits for a person")  # fmt: skip
async def file_short(call: ObservedSpan, go: Go, seconds: int, fewer: int) -> Answer:
    """For some time after SUCCESS the file is a whole archive with fewer records."""
    answer = await go()
    if not is_good(answer) or call.about is None or call.ended >= seconds:
        return answer
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            (name,) = archive.namelist()
            content = archive.read(name).decode()
    except (zipfile.BadZipFile, ValueError):
        return answer
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    text, packed = io.StringIO(newline=""), io.BytesIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([header, *rows[: max(0, len(rows) - fewer)]])
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text.getvalue())
    return web.Response(body=packed.getvalue(), content_type="application/octet-stream")


@kind("download", weight=2, times=[1, 3], share=[0.0, 0.5, 0.9])
async def cut(call: ObservedSpan, go: Go, times: int, share: float) -> Answer:
    """A download breaks off some times."""
    answer = await go()
    if not is_good(answer) or call.count() > times:
        return answer
    assert isinstance(answer, web.Response)
    assert isinstance(answer.body, bytes)
    short = web.StreamResponse(headers=answer.headers)
    short.content_length = len(answer.body)
    with suppress(ConnectionError):
        await short.prepare(call.request)
        await short.write(answer.body[: int(len(answer.body) * share)])
    if call.request.transport is not None:
        call.request.transport.close()
    return short


@kind("download", weight=2, pause=[1, 20], pieces=[10, 40])
async def slow(call: ObservedSpan, go: Go, pause: int, pieces: int) -> Answer:
    """A download trickles."""
    answer = await go()
    if not is_good(answer):
        return answer
    assert isinstance(answer, web.Response)
    body = answer.body
    assert isinstance(body, bytes)
    stream = web.StreamResponse(headers=answer.headers)
    stream.content_length = len(body)
    with suppress(ConnectionError):
        await stream.prepare(call.request)
        size = max(1, -(-len(body) // pieces))
        for first in range(0, len(body), size):
            await anyio.sleep(pause)
            await stream.write(body[first : first + size])
    return stream


@kind("download", weight=1, times=[1, 2])
async def redirected(call: ObservedSpan, go: Go, times: int) -> Answer:
    """The file's address leads to another one of the same server."""
    hop = int(call.request.query.get("hop", "0"))
    if hop >= times:
        return await go()
    link = call.request.rel_url.update_query(hop=str(hop + 1))
    return web.Response(status=302, headers={"Location": str(link)})


@kind(
    "download",
    weight=1,
    unkind="a file that is not what was asked for waits for a person",
    shares=[0.2, 0.4],
)
async def never_a_file(call: ObservedSpan, go: Go) -> Answer:
    """Some files are HTML pages for good."""
    return web.Response(text="<!DOCTYPE html><html>moved</html>", content_type="text/html")


@kind(
    "download",
    weight=1,
    status=[404, 403, 410],
    unkind="a file that is never there is bought again",
    shares=[0.2, 0.4],
)
async def never_there(call: ObservedSpan, go: Go, status: int) -> Answer:
    """Some files are never there."""
    return call.not_found() if status == 404 else refused(status)
