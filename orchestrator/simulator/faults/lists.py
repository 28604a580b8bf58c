"""Faults of the list call: reports that it shows late, as they were, or never."""

from dataclasses import replace
from typing import Any

from aiohttp import web

from orchestrator.simulator.calls import Call, EditOfAnswer, FaultOfCall
from orchestrator.simulator.faults.options import Number, Share, Whole


class Late(FaultOfCall, do="late", places=("list",)):
    """Shows a report only this many `seconds` after its request."""

    seconds: Number

    async def answer(self, call: Call) -> web.StreamResponse:
        call.list_view = replace(call.list_view, late=self.seconds)
        return await call.proceed()


class Stale(FaultOfCall, do="stale", places=("list",)):
    """Shows each report as it was this many `seconds` ago."""

    seconds: Number

    async def answer(self, call: Call) -> web.StreamResponse:
        call.list_view = replace(call.list_view, stale=self.seconds)
        return await call.proceed()


class Hides(FaultOfCall, do="hides", places=("list",)):
    """Never shows this `share` of the reports; always hides the same ones."""

    share: Share = 0.2

    async def answer(self, call: Call) -> web.StreamResponse:
        call.list_view = replace(call.list_view, missing=self.share)
        return await call.proceed()


class Lacks(EditOfAnswer, do="lacks", places=("list",)):
    """Leaves out the `newest` reports, this many."""

    newest: Whole = 1

    def edit(self, answer: dict[str, Any]) -> None:
        shown = max(0, len(answer["reports"]) - self.newest)
        answer.update(reports=answer["reports"][:shown], items_count=shown)


class Empty(EditOfAnswer, do="empty", places=("list",)):
    """Shows no report."""

    def edit(self, answer: dict[str, Any]) -> None:
        answer.update(reports=[], items_count=0)


class Newest(EditOfAnswer, do="newest", places=("list",)):
    """Shows only the `most` newest reports, and does not say so."""

    most: Whole = 10

    def edit(self, answer: dict[str, Any]) -> None:
        shown = answer["reports"][-self.most :]
        answer.update(reports=shown, items_count=len(shown))


class Swells(EditOfAnswer, do="swells", places=("list",)):
    """Makes a list of more than `most` reports `mib` MiB long."""

    most: Whole = 10
    mib: Whole = 33

    def edit(self, answer: dict[str, Any]) -> None:
        if len(answer["reports"]) > self.most:
            answer["padding"] = " " * (self.mib << 20)
