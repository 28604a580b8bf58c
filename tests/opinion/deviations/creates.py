"""Creates whose answer is lost or odd, and refusals."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import anyio
from aiohttp import BasicAuth, web

from orchestrator.simulator.calls import json_answer
from orchestrator.simulator.dates import parse_moment, write_moment
from orchestrator.simulator.faults.reports import Unlisted
from orchestrator.simulator.requests import read_request
from tests.opinion.deviations.helpers import (
    Answer,
    http_date,
    unprocessable,
)
from tests.opinion.front import (
    CALLS,
    Go,
    ObservedSpan,
    content_of,
    echo_of,
    edited,
    is_json,
    kind,
    refused,
    status_key,
)

_ODD_NAMES: Final = ("receive_time", "date_start", "date_end", "items_count", "status")
_ODD_DATES: Final[tuple[Any, ...]] = (
    "",
    "yesterday",
    "0000-00-00T00:00:00Z",
    {},
    17,
    "2026-02-30T00:00:00+0000",
)


@kind("create", weight=3, name=_ODD_NAMES, value=_ODD_DATES)
async def create_odd(call: ObservedSpan, go: Go, name: str, value: Any) -> Answer:
    """The answer to a create has a readable id beside a field that cannot be read."""

    def edit(one: dict[str, Any]) -> None:
        if name == "status":
            one[status_key(one)] = value
        else:
            (echo_of(one) if name.startswith("date") else one)[name] = value

    return edited(await go(), edit)


@kind("create", weight=1, status=[200, 201, 202])
async def create_brief(call: ObservedSpan, go: Go, status: int) -> Answer:
    """The answer to a create has an id and nothing else."""
    answer = await go()
    if is_json(answer):
        answer = json_answer({"request_id": content_of(answer)["request_id"]})
        answer.set_status(status)
    return answer


_NO_ANSWERS: Final = {
    "html": b"<html>Please wait</html>",
    "empty": b"",
    "cut": b'{"request_id": "ri3p',
}


@kind("create", weight=5, loses_creates=True, numbers=[(1,), (1,), (2,), (1, 2), (2, 3, 4)],
      how=["500", "502", "503", "504", "reset", "hang", *_NO_ANSWERS],
      made=[True, True, False])  # fmt: skip
async def create_lost(
    call: ObservedSpan, go: Go, *, numbers: tuple[int, ...], how: str, made: bool
) -> Answer:
    """Some creates are not answered, whether or not the report was made."""
    if call.number not in numbers:
        return await go()
    if made:
        await go()
    if how in _NO_ANSWERS:
        return web.Response(body=_NO_ANSWERS[how], content_type="application/json")
    if how == "reset" and call.request.transport is not None:
        call.request.transport.abort()
    if how == "hang":
        await anyio.sleep(100)
    return refused(int(how) if how.isdigit() else 504, "Internal Error")


@kind("create", weight=2, every=[3, 5], loses_creates=True, status=[500, 503])
async def create_5xx_made(call: ObservedSpan, go: Go, every: int, status: int) -> Answer:
    """Now and then a create is made and answered by a server error."""
    answer = await go()
    return refused(status) if call.number % every == 0 else answer


@kind("create", weight=1, loses_creates=True, shares=[0.5, 1.0], status=[500, 504],
      unkind="what no list shows is bought again, within bounds")  # fmt: skip
async def create_hidden(call: ObservedSpan, go: Go, status: int) -> Answer:
    """Creates are made and answered by a server error, and no list shows what they made."""
    answer = await go()
    if not is_json(answer):
        return answer
    made = call.front.world.find(content_of(answer)["request_id"])
    assert made is not None
    made.faults.append(Unlisted(at="report"))
    call.front.vanished[made.number] = 0.0
    return refused(status)


@kind("create", weight=1, loses_creates=True, number=[2, 3], made=[True, False])
async def create_repeats(call: ObservedSpan, go: Go, number: int, made: bool) -> Answer:
    """One create is answered with the id of an older one."""
    older = call.front.answered
    if call.number != number or not older:
        return await go()
    if not made:
        return json_answer({"request_id": older[0], "request_status": "PENDING"})
    return edited(await go(), lambda one: one.update(request_id=older[0]))


@kind("create", weight=2, loses_creates=True, times=[1, 3], status=[503, 500])
async def create_refused_at_first(call: ObservedSpan, go: Go, times: int, status: int) -> Answer:
    """The first creates meet a server error, and make nothing."""
    return refused(status) if call.number <= times else await go()


@kind("create", weight=3, differs=["date_end", "status", "country", "account_id"])
async def strangers(call: ObservedSpan, go: Go, differs: str) -> Answer:
    """Just before each create somebody else with the same key asks for nearly the same."""
    world = call.front.world
    body = dict(await call.request.json())
    if differs == "date_end":
        end = parse_moment(body["date_end"]) - timedelta(seconds=1)
        body["date_end"] = write_moment(end, "Z")
    else:
        body[differs] = {"status": "submitted", "country": "NO", "account_id": "cafe0003"}[differs]
    try:
        request = read_request(body, call.front.clock.now(), frozenset())
        world.create(call.front.settings.keys[0], request, stranger=True)
    except Exception as refusal:  # noqa: BLE001 - what a stranger may not ask is not asked
        del refusal
    return await go()


@kind(*CALLS, weight=1, shares=[1.0], unkind="a revoked key needs a person",
      key=["beta0001", "abcd1234"], begin=[0, 30, 300], status=[401, 403])  # fmt: skip
async def key_revoked(call: ObservedSpan, go: Go, *, key: str, begin: int, status: int) -> Answer:
    """One of the keys is refused from some time on."""
    pair = BasicAuth.decode(call.request.headers.get("Authorization", "Basic Og=="))
    if pair.login != key or call.front.elapsed < begin:
        return await go()
    return refused(status, "Unauthorized" if status == 401 else "Forbidden")


@kind(
    "create",
    weight=2,
    days=[2, 5],
    words=["Date range too long: at most {days} days", "Range"],
    shares=[1.0],
)
async def range_too_long(call: ObservedSpan, go: Go, days: int, words: str) -> Answer:
    """422 for a window of more than so many days."""
    body = await call.request.json()
    if parse_moment(body["date_end"]) - parse_moment(body["date_start"]) <= timedelta(days=days):
        return await go()
    return unprocessable(words.format(days=days), "date_start", "date_end")


@kind("create", weight=2, unkind="what is too old is refused for good", days=[20, 30],
      words=["date_start must not be before retention", "The start date is too old"],
      blames=[("date_start",), ("date_start", "date_end"), ()], shares=[1.0])  # fmt: skip
async def too_old(
    call: ObservedSpan, go: Go, days: int, words: str, blames: tuple[str, ...]
) -> Answer:
    """422 for a window that begins too long ago."""
    body = await call.request.json()
    if call.front.clock.now() - parse_moment(body["date_start"]) <= timedelta(days=days):
        return await go()
    return unprocessable(words, *blames)


@kind(*CALLS, weight=3, share_of=[3, 7], status=[429, 429, 403, 503, 502],
      after=[None, 0, 5, 90, "date"], shares=[1.0])  # fmt: skip
async def throttled(call: ObservedSpan, go: Go, share_of: int, status: int, after: Any) -> Answer:
    """Now and then a call is refused for a while, creates with words that say so."""
    if call.place == "create" and status >= 500:
        return await go()
    call.front.refused_calls += 1
    if call.front.refused_calls % share_of:
        return await go()
    headers = (
        {}
        if after is None
        else {"Retry-After": http_date(call, 7) if after == "date" else str(after)}
    )
    answer = refused(status, "Too Many Requests", headers)
    if status in (429, 403):
        answer.body = (
            b'{"type": "https://developer.nexmo.com/api-errors#rate-limit", "title": "Too many"}'
        )
    return answer


@kind("download", "status", weight=2, hours=[1, 5, 30], numbers=[(1,), (2,), (3, 4)])
async def retry_after_long(
    call: ObservedSpan, go: Go, *, hours: int, numbers: tuple[int, ...]
) -> Answer:
    """A few calls are refused with a Retry-After of hours."""
    if call.number not in numbers:
        return await go()
    status = 503 if call.place == "download" else 429
    return refused(status, "Slow down", {"Retry-After": str(hours * 3600)})
