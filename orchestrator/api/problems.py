"""Turns an answer that is no success into one of our errors. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final

from orchestrator.api import bounded_json
from orchestrator.core import vonage
from orchestrator.errors import (
    ApiError,
    NotFound,
    Problem,
    Rejected,
    ServerFault,
    Throttled,
    Unauthorized,
)
from orchestrator.texts import short

MAX_RETRY_AFTER: Final = timedelta(days=365)
"""A longer ``Retry-After`` is shortened to this. How long a run really waits, the engine says."""

_MAX_PARAMETERS: Final = 20  # of `invalid_parameters` that are read
_A_DATE: Final = re.compile(r"date[ _-]?(start|end|range)|(start|end)[ _-]?date", re.IGNORECASE)


@lru_cache(maxsize=16)
def read_date(text: str | None) -> datetime | None:
    """An HTTP date, such as the ``Date`` header has; None where it is missing or none.

    The latest are remembered: every answer of a second carries the same.
    """
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # RFC 9110: an HTTP date is always in UTC, also where it does not say so
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def read_retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long ``Retry-After`` asks to wait: from zero to `MAX_RETRY_AFTER`; None without it.

    A date counts from the server's own ``Date``, so that a clock that differs does not matter;
    from `now` only where that header is missing.
    """
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[+-]?\d{1,20}(\.\d{1,20})?", text, re.ASCII):
        seconds = min(float(text), MAX_RETRY_AFTER.total_seconds())
        return timedelta(seconds=max(0.0, seconds))
    until = read_date(text or None)
    if until is None:
        return None
    wait = until - (read_date(headers.get("Date")) or now)
    return min(max(wait, timedelta()), MAX_RETRY_AFTER)


def read_problem(status: int, body: bytes, hide: Callable[[str], str] = str) -> Problem | None:
    """The problem object in an answer, as far as it is one; None where the body is something else.

    Texts are shortened, and stripped of what a terminal or a log could take for its own.

    Args:
        hide: takes secrets out of a text: of each as it was meant, whatever JSON escaped in it.
    """
    try:
        answer = bounded_json.parse_object(body)
    except bounded_json.WireError:
        return None
    texts = {name: _words(answer.get(name), hide) for name in ("type", "title", "detail")}
    pairs = answer.get("invalid_parameters")
    blamed = tuple(
        (_words(pair.get("name"), hide), _words(pair.get("reason"), hide))
        for pair in (pairs if isinstance(pairs, list) else [])[:_MAX_PARAMETERS]
        if isinstance(pair, dict)
    )
    if not blamed and not any(texts.values()):
        return None
    return Problem(status=status, invalid_parameters=blamed, **texts)


def names_a_date(problem: Problem | None) -> bool:
    """Whether a problem blames the date range: another window may pass where this one did not.

    Parameters that it names are believed first, its prose only where it names none.
    """
    if problem is None:
        return False
    if problem.invalid_parameters:
        return any(_A_DATE.search(f"{name} {why}") for name, why in problem.invalid_parameters)
    return _A_DATE.search(f"{problem.title} {problem.detail}") is not None


def refusal(
    status: int,
    headers: Mapping[str, str],
    problem: Problem | None,
    *,
    call: str,
    api_key: str,
    now: datetime,
) -> ApiError:
    """The error for an answer of the API itself that is no success.

    Args:
        status: the HTTP status, from 400 up.
        problem: what the answer says, where it says something.
        api_key: the key that signed; it is no secret.
    """
    said = str(problem or f"HTTP {status} without words")
    retry_after = read_retry_after(headers, now)
    rate_limit = problem is not None and problem.type.endswith(vonage.RATE_LIMIT_TYPE)
    if status == 429 or (status == 403 and rate_limit):
        return Throttled(
            f"{call}: too many requests of key {api_key} ({said}); it goes on more slowly",
            call=call,
            problem=problem,
            retry_after=retry_after,
        )
    if status == 401:
        return Unauthorized(
            f"{call}: the API does not accept key {api_key} ({said}); check the key and its"
            " secret in the credentials",
            status=status,
            call=call,
            problem=problem,
        )
    if status == 403:
        return Unauthorized(
            f"{call}: key {api_key} may not do this ({said}); check that the account is its own"
            " or a subaccount of it, and that the Reports API is enabled for it",
            status=status,
            call=call,
            problem=problem,
        )
    if status in {404, 410}:
        return NotFound(
            f"{call}: the API knows nothing of it ({said}); reports are forgotten after"
            f" {vonage.REPORT_LIFE.days} days and files after"
            f" {vonage.FILE_PROMISED // timedelta(hours=1)} hours",
            call=call,
            problem=problem,
        )
    if status < 500:
        return Rejected(
            f"{call}: the API refuses the request ({said}); what it names must change first",
            status=status,
            call=call,
            problem=problem,
            names_a_date=status == 422 and names_a_date(problem),
        )
    return ServerFault(
        f"{call}: the API failed ({said}); {_when(retry_after)}",
        call=call,
        problem=problem,
        retry_after=retry_after,
    )


def _when(retry_after: timedelta | None) -> str:
    return f"it asks to wait {retry_after}" if retry_after else "try again later"


def _words(value: Any, hide: Callable[[str], str]) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = "".join(letter if letter.isprintable() else " " for letter in hide(str(value))).strip()
    return short(text)
