"""What several deviations need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from orchestrator.simulator import problems
from orchestrator.simulator.calls import problem_answer
from orchestrator.simulator.dates import parse_moment

if TYPE_CHECKING:
    from tests.opinion.front import ObservedSpan

Answer = web.StreamResponse

SOON: Final = (1, 5, 25, 120, 600)
"""Seconds that pass within a run."""


def age(call: ObservedSpan, one: dict[str, Any]) -> float:
    """Seconds since a listed report was asked for."""
    about = call.front.world.find(one.get("request_id", ""))
    return call.now - about.created if about is not None else 0.0


def done(call: ObservedSpan, one: dict[str, Any]) -> float:
    """Seconds since a report was finished; negative while it is not."""
    about = call.front.world.find(one.get("request_id", ""))
    return -1.0 if about is None or about.ended is None else call.now - about.ended


def moment_of(value: Any) -> datetime | None:
    """A date of an answer, unless another deviation has made it unreadable."""
    try:
        return parse_moment(value)
    except (ValueError, TypeError):
        return None


def with_query(link: str, name: str, value: float) -> str:
    """A link with one more parameter."""
    return f"{link}{'&' if '?' in link else '?'}{name}={value}"


def respelled(text: str, form: str) -> str:
    """The same moment in another form, where the text is one."""
    moment = moment_of(text)
    if moment is None:
        return text
    match form:
        case "fraction":
            return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        case "lower":
            return moment.strftime("%Y-%m-%dt%H:%M:%Sz")
        case "space":
            return moment.strftime("%Y-%m-%d %H:%M:%S+00:00")
        case _:
            pass
    hours = timedelta(hours=int(form[1:3]), minutes=int(form[3:]))
    shifted = moment + (hours if form[0] == "+" else -hours)
    return f"{shifted:%Y-%m-%dT%H:%M:%S}{form}"


def unprocessable(words: str, *blamed: str) -> Answer:
    """422 that blames these parameters; without any, only its detail says why."""
    refusal = problems.unprocessable([(name, words) for name in blamed])
    if not blamed:
        refusal.problem["detail"] = words
    return problem_answer(refusal)


def http_date(call: ObservedSpan, seconds: int) -> str:
    """So many seconds from now, as headers write a date."""
    moment = datetime.fromtimestamp(call.now + seconds, UTC)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")
