"""A rival: the script that a vendor's page begins with. One report after the other.

Create, look every five seconds, download, unzip. Written for this benchmark, as a careful person
would: it waits where it is told that it is too fast, and tries again where the connection breaks.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import anyio

from benchmarks.worlds import DIRECTION, PRODUCT, authorization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.worlds import Case
    from orchestrator.simulator import Simulator

_EVERY: Final = 5.0
"""Seconds between two looks."""


async def script(simulator: Simulator, case: Case, folder: Path) -> None:
    """Fetches every report of the case's first key."""
    signed = authorization(simulator)
    async with aiohttp.ClientSession(simulator.base_url, headers=signed) as session:
        for start, end in case.windows():
            body = {
                "account_id": simulator.api_key,
                "product": PRODUCT,
                "direction": DIRECTION,
                "date_start": start.isoformat(),
                "date_end": end.isoformat(),
            }
            report = await _asked(session, "POST", "/v2/reports", body)
            while report["request_status"] in ("PENDING", "PROCESSING"):
                await anyio.sleep(_EVERY)
                report = await _asked(session, "GET", f"/v2/reports/{report['request_id']}")
            await _download(session, report["_links"]["download_report"]["href"], folder)


async def _asked(
    session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, str] | None = None
) -> Any:
    return json.loads(await _tried(session, method, path, body))


async def _download(session: aiohttp.ClientSession, url: str, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(await _tried(session, "GET", url))) as archive:
        (name,) = archive.namelist()
        # Every report of a day has the same name for its file: the link's end tells them apart.
        target = folder / f"{url.rpartition('/')[2]}.csv"
        target.write_bytes(archive.read(name))


async def _tried(
    session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, str] | None = None
) -> bytes:
    """What comes, tried again after a while where it is too much, or the connection breaks."""
    while True:
        try:
            async with session.request(method, path, json=body) as answer:
                if answer.status != 429:
                    answer.raise_for_status()
                    return await answer.read()
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            pass
        await anyio.sleep(_EVERY)
