"""The kinds of faults: what can go wrong, where, with which options. A new one is added here.

A kind is a function with `@_in_calls` (it stands around one HTTP call) or `@_in_quirks` (it
changes a report for good, or one download of it).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final

from aiohttp import web

from orchestrator.sim import problems
from orchestrator.sim.calls import Call, problem_answer
from orchestrator.sim.problems import Refused
from orchestrator.sim.reports import Phase, Quirks

Options = Mapping[str, Any]
CallAct = Callable[[Call, Options], Awaitable[web.StreamResponse]]
QuirkAct = Callable[[Quirks, Options], None]

CALLS: Final = ("create", "status", "list", "cancel", "download", "records")
PLACES: Final = (*CALLS, "report")
"""Where a fault can strike: at a call, or at a report when it is made."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a kind.

    Attributes:
        read: makes the value of what stands in a file; `ValueError` says what it must be.
        default: None where there is none and the option may be left out.
        required: it must be given.
    """

    read: Callable[[Any], Any]
    default: Any = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. Exactly one of `in_call` and `in_quirks` is set."""

    name: str
    places: tuple[str, ...]
    options: Mapping[str, Option]
    in_call: CallAct | None = None
    in_quirks: QuirkAct | None = None


KINDS: Final[dict[str, Kind]] = {}
"""Every kind by its name."""


def _in_calls(*places: str, **options: Option) -> Callable[[CallAct], CallAct]:
    def register(act: CallAct) -> CallAct:
        name = act.__name__.strip("_")
        KINDS[name] = Kind(name, places or CALLS, options, in_call=act)
        return act

    return register


def _in_quirks(*places: str, **options: Option) -> Callable[[QuirkAct], QuirkAct]:
    def register(act: QuirkAct) -> QuirkAct:
        name = act.__name__.strip("_")
        KINDS[name] = Kind(name, places, options, in_quirks=act)
        return act

    return register


# --- what options may be --------------------------------------------------------------------------


def whole(given: Any) -> int:
    """A whole number."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"must be a whole number, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


def number(given: Any) -> float:
    """A number, not negative."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 1e12:
        raise ValueError(f"must be a number that is not negative, not {given!r}")
    return float(given)


def share(given: Any) -> float:
    """A number between 0 and 1."""
    if number(given) > 1:
        raise ValueError(f"must lie between 0 and 1, not {given!r}")
    return float(given)


def text(given: Any) -> str:
    """Text."""
    if not isinstance(given, str) or not given:
        raise ValueError(f"must be text, not {given!r}")
    return given


def flag(given: Any) -> bool:
    """True or false."""
    if not isinstance(given, bool):
        raise ValueError(f"must be true or false, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


def _http_status(given: Any) -> int:
    if not 100 <= whole(given) <= 599:
        raise ValueError(f"must be an HTTP status, not {given!r}")
    return int(given)


def _phase(given: Any) -> Phase:
    if given not in ("PENDING", "PROCESSING"):
        raise ValueError(f"must be PENDING or PROCESSING, not {given!r}")
    return Phase(given)


def _scalar(given: Any) -> str | bool:
    if not isinstance(given, str | bool):
        raise ValueError(f"must be text, true or false, not {given!r}")  # noqa: TRY004 - one error for the loader to place
    return given


_MADE: Final = Option(flag, default=False)
"""Whether the call does its work before the fault strikes: the report was made all the same."""


# --- at a call ------------------------------------------------------------------------------------


@_in_calls(
    status=Option(_http_status, required=True),
    retry_after=Option(number),
    as_date=Option(flag, default=False),
    rate_limit=Option(flag, default=False),
    made=_MADE,
)
async def _refuse(call: Call, options: Options) -> web.StreamResponse:
    """Another status; with ``Retry-After`` in seconds or as a date, with the type of a throttle."""
    if options["made"]:
        await call.proceed()
    status, seconds = options["status"], options["retry_after"]
    headers = {}
    if seconds is not None:
        headers["Retry-After"] = (
            formatdate(call.clock.epoch() + seconds, usegmt=True)
            if options["as_date"]
            else f"{seconds:g}"
        )
    if status == 429 or options["rate_limit"]:
        return problem_answer(problems.too_fast(status, headers))
    if status >= 500:
        return problem_answer(problems.server_error(status, headers))
    named = {
        401: problems.unauthorized(),
        403: problems.forbidden(),
        404: problems.no_report(call.request.match_info.get("id", "")),
        409: problems.already_final(),
    }
    refused = named.get(status) or Refused(status, "about:blank", "Refused", "Refused by a fault.")
    refused.headers.update(headers)
    return problem_answer(refused)


@_in_calls(made=_MADE)
async def _reset(call: Call, options: Options) -> web.StreamResponse:
    """The connection is reset."""
    if options["made"]:
        await call.proceed()
    return call.reset()


@_in_calls(share=Option(share, default=0.5))
async def _cut(call: Call, options: Options) -> web.StreamResponse:
    """The work is done, and the answer breaks off."""
    call.cut = options["share"]
    return await call.cut_short(await call.proceed(), options["share"])


@_in_calls(seconds=Option(number, required=True), made=_MADE)
async def _hang(call: Call, options: Options) -> web.StreamResponse:
    """Nothing happens for some time of the loop; then the answer comes after all."""
    if not options["made"]:
        await call.pause(options["seconds"])
        return await call.proceed()
    response = await call.proceed()
    if not response.prepared:
        await call.pause(options["seconds"])
    return response


@_in_calls(status=Option(_http_status, default=502), made=_MADE)
async def _html(call: Call, options: Options) -> web.StreamResponse:
    """A page of some machine in between."""
    if options["made"]:
        await call.proceed()
    page = "<!DOCTYPE html><html><body><h1>Sorry</h1><p>Please try later.</p></body></html>"
    return web.Response(text=page, status=options["status"], content_type="text/html")


def _edited(
    response: web.StreamResponse, edit: Callable[[dict[str, Any]], None]
) -> web.StreamResponse:
    """The answer with its JSON changed; anything but a 200 is left alone."""
    if response.status == 200 and isinstance(response, web.Response):
        content = json.loads(response.body) if isinstance(response.body, bytes) else {}
        edit(content)
        response.body = json.dumps(content).encode()
    return response


@_in_calls("list", newest=Option(whole, default=1))
async def _lacks(call: Call, options: Options) -> web.StreamResponse:
    """The list does not show the newest reports yet."""

    def edit(answer: dict[str, Any]) -> None:
        shown = max(0, len(answer["reports"]) - options["newest"])
        answer.update(reports=answer["reports"][:shown], items_count=shown)

    return _edited(await call.proceed(), edit)


@_in_calls("list")
async def _empty(call: Call, _options: Options) -> web.StreamResponse:
    """The list shows nothing."""
    return _edited(await call.proceed(), lambda answer: answer.update(reports=[], items_count=0))


@_in_calls("create", "status", "cancel", status=Option(text, required=True))
async def _word(call: Call, options: Options) -> web.StreamResponse:
    """This one answer carries another status word."""

    def edit(answer: dict[str, Any]) -> None:
        answer["request_status" if "request_status" in answer else "status"] = options["status"]

    return _edited(await call.proceed(), edit)


# --- at a report, or at one download --------------------------------------------------------------


@_in_quirks("report", status=Option(text, required=True))
def _outcome(quirks: Quirks, options: Options) -> None:
    """It ends with this status: ``FAILED``, ``ABORTED``, ``TRUNCATED`` or any other word."""
    quirks.outcome = options["status"]


@_in_quirks("report", phase=Option(_phase, default=Phase.PENDING))
def _stuck(quirks: Quirks, options: Options) -> None:
    """It never leaves a phase."""
    quirks.stuck = options["phase"]


@_in_quirks("report", by=Option(whole, default=1))
def _wrong_count(quirks: Quirks, options: Options) -> None:
    """Its `items_count` is wrong in every answer."""
    quirks.count_by = options["by"]


@_in_quirks("report", field=Option(text, default="product"), value=Option(_scalar, required=True))
def _wrong_echo(quirks: Quirks, options: Options) -> None:
    """A field is echoed with another value."""
    quirks.echo[options["field"]] = options["value"]


@_in_quirks("report", "download")
def _bad_crc(quirks: Quirks, _options: Options) -> None:
    """The archive's checksum is wrong."""
    quirks.wrong_crc = True


@_in_quirks("report", "download", share=Option(share, default=0.5))
def _cut_file(quirks: Quirks, options: Options) -> None:
    """The archive lacks its end, though the answer is complete."""
    quirks.keep = options["share"]


@_in_quirks("report", "download")
def _gone(quirks: Quirks, _options: Options) -> None:
    """The download link answers 404."""
    quirks.gone = True
