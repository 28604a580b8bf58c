"""One HTTP call, as endpoints and faults see it, and helpers to answer it."""

import json
import socket
import struct
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import anyio
from aiohttp import web

from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.faults.model import CALLS, Fault, FaultOfReport
from orchestrator.simulator.problems import Refused
from orchestrator.simulator.reports import Phase, Report
from orchestrator.simulator.settings import ApiKey

WRONG_DATE: Final = "X-Wrong-Date"
"""The header in which a fault puts its ``Date``, since aiohttp overwrites ``Date``; never sent."""

_JSON: Final = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class ListView:
    """What a fault makes a list show of the reports."""

    late: float = 0.0  # world seconds from its create until the list shows a report
    stale: float = 0.0  # the list shows each report as it was this many world seconds ago
    missing: float = 0.0  # the share of all reports that the list never shows; always the same ones

    def shows(self, report: Report, now: float) -> bool:
        """Whether the list shows a report."""
        if now - report.created < self.late:
            return False
        if not self.missing:
            return True
        drawn = blake2b(report.request_id.encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") >= self.missing * 2**64

    def phase(self, report: Report, now: float) -> Phase:
        """The phase in which the list shows a report."""
        at = now - self.stale
        if report.ended is not None and report.ended <= at:
            return Phase.ENDED
        if report.started is not None and report.started <= at:
            return Phase.PROCESSING
        return Phase.PENDING


Work = Callable[["Call"], Awaitable[web.StreamResponse]]  # Answers a call that is let in


@dataclass(slots=True)
class Call:
    """A call that has passed authentication and the rate limit."""

    place: str  # which endpoint: `create`, `status`, `list`, `cancel`, `download`, `records`
    request: web.Request
    key: ApiKey
    clock: WorldClock
    work: Work  # what the endpoint really does; run it at most once, through `proceed`
    closing: anyio.Event  # set when the server ends, so that no call keeps waiting
    # creates a report, if it is not refused, from a body that somebody else with the same key sends
    as_stranger: Callable[[ApiKey, dict[str, Any]], object]
    # the ids of the reports that a key has asked for, oldest first
    ids_created_by: Callable[[ApiKey], Sequence[str]]
    file_faults: tuple[FaultOfReport, ...] = ()  # what is wrong with the file of this one download
    list_view: ListView = ListView()  # what a fault hides from this one list
    # the share of the answer's body that is sent before the connection ends
    cut: float | None = None
    # the bytes of a file sent in each second of the loop; None is no limit
    rate: float | None = None

    async def proceed(self) -> web.StreamResponse:
        """Does what the endpoint does; a refusal becomes its answer."""
        return await self.work(self)

    async def pause(self, seconds: float) -> None:
        """Waits in the loop's time, or until the server ends."""
        with anyio.move_on_after(seconds):
            await self.closing.wait()

    def reset(self) -> web.Response:
        """Drops the connection with a TCP reset; the client never gets what this returns."""
        transport = self.request.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            if connection is not None:
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            transport.abort()
        return web.Response(status=500)

    async def cut_short(self, response: web.StreamResponse, share: float) -> web.StreamResponse:
        """Sends the head and a part of an answer, then closes the connection."""
        if not isinstance(response, web.Response) or response.prepared:
            return response
        body = response.body if isinstance(response.body, bytes) else b""
        short = web.StreamResponse(status=response.status, headers=response.headers)
        short.content_length = len(body)
        await short.prepare(self.request)
        await short.write(body[: int(len(body) * share)])
        return self.close_after(short)

    def close_after(self, response: web.StreamResponse) -> web.StreamResponse:
        """Closes the connection once what was written is sent; the answer stays unfinished."""
        if self.request.transport is not None:
            self.request.transport.close()
        return response


class FaultOfCall(Fault, places=CALLS):
    """Strikes one HTTP call; by default at any endpoint."""

    @abstractmethod
    async def answer(self, call: Call) -> web.StreamResponse:
        """Answers the call; `Call.proceed` does what the endpoint really does."""


class EditOfAnswer(FaultOfCall):
    """Lets the endpoint do its work, and changes the JSON of its answer."""

    async def answer(self, call: Call) -> web.StreamResponse:
        """Answers the call; an answer with another status than 200 stays as it is."""
        return edit_json(await call.proceed(), self.edit)

    @abstractmethod
    def edit(self, answer: dict[str, Any]) -> None:
        """Changes the object that the endpoint answers."""


class EditOfReports(EditOfAnswer, places=("create", "status", "list", "cancel")):
    """As `EditOfAnswer`, for each report in the answer."""

    def edit(self, answer: dict[str, Any]) -> None:
        """Changes the report that the answer is, or those of its list."""
        for report in answer.get("reports", [answer]):
            self.edit_report(report)

    @abstractmethod
    def edit_report(self, report: dict[str, Any]) -> None:
        """Changes one report object."""


def json_answer(content: Any) -> web.Response:
    """An answer in JSON; bytes are JSON already."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return web.Response(body=body, headers=_JSON)


def edit_json(
    response: web.StreamResponse, edit: Callable[[dict[str, Any]], None]
) -> web.StreamResponse:
    """Changes the JSON of an answer; an answer with another status than 200 stays as it is."""
    if response.status == 200 and isinstance(response, web.Response):
        content = json.loads(response.body) if isinstance(response.body, bytes) else {}
        edit(content)
        response.body = json.dumps(content).encode()
    return response


def problem_answer(refused: Refused) -> web.Response:
    """A refusal as the API words it."""
    return web.Response(
        body=json.dumps(refused.problem).encode(),
        status=refused.status,
        headers=refused.headers,
        content_type="application/problem+json",
    )
