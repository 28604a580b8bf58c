"""Faults in what an answer says: other requests, fields changed or left out, wrong JSON."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, Final

from aiohttp import web

from orchestrator.simulator.calls import (
    Call,
    EditOfReports,
    FaultOfCall,
    edit_json,
    json_answer,
)
from orchestrator.simulator.dates import parse_moment, write_moment
from orchestrator.simulator.faults.options import (
    AnyNumber,
    Flag,
    HttpStatus,
    Scalar,
    Text,
    Whole,
    one_of,
)


class Received(EditOfReports, do="received"):
    """Moves each `receive_time` `by` this many seconds, or replaces it with a `text`."""

    by: AnyNumber | None = None
    text: Text | None = None

    def edit_report(self, report: dict[str, Any]) -> None:
        moved = parse_moment(report["receive_time"]) + timedelta(seconds=self.by or 0.0)
        report["receive_time"] = self.text or write_moment(moved)


class Word(EditOfReports, do="word"):
    """Replaces the status of each report in this one answer with this `status`."""

    status: Text

    def edit_report(self, report: dict[str, Any]) -> None:
        report["request_status" if "request_status" in report else "status"] = self.status


class Omits(EditOfReports, do="omits"):
    """Leaves this `field` out of each report in this one answer."""

    field: Text

    def edit_report(self, report: dict[str, Any]) -> None:
        report.pop(self.field, None)
        report.get("request_params", {}).pop(self.field, None)


class Miscount(EditOfReports, do="miscount", places=("status", "list")):
    """Changes each `items_count` in this one answer `by` this number."""

    by: Whole = 1

    def edit_report(self, report: dict[str, Any]) -> None:
        if "items_count" in report:
            report["items_count"] = max(0, report["items_count"] + self.by)


class Bare(FaultOfCall, do="bare", places=("status", "cancel")):
    """Does the work, and answers with this `status` and no body."""

    status: HttpStatus = 204

    async def answer(self, call: Call) -> web.StreamResponse:
        response = await call.proceed()
        return web.Response(status=self.status) if response.status == 200 else response


_MARK: Final = "written by a fault"


class Writes(EditOfReports, do="writes"):
    """Replaces a `field` of each report in this one answer with this `json`, valid or not."""

    field: Text
    json: Text

    async def answer(self, call: Call) -> web.StreamResponse:
        response = await super().answer(call)
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            response.body = response.body.replace(f'"{_MARK}"'.encode(), self.json.encode())
        return response

    def edit_report(self, report: dict[str, Any]) -> None:
        place = report.get("request_params", report)
        (place if self.field in place else report)[self.field] = _MARK


class Twin(FaultOfCall, do="twin", places=("create",)):
    """Creates the same report for somebody else with the same key, just before.

    With `field` and `value` that report differs in the field. With `lost` our own create is reset,
    and `made` says whether its report was made. What others ask for does not count as paid twice.
    """

    field: Text | None = None
    value: Scalar | None = None
    lost: Flag = False
    made: Flag = True

    async def answer(self, call: Call) -> web.StreamResponse:
        body = json.loads(await call.request.read())
        if self.field is not None:
            body[self.field] = self.value
        call.as_stranger(call.key, body)
        if not self.lost:
            return await call.proceed()
        if self.made:
            await call.proceed()
        return call.reset()


def _with(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda answer: {**answer, **fields}


_ODD: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "wrapped": lambda answer: {"report": answer},
    "date": _with(receive_time="Thu Mar  5 12:00:00 2026", date_start="05/03/2026"),
    "status": _with(request_status=7),
    "types": _with(items_count={}, _links=[], request_params=[], direction=["outbound"]),
    "bare": lambda answer: {"request_id": answer["request_id"]},
}


class Odd(FaultOfCall, do="odd", places=("create",)):
    """Answers with the report's id and an odd `form` around it; `status` may be another success."""

    form: Annotated[str, one_of(*_ODD)]
    status: HttpStatus | None = None

    async def answer(self, call: Call) -> web.StreamResponse:
        response = await call.proceed()
        if response.status == 200 and isinstance(response, web.Response):
            assert isinstance(response.body, bytes)
            response.body = json.dumps(_ODD[self.form](json.loads(response.body))).encode()
            response.set_status(self.status or 200)
        return response


class Repeats(FaultOfCall, do="repeats", places=("create",)):
    """Answers with the id of the first report that the key has asked for.

    `made` says whether the report of this create is made as well.
    """

    made: Flag = True

    async def answer(self, call: Call) -> web.StreamResponse:
        earlier = call.ids_created_by(call.key)
        if not earlier:
            return await call.proceed()
        if self.made:
            return edit_json(
                await call.proceed(), lambda answer: answer.update(request_id=earlier[0])
            )
        return json_answer({"request_id": earlier[0], "request_status": "PENDING"})


JSON_FORMS: Final[dict[str, bytes]] = {
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


class Shape(FaultOfCall, do="shape", places=("create", "status", "list", "cancel")):
    """Answers 200 with JSON of a wrong `form`; ``huge`` is `mib` MiB long.

    With `made` the call does its work first.
    """

    form: Annotated[str, one_of(*JSON_FORMS, "huge")]
    mib: Whole = 64
    made: Flag = False

    async def answer(self, call: Call) -> web.StreamResponse:
        body = JSON_FORMS.get(self.form)
        if self.made:
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
            for _ in range(self.mib):
                await answer.write(_MIB)
            await answer.write(b'"}')
        return answer
