"""``GET /v2/reports/records``: records as JSON, a day at most, page by page."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web
from anyio import to_thread

from orchestrator.simulator import problems
from orchestrator.simulator.calls import Call, json_answer
from orchestrator.simulator.endpoints import Endpoints
from orchestrator.simulator.records.columns import USAGE_COLUMNS
from orchestrator.simulator.requests import Request, read_request
from orchestrator.simulator.world import World

PAGE_ROWS: Final = 1000  # The maximum number of records on one page.
_LONGEST: Final = timedelta(hours=24)  # The longest window of one query.


class Synchronous:
    """The synchronous call of one world."""

    def __init__(self, world: World, endpoints: Endpoints) -> None:
        self._world = world
        self._endpoints = endpoints

    async def records(self, call: Call) -> web.Response:
        """One page, charged like a report.

        Raises:
            Refused: 403; 422 for parameters, a span over 24 hours, or a cursor that is not ours.
        """
        given = dict(call.request.query)
        cursor, iv = given.pop("cursor", None), given.pop("iv", None)
        ids = [part.strip() for part in given.pop("id", "").split(",") if part.strip()]
        request = self._request(given, by_id=bool(ids))
        if request.account_id not in call.key.accounts:
            raise problems.forbidden()
        offset = 0 if cursor is None else self._offset(given, cursor, iv or "")
        rows, more = await self._page(request, ids, offset)
        columns = (
            tuple(USAGE_COLUMNS)
            if request.product == "REPORTS-USAGE"
            else request.query(self._world.settings).schema.names
        )
        answer = self._head(call, request, len(rows))
        if more:
            token = self._token(given, offset + len(rows))
            query = urlencode({**given, "cursor": token[0], "iv": token[1]})
            address = f"{self._endpoints.base_url}/v2/reports/records?{query}"
            answer["_links"]["next"] = {"href": address}
        answer["records"] = [dict(zip(columns, row, strict=True)) for row in rows]
        if ids:
            values = {value for record in answer["records"] for value in record.values()}
            answer["ids_not_found"] = ",".join(
                record_id for record_id in ids if record_id not in values
            )
        return json_answer(answer)

    def _request(self, given: dict[str, str], *, by_id: bool) -> Request:
        missing = [name for name in ("date_start", "date_end") if name not in given]
        if by_id:
            dated = [name for name in ("date_start", "date_end", "status") if name in given]
            if dated:
                raise problems.unprocessable(
                    [(name, "Not supported together with id") for name in dated]
                )
        elif missing:
            raise problems.unprocessable([(name, "Missing required parameter") for name in missing])
        now = self._world.clock.now()
        request = read_request(given, now, self._world.settings.extra_products)
        if not by_id and request.end - request.start > _LONGEST:
            raise problems.unprocessable(
                [("date_end", "Must be no more than 24 hours later than date_start")]
            )
        return request

    async def _page(
        self, request: Request, ids: list[str], offset: int
    ) -> tuple[list[list[str]], bool]:
        """The records of a page, and whether there are more."""
        query = request.query(self._world.settings)
        rows = self._world.records.find(query, ids) if ids else self._world.arrived_rows(query)
        page = await to_thread.run_sync(list, islice(rows, offset, offset + PAGE_ROWS + 1))
        return page[:PAGE_ROWS], len(page) > PAGE_ROWS

    def _head(self, call: Call, request: Request, rows: int) -> dict[str, Any]:
        return {
            "_links": {"self": {"href": f"{self._endpoints.base_url}{call.request.path_qs}"}},
            "request_id": self._world.charge_query(call.key, request, rows),
            "request_status": "SUCCESS",
            "received_at": self._world.clock.now().strftime("%Y-%m-%dT%H:%M:%S+0000"),
            **request.echo,
            "items_count": rows,
        }

    def _token(self, given: dict[str, str], offset: int) -> tuple[str, str]:
        """Cursor and iv of a page: opaque, and valid for this query only."""
        cursor = urlsafe_b64encode(b"%d" % offset).decode()
        of_query = f"{self._world.settings.seed}:{cursor}:{json.dumps(given, sort_keys=True)}"
        return cursor, blake2b(of_query.encode(), digest_size=16).hexdigest()

    def _offset(self, given: dict[str, str], cursor: str, iv: str) -> int:
        try:
            offset = int(urlsafe_b64decode(cursor))
        except ValueError:
            offset = -1
        if offset < 0 or self._token(given, offset) != (cursor, iv):
            raise problems.unprocessable([("cursor", "Does not belong to this query")])
        return offset
