"""Asks a simulator over HTTP, as bluntly as a test needs: none of the program's own client."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from orchestrator.simulator import RecordDigest, Settings, Simulator, digest_csv, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
"""Where these worlds' clocks start; they stand still but for `Asker.later`."""

SMS: Final[dict[str, Any]] = {
    "product": "SMS",
    "account_id": "abcd1234",
    "direction": "outbound",
    "date_start": "2026-02-01T00:00:00Z",
    "date_end": "2026-02-02T00:00:00Z",
}
ALL: Final = "PENDING,PROCESSING,SUCCESS,ABORTED,FAILED,TRUNCATED"


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def wrong(self) -> dict[str, str]:
        """The invalid parameters of a 422 or 400, with their reasons."""
        return {one["name"]: one["reason"] for one in self.json["invalid_parameters"]}

    def archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(io.BytesIO(self.body))

    def record_digest(self) -> RecordDigest:
        """The records of the CSV in the archive."""
        archive = self.archive()
        files = [name for name in archive.namelist() if not name.endswith("/")]
        with archive.open(files[0]) as stream:
            return digest_csv(stream)


class Asker:
    """One API key's view of a simulator."""

    def __init__(self, simulator: Simulator, session: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.world = simulator.world
        self._session = session
        first = simulator.settings.keys[0]
        self.headers = {"Authorization": aiohttp.encode_basic_auth(first.api_key, first.api_secret)}

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> Answer:
        async with self._session.request(
            method, path, headers=self.headers if headers is None else headers, **rest
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def create(self, **fields: Any) -> Answer:
        """Asks for a report; None leaves a field of `SMS` out."""
        body = {name: value for name, value in {**SMS, **fields}.items() if value is not None}
        return await self.ask("POST", "/v2/reports", json=body)

    async def created(self, **fields: Any) -> str:
        """The id of a new report."""
        answer = await self.create(**fields)
        assert answer.status == 200, answer.body
        return str(answer.json["request_id"])

    async def status(self, request_id: str) -> Answer:
        return await self.ask("GET", f"/v2/reports/{request_id}")

    async def listed(self, account_id: str = "abcd1234", status: str = ALL, **more: str) -> Answer:
        query = {"account_id": account_id, "status": status, **more}
        return await self.ask("GET", "/v2/reports", params=query)

    async def finished(self, **fields: Any) -> dict[str, Any]:
        """A new report's object, an hour later."""
        request_id = await self.created(**fields)
        self.later(hours=1)
        answer: dict[str, Any] = (await self.status(request_id)).json
        return answer

    async def download(self, report: Mapping[str, Any], **rest: Any) -> Answer:
        return await self.ask("GET", report["_links"]["download_report"]["href"], **rest)

    def later(self, **span: float) -> None:
        """Puts the world's clock forward."""
        self.simulator.clock.advance(timedelta(**span))


@asynccontextmanager
async def asking(**settings: Any) -> AsyncIterator[Asker]:
    """A world without a rate limit whose clock stands still, and someone who asks it."""
    world = Settings(**{"now": NOW, "speed": 0.0, "rate": None, "sync_rate": None, **settings})
    async with (
        serve(world) as simulator,
        aiohttp.ClientSession(base_url=simulator.base_url) as session,
    ):
        yield Asker(simulator, session)
