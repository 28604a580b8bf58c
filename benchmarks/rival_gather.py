"""A rival: a plain asyncio client. A hundred coroutines, each with a report of its own.

Each looks at its report every five seconds. Nobody counts requests: where the API says that it is
too much, or a connection breaks, a coroutine waits and tries again, longer each time, with jitter,
as is good practice.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import zipfile
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from benchmarks.worlds import DIRECTION, PRODUCT, authorization

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from benchmarks.worlds import Case
    from orchestrator.simulator import Simulator

_AT_ONCE: Final = 100
_EVERY: Final = 5.0
_LONGEST: Final = 30.0


async def gather(simulator: Simulator, case: Case, folder: Path) -> None:
    """Fetches every report of the case's first key."""
    signed = authorization(simulator)
    async with aiohttp.ClientSession(simulator.base_url, headers=signed) as session:
        client = _Client(session, simulator.api_key, folder)
        await asyncio.gather(*(client.fetch(start, end) for start, end in case.windows()))


class _Client:
    def __init__(self, session: aiohttp.ClientSession, account: str, folder: Path) -> None:
        self._session = session
        self._account = account
        self._folder = folder
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._random = random.Random(1)

    async def fetch(self, start: datetime, end: datetime) -> None:
        """One report, from its create to its file."""
        async with self._slots:
            report = await self._json("POST", "/v2/reports", start=start, end=end)
            while report["request_status"] in ("PENDING", "PROCESSING"):
                await asyncio.sleep(_EVERY)
                report = await self._json("GET", f"/v2/reports/{report['request_id']}")
            url = report["_links"]["download_report"]["href"]
            with zipfile.ZipFile(io.BytesIO(await self._tried("GET", url))) as archive:
                (name,) = archive.namelist()
                target = self._folder / f"{report['request_id']}.csv"
                target.write_bytes(archive.read(name))

    async def _json(
        self, method: str, path: str, start: datetime | None = None, end: datetime | None = None
    ) -> Any:
        body = None
        if start is not None and end is not None:
            body = {
                "account_id": self._account,
                "product": PRODUCT,
                "direction": DIRECTION,
                "date_start": start.isoformat(),
                "date_end": end.isoformat(),
            }
        return json.loads(await self._tried(method, path, body))

    async def _tried(self, method: str, path: str, body: dict[str, str] | None = None) -> bytes:
        pause = 1.0
        while True:
            try:
                async with self._session.request(method, path, json=body) as answer:
                    if answer.status != 429:
                        answer.raise_for_status()
                        return await answer.read()
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
                pass
            await asyncio.sleep(pause * (0.5 + self._random.random()))
            pause = min(_LONGEST, 2 * pause)
