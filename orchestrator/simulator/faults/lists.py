"""Faults of lists that lag behind: reports that show late, as they were, or never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.simulator.faults.registry import Option, in_calls, number, share

if TYPE_CHECKING:
    from aiohttp import web

    from orchestrator.simulator.calls import Call
    from orchestrator.simulator.faults.registry import Options


@in_calls("list", seconds=Option(number, required=True))
async def _late(call: Call, options: Options) -> web.StreamResponse:
    """The list shows a report only so many world seconds after its request."""
    call.list_view = replace(call.list_view, late=options["seconds"])
    return await call.proceed()


@in_calls("list", seconds=Option(number, required=True))
async def _stale(call: Call, options: Options) -> web.StreamResponse:
    """The list shows every report as it was so many world seconds ago."""
    call.list_view = replace(call.list_view, stale=options["seconds"])
    return await call.proceed()


@in_calls("list", share=Option(share, default=0.2))
async def _hides(call: Call, options: Options) -> web.StreamResponse:
    """The list never shows this share of the reports, the same ones each time."""
    call.list_view = replace(call.list_view, missing=options["share"])
    return await call.proceed()
