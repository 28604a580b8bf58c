"""What is right and written otherwise, and what proves nothing and cannot be read."""

from __future__ import annotations

from typing import Any

from orchestrator.simulator.calls import WRONG_DATE
from tests.opinion.deviations.helpers import (
    Answer,
    done,
    respelled,
)
from tests.opinion.front import (
    CALLS,
    Go,
    ObservedSpan,
    echo_of,
    edited,
    kind,
    status_key,
)


@kind("status", "list", "create", weight=4, how=["upper", "lower", "padded", "strings", "minimal"])
async def echo_spelled(call: ObservedSpan, go: Go, how: str) -> Answer:
    """What was asked for is repeated in another spelling."""

    def edit(one: dict[str, Any]) -> None:
        echo = echo_of(one)
        for name in ("product", "direction", "account_id", "country", "status"):
            if name == "status" and "request_status" not in one and echo is one:
                continue
            value = echo.get(name)
            if not isinstance(value, str):
                continue
            match how:
                case "upper":
                    echo[name] = value.upper()
                case "lower":
                    echo[name] = value.lower()
                case "padded":
                    echo[name] = f"{value} "
                case _:
                    pass
        for name, value in list(echo.items()):
            if how == "strings" and isinstance(value, bool):
                echo[name] = str(value).lower()
            if how == "minimal" and (value is False or value is None):
                del echo[name]

    return edited(await go(), edit)


@kind("status", "list", "create", weight=3, form=["+0100", "-0530", "fraction", "lower", "space"])
async def dates_spelled(call: ObservedSpan, go: Go, form: str) -> Answer:
    """Dates are right, and written in another zone or form."""

    def edit(one: dict[str, Any]) -> None:
        for part in (one, echo_of(one)):
            for name in ("date_start", "date_end", "receive_time", "start_time"):
                if isinstance(part.get(name), str):
                    part[name] = respelled(part[name], form)

    return edited(await go(), edit)


@kind("status", "list", weight=4, form=["{}.0", "{}", "{:,}", " {} ", "+{}", "float", "missing"])
async def count_spelled(call: ObservedSpan, go: Go, form: str) -> Answer:
    """`items_count` is right, and written otherwise, or left out."""

    def edit(one: dict[str, Any]) -> None:
        count = one.get("items_count")
        if not isinstance(count, int) or done(call, one) < 0:
            return
        match form:
            case "float":
                one["items_count"] = float(count)
            case "missing":
                del one["items_count"]
            case _:
                one["items_count"] = form.format(count)

    return edited(await go(), edit)


@kind("status", "list", "create", weight=3, name=["receive_time", "start_time"],
      value=["2026-03-01T11:59:60+0000", "", None, "01/03/2026", 1772366400, []])  # fmt: skip
async def optional_odd(call: ObservedSpan, go: Go, name: str, value: Any) -> Answer:
    """A field that proves nothing cannot be read."""
    return edited(await go(), lambda one: one.update({name: value}) if name in one else None)


@kind(*CALLS, weight=1, form=["%A, %d-%b-%y %H:%M:%S GMT", "%c", "now", "-"])
async def date_odd(call: ObservedSpan, go: Go, form: str) -> Answer:
    """The ``Date`` of an answer is in an old form, or no date at all."""
    answer = await go()
    if not answer.prepared:
        answer.headers[WRONG_DATE] = call.front.clock.now().strftime(form)
    return answer


@kind("status", "list", weight=1, more=["new_field", "_embedded", "warnings"])
async def more_fields(call: ObservedSpan, go: Go, more: str) -> Answer:
    """Answers have fields that nobody has heard of."""
    return edited(await go(), lambda one: one.update({more: {"a": [1, None, "x"]}}))


@kind("status", "list", weight=2, word=["QUEUED", "Processing", "IN_PROGRESS", "success"])
async def words_new(call: ObservedSpan, go: Go, word: str) -> Answer:
    """Statuses come in another case, or are words that nobody has heard of while work goes on."""

    def edit(one: dict[str, Any]) -> None:
        key = status_key(one)
        if word == "success":
            one[key] = str(one[key]).lower()
        elif one[key] in ("PENDING", "PROCESSING"):
            one[key] = word

    return edited(await go(), edit)
