"""A rival: the script that a vendor's page begins with. One report after the other.

Create, look every five seconds, download, unzip. Written for this benchmark, as a careful person
would: it never asks for anything twice, and waits where it is told that it is too fast.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import anyio

from benchmarks.worlds import DIRECTION, PRODUCT, authorization

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.worlds import Case
    from orchestrator.sim import Simulator

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
) -> dict[str, Any]:
    while True:
        async with session.request(method, path, json=body) as answer:
            if answer.status == 429:
                await anyio.sleep(_EVERY)
                continue
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


async def _download(session: aiohttp.ClientSession, url: str, folder: Path) -> None:
    while True:
        async with session.get(url) as answer:
            if answer.status == 429:
                await anyio.sleep(_EVERY)
                continue
            answer.raise_for_status()
            archive = await answer.read()
            break
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        (name,) = opened.namelist()
        # Every report of a day has the same name for its file: the link's end tells them apart.
        target = folder / f"{url.rpartition('/')[2]}.csv"
        target.write_bytes(opened.read(name))
