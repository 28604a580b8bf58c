"""Lists that page, cap, lag, reorder or are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.simulator.calls import json_answer
from orchestrator.simulator.dates import write_moment
from tests.opinion.deviations.helpers import (
    Answer,
    age,
    moment_of,
)
from tests.opinion.front import (
    Go,
    ObservedSpan,
    content_of,
    echo_of,
    edited,
    is_json,
    kind,
    listed,
    refused,
    status_key,
)


@kind("list", weight=3, blinds=True, most=[5, 6, 8], end=["newest", "oldest"], total=[True, False])
async def list_capped(call: ObservedSpan, go: Go, most: int, end: str, total: bool) -> Answer:
    """A list shows only so many reports, the newest or the oldest."""

    def choose(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return shown[-most:] if end == "newest" else shown[:most]

    answer = await go()
    if not is_json(answer) or not total:
        return listed(answer, choose)
    return json_answer(
        {**content_of(listed(answer, choose)), "items_count": len(content_of(answer)["reports"])}
    )


@kind("list", weight=2, blinds=True, size=[1, 2, 3])
async def list_pages(call: ObservedSpan, go: Go, size: int) -> Answer:
    """A list comes in pages, with a link to the next one."""
    answer = await go()
    if not is_json(answer):
        return answer
    content = content_of(answer)
    first = int(call.request.query.get("page", "0")) * size
    rest = content["reports"][first + size :]
    links = {}
    if rest:
        link = call.request.rel_url.update_query(page=str(first // size + 1))
        links = {"_links": {"next": {"href": f"{call.front.base_url}{link}"}}}
    return listed(answer, lambda shown: shown[first : first + size], **links)


@kind("list", weight=2, seconds=[5, 60, 240])
async def list_late(call: ObservedSpan, go: Go, seconds: int) -> Answer:
    """A list shows a report only some time after its create."""
    return listed(await go(), lambda shown: [one for one in shown if age(call, one) >= seconds])


@kind("list", weight=2, how=["newest first", "by id", "twice"])
async def list_reordered(call: ObservedSpan, go: Go, how: str) -> Answer:
    """A list has an order of its own, or shows a report twice."""

    def choose(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
        match how:
            case "newest first":
                return shown[::-1]
            case "by id":
                return sorted(shown, key=lambda one: str(one["request_id"]))
            case _:
                return [*shown, *shown[:1]]

    return listed(await go(), choose)


@kind("list", weight=2, blinds=True, status=[400, 403, 404, 500])
async def list_refused(call: ObservedSpan, go: Go, status: int) -> Answer:
    """Lists are refused."""
    return refused(status)


@kind("list", "status", "create", weight=2, blinds=True, hours=[-8, -1, 2, 9])
async def receive_time_off(call: ObservedSpan, go: Go, hours: int) -> Answer:
    """`receive_time` is a local time with the mark of UTC."""

    def edit(one: dict[str, Any]) -> None:
        moment = moment_of(one.get("receive_time"))
        if moment is not None:
            one["receive_time"] = write_moment(moment + timedelta(hours=hours), "Z")

    return edited(await go(), edit)


@kind(
    "list", "status", weight=2, blinds=True, what=["dates", "filters", "everything", "receive_time"]
)
async def echo_missing(call: ObservedSpan, go: Go, what: str) -> Answer:
    """Lists and single answers do not repeat what was asked for, or not all of it."""
    dates = ("date_start", "date_end")
    kept = {"_links", "request_id", "request_status", "items_count", "receive_time", "start_time"}

    def edit(one: dict[str, Any]) -> None:
        if what == "receive_time":
            one.pop("receive_time", None)
            return
        echo = echo_of(one)
        for name in list(echo):
            is_own = echo is one and (
                name in kept or name == "download_url" or name == status_key(one)
            )
            chosen = name in dates if what == "dates" else name not in dates
            if not is_own and (chosen or what == "everything"):
                if what == "filters" and name in ("account_id", "product", "direction"):
                    continue
                del echo[name]

    return edited(await go(), edit)
