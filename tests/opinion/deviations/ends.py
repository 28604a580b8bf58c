"""Ends that prove nothing: single 404s, statuses that go back, counts and files that come late."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from orchestrator.simulator.calls import json_answer
from tests.opinion.deviations.helpers import (
    SOON,
    Answer,
    age,
    done,
)
from tests.opinion.front import (
    CALLS,
    Go,
    ObservedSpan,
    edited,
    kind,
    listed,
    refused,
    status_key,
    without_link,
)


@kind("status", weight=3, times=[1, 1, 3, 8])
async def status_404(call: ObservedSpan, go: Go, times: int) -> Answer:
    """A report that is there answers 404 a few times."""
    return call.not_found() if call.about and call.count() <= times else await go()


@kind("status", weight=3, seconds=[5, 25, 600, 3000])
async def status_404_young(call: ObservedSpan, go: Go, seconds: int) -> Answer:
    """A new report answers 404 for some time, while lists show it."""
    return call.not_found() if call.about and call.age < seconds else await go()


@kind("status", "list", weight=2, seconds=[5, 25, 240], shares=[1.0])
async def late_everywhere(call: ObservedSpan, go: Go, seconds: int) -> Answer:
    """A new report is nowhere to be seen for some time: neither by its id nor in a list."""
    if call.place == "status":
        return call.not_found() if call.about and call.age < seconds else await go()
    return listed(await go(), lambda shown: [one for one in shown if age(call, one) >= seconds])


@kind(
    *CALLS,
    weight=2,
    begin=[0, 3, 20, 60],
    seconds=[1, 5, 60],
    status=[404, 404, 403, 400, 401],
    shares=[1.0],
)
async def gateway(call: ObservedSpan, go: Go, begin: int, seconds: int, status: int) -> Answer:
    """For a moment some gateway answers everything, creates apart, with an error."""
    if call.place != "create" and begin <= call.front.elapsed < begin + seconds:
        return web.Response(status=status, text="default backend", content_type="text/plain")
    return await go()


@kind("status", weight=3, times=[1, 2], word=["PROCESSING", "PENDING"])
async def status_goes_back(call: ObservedSpan, go: Go, times: int, word: str) -> Answer:
    """After the first SUCCESS the status is PROCESSING again for some looks."""
    answer = await go()
    if call.about is None or call.ended < 0 or not 1 < call.count() <= 1 + times:
        return answer

    def edit(one: dict[str, Any]) -> None:
        one[status_key(one)] = word
        one.pop("items_count", None)
        without_link(one)

    return edited(answer, edit)


@kind("status", "list", weight=3, seconds=[*SOON, 3600])
async def link_late(call: ObservedSpan, go: Go, seconds: int) -> Answer:
    """SUCCESS comes first, the link some time later."""
    return edited(await go(), lambda one: without_link(one) if done(call, one) < seconds else None)


@kind("download", weight=3, seconds=[*SOON, 3600], status=[404, 404, 403, 410, 425, 409])
async def file_late(call: ObservedSpan, go: Go, seconds: int, status: int) -> Answer:
    """The file is not there for some time after SUCCESS."""
    if call.about and call.ended < seconds:
        return call.not_found() if status == 404 else refused(status)
    return await go()


@kind("status", "list", weight=2, seconds=[*SOON, 3600], by=[-1, -2, 3],
      unkind="a count that stays wrong waits for a person")  # fmt: skip
async def count_late(call: ObservedSpan, go: Go, seconds: int, by: int) -> Answer:
    """For some time after SUCCESS `items_count` is that of a file still being written."""

    def edit(one: dict[str, Any]) -> None:
        if isinstance(one.get("items_count"), int) and 0 <= done(call, one) < seconds:
            one["items_count"] = max(min(1, one["items_count"]), one["items_count"] + by)

    return edited(await go(), edit)


@kind("list", weight=2, by=[-1, -2, 3])
async def count_wrong_in_lists(call: ObservedSpan, go: Go, by: int) -> Answer:
    """The `items_count` of lists lags behind that of single answers."""

    def edit(one: dict[str, Any]) -> None:
        if isinstance(one.get("items_count"), int):
            one["items_count"] = max(min(1, one["items_count"]), one["items_count"] + by)

    return edited(await go(), edit)


@kind("cancel", form=["success", "204", "202", "404", "409", "empty"])
async def cancel_otherwise(call: ObservedSpan, go: Go, form: str) -> Answer:
    """A cancel is answered by something else than the aborted report."""
    answer = await go()
    match form:
        case "success":
            return edited(answer, lambda one: one.update({status_key(one): "SUCCESS"}))
        case "404":
            return call.not_found()
        case "409":
            return refused(409, "Invalid Abort Operation")
        case "empty":
            return web.Response(status=answer.status, body=b"")
        case _:
            return web.Response(status=int(form))


@kind("cancel", form=["success", "204", "200", "409"])
async def cancel_ignored(call: ObservedSpan, go: Go, form: str) -> Answer:
    """A cancel is answered kindly, and nothing is cancelled."""
    if form in ("success", "200") and call.about is not None:
        word = "SUCCESS" if form == "success" else "PROCESSING"
        return json_answer({"request_id": call.about.request_id, "request_status": word})
    return web.Response(status=409 if form == "409" else 204)


@kind("status", "list", weight=1, seconds=[4000, 40_000])
async def slow_reports(call: ObservedSpan, go: Go, seconds: int) -> Answer:
    """Reports take hours."""

    def edit(one: dict[str, Any]) -> None:
        if one.get(status_key(one)) == "SUCCESS" and age(call, one) < seconds:
            one[status_key(one)] = "PROCESSING"
            one.pop("items_count", None)
            without_link(one)

    return edited(await go(), edit)
