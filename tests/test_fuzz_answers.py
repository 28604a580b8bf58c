"""Fuzzing of the wire format: answers with anything put anywhere, refusals of any form."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.api import bounded_json, problems, wire
from orchestrator.errors import ApiError, Throttled
from orchestrator.simulator.faults.answers import JSON_FORMS
from orchestrator.texts import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.core.model import RemoteReport

NOON: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)

REPORT: Final[dict[str, Any]] = {
    "request_id": "ri3p58f-42d57cfd-1234-5678-9abc-67580d95f54a",
    "request_status": "SUCCESS",
    "direction": "outbound",
    "product": "SMS",
    "account_id": "abcd1234",
    "status": "delivered",
    "date_start": "2020-05-21T13:27:00+0000",
    "date_end": "2020-05-21T13:57:00Z",
    "include_message": "false",
    "receive_time": "2020-06-04T10:53:32.123+00:00",
    "items_count": 17,
    "download_url": "https://api.nexmo.com/v3/media/f1",
    "request_params": {"product": "SMS", "include_subaccounts": False},
    "_links": {"self": {"href": "x"}, "download_report": {"href": "https://x.example/y"}},
}
LIST: Final[dict[str, Any]] = {"self_link": "x", "items_count": 2, "reports": [REPORT, REPORT]}

ODD: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, False, 0, -1, 10**400, 1e308, 0.5, "", " ", "\0", "..", "../../x", "NaN", "\ud800",
     "9999-12-31T23:59:59-1400", "0001-01-01T00:00:00+14:00", "2020-02-30T00:00:00Z", "PENDING",
     "1" * 5000, [], {}, [[]], {"href": 1}, "\x1b[2J", "٣"]
)  # fmt: skip
ANYTHING: Final[st.SearchStrategy[Any]] = st.recursive(
    ODD | st.text(max_size=12) | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)

fuzzed = settings(
    max_examples=500,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.too_slow],
)


def _places(answer: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of an answer with each of its keys."""
    items: Any = ()
    if isinstance(answer, dict):
        items = list(answer.items())
    elif isinstance(answer, list):
        items = list(enumerate(answer))
    for key, value in items:
        yield answer, key
        yield from _places(value)


@st.composite
def mutants(draw: st.DrawFn, origin: dict[str, Any]) -> dict[str, Any]:
    answer = copy.deepcopy(origin)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(answer))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from(sorted(wire.ECHOED_FIELDS)))] = copy.deepcopy(
                    draw(ANYTHING)
                )
            case _:
                holder[key] = copy.deepcopy(draw(ANYTHING))
    return answer


def is_sound(report: RemoteReport) -> bool:
    """Everything that the rest of the program relies on."""
    moments: tuple[Any, ...] = (report.date_start, report.date_end, report.received_at)
    links: tuple[Any, ...] = (report.download_url, report.callback_url)
    texts = (report.request_id, report.status_word, *(report.echo.keys()))
    return (
        bool(report.request_id)
        and all(printable(text) == text for text in texts)
        and all(moment is None or moment.tzinfo is UTC for moment in moments)
        and (report.items_count is None or 0 <= report.items_count < 10**15)
        and {type(value) for value in report.echo.values()} <= {str, bool}
        and {type(link) for link in links} <= {str, type(None)}
    )


def read(reader: Callable[[Any], Any], given: Any) -> tuple[str, Any]:
    """What a reader makes of it, or the words of its refusal; all else that it raises is a bug."""
    try:
        return "", reader(given)
    except bounded_json.WireError as refusal:
        return str(refusal) or "\0 no words at all", None


@fuzzed
@given(mutants(REPORT))
@example({**REPORT, "request_status": "\U00018d09"})  # no character of Unicode yet
def test_a_report_with_anything_anywhere_is_sound_or_refused_in_words(answer: Any) -> None:
    words, report = read(wire.read_report, answer)
    assert printable(words) == words
    assert len(words) < 300
    assert report is None or is_sound(report), report


@fuzzed
@given(mutants(LIST))
def test_a_list_with_anything_anywhere_holds_sound_reports_or_is_refused(answer: Any) -> None:
    words, reports = read(wire.read_list, answer)
    assert printable(words) == words
    assert all(is_sound(report) for report in reports or ())


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    raw = json.dumps(draw(st.sampled_from([REPORT, LIST]))).encode()
    raw = draw(st.sampled_from([raw, *JSON_FORMS.values()]))
    for _ in range(draw(st.integers(1, 3))):
        first, second = sorted((draw(st.integers(0, len(raw))), draw(st.integers(0, len(raw)))))
        middle = draw(st.binary(max_size=8) | st.sampled_from([b'"', b"{", b"\\u", b"NaN", b","]))
        raw = raw[:first] + middle + draw(st.sampled_from([raw[first:], raw[second:]]))
    return raw


@fuzzed
@given(broken_bytes())
def test_broken_bytes_are_an_object_or_refused_in_words(raw: bytes) -> None:
    words, found = read(bounded_json.parse_object, raw)
    assert printable(words) == words
    assert found is None or isinstance(found, dict)


HEADERS: Final = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Content-Type"]),
    st.text("0123456789 -+.,:GMTSunMare", max_size=30)
    | st.sampled_from(["inf", "nan", "1e9", "٣"]),
)


@fuzzed
@given(
    st.sampled_from([400, 401, 403, 404, 409, 418, 422, 429, 451, 499, 500, 502, 503, 504, 599]),
    HEADERS,
    broken_bytes() | ANYTHING.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
)
def test_every_refusal_is_an_error_for_people_whatever_comes_with_it(
    status: int, headers: dict[str, str], raw: bytes
) -> None:
    problem = problems.read_problem(status, raw)
    error = problems.refusal(status, headers, problem, call="GET /x", api_key="abcd1234", now=NOON)
    assert isinstance(error, ApiError)
    assert printable(str(error)) == str(error)
    assert len(str(error)) < 50_000
    assert isinstance(error, Throttled) or status != 429
    wait = getattr(error, "retry_after", None)
    assert wait is None or timedelta() <= wait <= timedelta(days=365)
