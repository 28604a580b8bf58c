"""What each asynchronous endpoint of the Reports API answers to a call that is let in."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

import anyio
from aiohttp import web
from anyio import to_thread

from orchestrator.simulator import problems
from orchestrator.simulator.calls import Call, json_answer
from orchestrator.simulator.dates import parse_moment
from orchestrator.simulator.faults.reports import Signed
from orchestrator.simulator.media import Media
from orchestrator.simulator.report_index import STATUSES
from orchestrator.simulator.report_json import report_object
from orchestrator.simulator.reports import Phase, Report
from orchestrator.simulator.requests import Request, read_json, read_request
from orchestrator.simulator.settings import ApiKey
from orchestrator.simulator.world import World

_LISTED_SPAN: Final = timedelta(days=7)  # What a list call covers that gives no dates.


class Endpoints:
    """The asynchronous calls of one world."""

    def __init__(self, world: World) -> None:
        self.base_url = ""  # the start of every link; set once the server listens
        self.media = Media(world)  # the finished files
        self._world = world
        self._began = anyio.current_time()

    @property
    def elapsed(self) -> float:
        """Seconds of the loop since the server began."""
        return anyio.current_time() - self._began

    async def create(self, call: Call) -> web.Response:
        """``POST /v2/reports``."""
        request = self._request(read_json(await call.request.read()))
        report = self._world.create(call.key, request, self.elapsed)
        return json_answer(await self._object_of(report))

    def create_as_stranger(self, key: ApiKey, body: dict[str, Any]) -> None:
        """What somebody else with the same key asks for; a refusal is ignored."""
        with suppress(problems.Refused):
            self._world.create(key, self._request(body), stranger=True)

    def _request(self, body: dict[str, Any]) -> Request:
        return read_request(body, self._world.clock.now(), self._world.settings.extra_products)

    def ids_created_by(self, key: ApiKey) -> list[str]:
        """The ids of the reports that a key has asked for, oldest first."""
        reports = self._world.all_reports()
        return [
            report.request_id
            for report in reports
            if report.key == key.api_key and not report.stranger
        ]

    async def status(self, call: Call) -> web.Response:
        """``GET /v2/reports/{id}``."""
        report = self._world.report(call.key, call.request.match_info["id"])
        return json_answer(await self._object_of(report))

    async def cancel(self, call: Call) -> web.Response:
        """``DELETE /v2/reports/{id}``."""
        report = self._world.cancel(call.key, call.request.match_info["id"])
        return json_answer(await self._object_of(report))

    async def listed(self, call: Call) -> web.Response:
        """``GET /v2/reports``."""
        query = call.request.query
        for name in ("account_id", "status"):
            if not query.get(name):
                raise problems.bad_query(name, "Missing required parameter")
        statuses = {word.strip() for word in query["status"].split(",")}
        if not statuses <= set(STATUSES):
            raise problems.bad_query("status", f"Must be of [{', '.join(STATUSES)}]")
        now = self._world.clock.now()
        created_from = _moment(call, "date_from", now - _LISTED_SPAN)
        created_to = _moment(call, "date_to", now)
        view = call.list_view
        reports = self._world.listed(
            call.key, query["account_id"], created_from, created_to,
            STATUSES if view.stale else statuses,
        )  # fmt: skip
        shown = []
        epoch = self._world.clock.epoch()
        for report in reports:
            phase = view.phase(report, epoch)
            word = await self._status_of(report) if phase is Phase.ENDED else phase.name
            if (word in statuses or word not in STATUSES) and view.shows(report, epoch):
                shown.append(await self._object_of(report, phase))
        head = {"self_link": f"{self.base_url}{call.request.path_qs}", "items_count": len(shown)}
        return json_answer(
            json.dumps(head).encode()[:-1] + b', "reports": [' + b", ".join(shown) + b"]}"
        )

    async def _status_of(self, report: Report) -> str:
        if report.needs_settling:
            await self.settled(report)
        return report.status

    async def _object_of(self, report: Report, phase: Phase | None = None) -> bytes:
        """The report object in JSON; written again only when the status has changed.

        Args:
            phase: an earlier one, in which a list shows the report.
        """
        word = await self._status_of(report)
        if phase not in (None, report.phase):
            return json.dumps(self._described(report, phase)).encode()
        if report.shown[0] != word or report.fault(Signed):
            report.shown = (word, json.dumps(self._described(report)).encode())
        return report.shown[1]

    def _described(self, report: Report, phase: Phase | None = None) -> dict[str, Any]:
        settings, now = self._world.settings, self._world.clock.epoch()
        return report_object(report, settings.dialect, self.base_url, now, phase)

    async def download(self, call: Call) -> web.StreamResponse:
        """``GET /v3/media/{id}``."""
        report = self._world.file(call.key, call.request.match_info["id"])
        signed = report.fault(Signed)
        if signed is not None:
            until = float(call.request.query.get("until", "0"))
            if self._world.clock.epoch() >= until:
                raise problems.link_over(signed.status)
        return await self.media.answer(call, await self.settled(report))

    async def download_on_other_host(self, call: Call) -> web.StreamResponse:
        """The same file, from a host that asks for no credentials."""
        report = self._world.find(call.request.match_info["id"])
        if report is None or report.ended is None:
            raise problems.no_file()
        return await self.media.answer(call, await self.settled(report))

    async def settled(self, report: Report) -> Report:
        """The report, its records counted if it has ended; a long count runs in a thread."""
        if report.needs_settling and self._world.is_heavy(report):
            count = await to_thread.run_sync(self._world.count, report)
            return self._world.settle(report, count)
        return self._world.settle(report)

    async def describe(self, report: Report) -> dict[str, Any]:
        """The report object that a status call answers."""
        return self._described(await self.settled(report))


def _moment(call: Call, name: str, default: datetime) -> datetime:
    given = call.request.query.get(name)
    if given is None:
        return default
    try:
        return parse_moment(given)
    except ValueError as error:
        raise problems.bad_query(name, str(error)) from None
