"""Faults in what an answer says: lists that lie, twins, fields left out, JSON of wrong shapes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from orchestrator.simulator.calls import json_answer
from orchestrator.simulator.dates import parse_moment, write_moment
from orchestrator.simulator.faults.registry import (
    MADE,
    Option,
    flag,
    http_status,
    in_calls,
    one_of,
    scalar,
    signed,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.simulator.calls import Call
    from orchestrator.simulator.faults.registry import Options


def _edited(
    response: web.StreamResponse, edit: Callable[[dict[str, Any]], None]
) -> web.StreamResponse:
    """The answer with its JSON changed; anything but a 200 is left alone."""
    if response.status == 200 and isinstance(response, web.Response):
        content = json.loads(response.body) if isinstance(response.body, bytes) else {}
        edit(content)
        response.body = json.dumps(content).encode()
    return response


def _reports_in(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The report objects of an answer: itself, or those of a list."""
    reports: list[dict[str, Any]] = answer.get("reports", [answer])
    return reports


@in_calls("list", newest=Option(whole, default=1))
async def _lacks(call: Call, options: Options) -> web.StreamResponse:
    """The list does not show the newest reports yet."""

    def edit(answer: dict[str, Any]) -> None:
        shown = max(0, len(answer["reports"]) - options["newest"])
        answer.update(reports=answer["reports"][:shown], items_count=shown)

    return _edited(await call.proceed(), edit)


@in_calls("list")
async def _empty(call: Call, _options: Options) -> web.StreamResponse:
    """The list shows nothing."""
    return _edited(await call.proceed(), lambda answer: answer.update(reports=[], items_count=0))


@in_calls("list", most=Option(whole, default=10))
async def _newest(call: Call, options: Options) -> web.StreamResponse:
    """The list shows the newest reports alone, `most` of them, and does not say so."""

    def edit(answer: dict[str, Any]) -> None:
        shown = answer["reports"][-options["most"] :]
        answer.update(reports=shown, items_count=len(shown))

    return _edited(await call.proceed(), edit)


@in_calls("list", most=Option(whole, default=10), mib=Option(whole, default=33))
async def _swells(call: Call, options: Options) -> web.StreamResponse:
    """A list of more than `most` reports is so many MiB long."""

    def edit(answer: dict[str, Any]) -> None:
        if len(answer["reports"]) > options["most"]:
            answer["padding"] = " " * (options["mib"] << 20)

    return _edited(await call.proceed(), edit)


@in_calls("create", "status", "cancel", "list", by=Option(signed), text=Option(text))
async def _received(call: Call, options: Options) -> web.StreamResponse:
    """`receive_time` is off by so many seconds, or is another text."""

    def edit(answer: dict[str, Any]) -> None:
        for report in _reports_in(answer):
            moment = parse_moment(report["receive_time"])
            moved = write_moment(moment + timedelta(seconds=options["by"] or 0.0))
            report["receive_time"] = options["text"] or moved

    return _edited(await call.proceed(), edit)


@in_calls("create", "status", "cancel", "list", status=Option(text, required=True))
async def _word(call: Call, options: Options) -> web.StreamResponse:
    """This one answer carries another status word; a list, for each of its reports."""

    def edit(answer: dict[str, Any]) -> None:
        for report in _reports_in(answer):
            report["request_status" if "request_status" in report else "status"] = options["status"]

    return _edited(await call.proceed(), edit)


@in_calls("create", "status", "cancel", "list", field=Option(text, required=True))
async def _omits(call: Call, options: Options) -> web.StreamResponse:
    """A field of the report objects is left out of this one answer."""

    def edit(answer: dict[str, Any]) -> None:
        for report in _reports_in(answer):
            report.pop(options["field"], None)
            report.get("request_params", {}).pop(options["field"], None)

    return _edited(await call.proceed(), edit)


@in_calls("status", "list", by=Option(whole, default=1))
async def _miscount(call: Call, options: Options) -> web.StreamResponse:
    """This one answer carries another `items_count`; a list, for each of its reports."""

    def edit(answer: dict[str, Any]) -> None:
        for report in _reports_in(answer):
            if "items_count" in report:
                report["items_count"] = max(0, report["items_count"] + options["by"])

    return _edited(await call.proceed(), edit)


@in_calls("status", "cancel", status=Option(http_status, default=204))
async def _bare(call: Call, options: Options) -> web.StreamResponse:
    """The work is done, and the answer has no body."""
    response = await call.proceed()
    return web.Response(status=options["status"]) if response.status == 200 else response


@in_calls(
    "create",
    "status",
    "list",
    "cancel",
    field=Option(text, required=True),
    json=Option(text, required=True),
)
async def _writes(call: Call, options: Options) -> web.StreamResponse:
    """A field stands in the report objects of this one answer as this JSON, or as what is none."""
    mark = "written by a fault"

    def edit(answer: dict[str, Any]) -> None:
        for report in _reports_in(answer):
            place = report.get("request_params", report)
            (place if options["field"] in place else report)[options["field"]] = mark

    response = _edited(await call.proceed(), edit)
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        response.body = response.body.replace(f'"{mark}"'.encode(), options["json"].encode())
    return response


@in_calls(
    "create",
    field=Option(text),
    value=Option(scalar),
    lost=Option(flag, default=False),
    made=Option(flag, default=True),
)
async def _twin(call: Call, options: Options) -> web.StreamResponse:
    """Just before, somebody else with the same key asks for the very same.

    With `field` and `value` it differs in that field. With `lost` the answer to our own create
    is a reset, and `made` says whether its report was made. What others ask for is not on our
    bill of records paid twice.
    """
    body = json.loads(await call.request.read())
    if options["field"] is not None:
        body[options["field"]] = options["value"]
    call.ask_as_stranger(body)
    if not options["lost"]:
        return await call.proceed()
    if options["made"]:
        await call.proceed()
    return call.reset()


def _wrapped(answer: dict[str, Any]) -> dict[str, Any]:
    return {"report": answer}


def _with(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {**answer, **fields}


_ODD: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "wrapped": _wrapped,
    "date": _with(receive_time="Thu Mar  5 12:00:00 2026", date_start="05/03/2026"),
    "status": _with(request_status=7),
    "types": _with(items_count={}, _links=[], request_params=[], direction=["outbound"]),
    "bare": lambda answer: {"request_id": answer["request_id"]},
}


@in_calls("create", form=Option(one_of(*_ODD), required=True), status=Option(http_status))
async def _odd(call: Call, options: Options) -> web.StreamResponse:
    """The answer has its id, and an odd shape around it; with `status` another success."""
    response = await call.proceed()
    if response.status == 200 and isinstance(response, web.Response):
        assert isinstance(response.body, bytes)
        response.body = json.dumps(_ODD[options["form"]](json.loads(response.body))).encode()
        response.set_status(options["status"] or 200)
    return response


@in_calls("create", made=Option(flag, default=True))
async def _repeats(call: Call, options: Options) -> web.StreamResponse:
    """The answer carries the id of the first report that the key has ever asked for.

    `made` says whether the report that was asked for is made as well.
    """
    older = call.older(call.key)
    if not older:
        return await call.proceed()
    if options["made"]:
        return _edited(await call.proceed(), lambda answer: answer.update(request_id=older[0]))
    return json_answer({"request_id": older[0], "request_status": "PENDING"})


_SHAPES: Final[dict[str, bytes]] = {
    "list": b"[]",
    "null": b"null",
    "text": b'"PENDING"',
    "number": b"1e999",
    "nothing": b"",
    "no_id": b'{"request_status": "SUCCESS", "reports": {}}',
    "types": b'{"request_id": ["x"], "request_status": {"a": 1}, "reports": [[], 1, null, "x"]}',
    "nan": b'{"request_id": "x", "request_status": "PENDING", "items_count": NaN, "reports": NaN}',
    "deep": b'{"reports":' + b"[" * 100_000,
    "twice": b'{"request_id": "x", "request_id": "y", "reports": [], "reports": 1}',
    "latin1": b'{"request_id": "Gr\xfc\xdfe", "reports": []}',
    "null_byte": b'{"request_id": "x\0y", "reports": []}\0',
    "trailing": b'{"request_id": "x", "request_status": "PENDING", "reports": []} and more',
}
_MIB: Final = b" " * (1 << 20)


@in_calls(
    "create",
    "status",
    "list",
    "cancel",
    form=Option(one_of(*_SHAPES, "huge"), required=True),
    mib=Option(whole, default=64),
    made=MADE,
)
async def _shape(call: Call, options: Options) -> web.StreamResponse:
    """A 200 whose JSON is of a wrong shape, or endless: `mib` of it for ``huge``."""
    body = _SHAPES.get(options["form"])
    if options["made"]:
        made = await call.proceed()
        if body is not None and isinstance(made, web.Response) and isinstance(made.body, bytes):
            # Where there is an id, it is the report's own.
            request_id = json.loads(made.body).get("request_id", "x")
            body = body.replace(b'"x"', json.dumps(request_id).encode())
    if body is not None:
        return web.Response(body=body, content_type="application/json")
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    with suppress(ConnectionError):
        await answer.prepare(call.request)
        await answer.write(b'{"reports": [], "padding": "')
        for _ in range(options["mib"]):
            await answer.write(_MIB)
        await answer.write(b'"}')
    return answer
