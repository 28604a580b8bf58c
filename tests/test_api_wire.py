"""The wire format: what is sent, and every dialect in which the API answers."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api import wire
from orchestrator.core.intervals import Window
from orchestrator.core.model import RemoteReport, Series, Status

if TYPE_CHECKING:
    from collections.abc import Container

ID = "ri3p58f-42d57cfd-1234-5678-9abc-67580d95f54a"
JUNE_4 = datetime(2020, 6, 4, 10, 53, 32, tzinfo=UTC)
MAY_21 = Window(
    datetime(2020, 5, 21, 13, 27, tzinfo=UTC), datetime(2020, 5, 21, 13, 57, tzinfo=UTC)
)

OLD: dict[str, Any] = {
    "request_id": ID,
    "request_status": "PENDING",
    "direction": "outbound",
    "product": "SMS",
    "account_id": "abcd1234",
    "date_start": "2020-05-21T13:27:00+0000",
    "date_end": "2020-05-21T13:57:00+0000",
    "include_subaccounts": False,
    "include_message": False,
    "receive_time": "2020-06-04T10:53:32+0000",
    "callback_url": "https://example.com/hook",
    "_links": {"self": {"href": f"https://api.nexmo.com/v2/reports/{ID}"}},
}


def old(**changes: Any) -> dict[str, Any]:
    return {**OLD, **changes}


def old_without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in old(**changes).items() if name not in names}


def test_the_body_spells_out_every_field_and_the_dates_in_utc() -> None:
    series = Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"})
    assert wire.create_body(series, MAY_21, None) == {
        "account_id": "abcd1234",
        "product": "SMS",
        "direction": "outbound",
        "status": "delivered",
        "include_message": False,
        "include_subaccounts": False,
        "show_concatenated": False,
        "date_start": "2020-05-21T13:27:00Z",
        "date_end": "2020-05-21T13:57:00Z",
    }


def test_the_callback_url_is_sent_along_and_the_series_is_left_as_it_was() -> None:
    series = Series.of("abcd1234", "VOICE")
    body = wire.create_body(series, MAY_21, "https://example.com/hook?x=1")
    assert body["callback_url"] == "https://example.com/hook?x=1"
    assert body["product"] == "VOICE-CALL"
    assert "callback_url" not in series.body
    assert "direction" not in body


def test_a_report_of_the_reference_is_read_in_full() -> None:
    assert wire.read_report(OLD) == RemoteReport(
        request_id=ID,
        status=Status.PENDING,
        status_word="PENDING",
        echo={
            "account_id": "abcd1234",
            "product": "SMS",
            "direction": "outbound",
            "include_subaccounts": False,
            "include_message": False,
        },
        date_start=MAY_21.start,
        date_end=MAY_21.end,
        received_at=JUNE_4,
        callback_url="https://example.com/hook",
    )


def test_a_report_of_the_newer_pages_is_read_in_full() -> None:
    answer = {
        "request_id": ID,
        "status": "SUCCESS",
        "receive_time": "2020-06-04T10:53:32Z",
        "start_time": "2020-06-04T10:53:33Z",
        "items_count": 17,
        "download_url": "https://api.nexmo.com/v3/media/f1",
        "request_params": {
            "account_id": "abcd1234",
            "product": "SMS",
            "direction": "outbound",
            "status": "delivered",
            "include_message": "true",
            "date_start": "2020-05-21T13:27:00Z",
            "date_end": "2020-05-21T13:57:00Z",
            "callback_url": "https://example.com/hook",
        },
    }
    assert wire.read_report(answer) == RemoteReport(
        request_id=ID,
        status=Status.SUCCESS,
        status_word="SUCCESS",
        echo={
            "account_id": "abcd1234",
            "product": "SMS",
            "direction": "outbound",
            "status": "delivered",
            "include_message": True,
        },
        date_start=MAY_21.start,
        date_end=MAY_21.end,
        received_at=JUNE_4,
        items_count=17,
        download_url="https://api.nexmo.com/v3/media/f1",
        callback_url="https://example.com/hook",
    )


@pytest.mark.parametrize(
    ("answer", "status", "word", "echoed"),
    [
        (old(status="failed"), Status.PENDING, "PENDING", "failed"),
        (old(request_status="TRUNCATED", status="delivered"), Status.TRUNCATED, None, "delivered"),
        (old_without("request_status", status="ABORTED"), Status.ABORTED, None, None),
        (old_without("request_status", status="failed"), None, "", "failed"),
        (old(request_status=None, status="SUCCESS"), Status.SUCCESS, None, None),
        (old(request_status="processing"), Status.PROCESSING, "processing", None),
        (old(request_status="ARCHIVED"), None, "ARCHIVED", None),
        (old_without("request_status"), None, "", None),
        (
            old(status="SUCCESS", request_params={"status": "expired"}),
            Status.PENDING,
            None,
            "expired",
        ),
        (old_without("request_status", status="DONE", request_params={}), None, "", None),
    ],
    ids=[
        "the filter beside the status",
        "the filter beside a final status",
        "plain status alone",
        "a filter alone",
        "request_status null",
        "lower case",
        "unknown word",
        "no status at all",
        "both statuses, filter nested",
        "unknown plain status, request nested",
    ],
)
def test_the_status_is_told_from_the_filter(
    answer: dict[str, Any], status: Status | None, word: str | None, echoed: str | None
) -> None:
    report = wire.read_report(answer)
    assert report.status is status
    assert report.status_word == (status.value if word is None and status else word)
    assert report.echo.get("status") == echoed


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2020-06-04T10:53:32+0000", JUNE_4),
        ("2020-06-04T10:53:32+00:00", JUNE_4),
        ("2020-06-04T10:53:32Z", JUNE_4),
        ("2020-06-04T12:53:32+0200", JUNE_4),
        ("2020-06-04T05:23:32-05:30", JUNE_4),
        ("2020-06-04T10:53:32.000Z", JUNE_4),
        ("2020-06-04T10:53:32.5+0000", JUNE_4.replace(microsecond=500_000)),
        ("2020-06-04T10:53:32.123456789Z", JUNE_4.replace(microsecond=123_456)),
        (None, None),
        ("", None),
    ],
)
def test_dates_come_with_any_offset_and_fraction(text: str | None, moment: datetime | None) -> None:
    report = wire.read_report(old(receive_time=text))
    assert report.received_at == moment
    assert report.received_at is None or report.received_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, 0), (7, 7), ("7", 7), (" 7 ", 7), (7.0, 7), (None, None), ("", None)],
)
def test_the_count_comes_as_number_or_text(count: object, expected: int | None) -> None:
    assert wire.read_report(old(items_count=count)).items_count == expected


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({}, None),
        ({"download_url": "https://a/1"}, "https://a/1"),
        ({"_links": {"download_report": {"href": "https://a/2"}}}, "https://a/2"),
        ({"download_url": None, "_links": {"download_report": {"href": "/v3/m/3"}}}, "/v3/m/3"),
        ({"_links": {"download_report": None}}, None),
        ({"_links": None}, None),
    ],
)
def test_the_link_stands_in_either_place(fields: dict[str, Any], url: str | None) -> None:
    assert wire.read_report(old(**fields)).download_url == url


@pytest.mark.parametrize(
    ("name", "value", "echoed"),
    [
        ("include_message", "true", True),
        ("include_message", "False", False),
        ("include_subaccounts", True, True),
        ("include_message", "perhaps", "perhaps"),
        ("product", "VOICE", "VOICE-CALL"),
        ("account_id", 12345678, "12345678"),
        ("swapped", True, "true"),
        ("country", "NO", "NO"),
        ("country", None, None),
        ("invented_by_the_server", "x", None),
    ],
)
def test_the_echo_holds_known_fields_in_our_types(name: str, value: object, echoed: object) -> None:
    assert wire.read_report(old(**{name: value})).echo.get(name) == echoed


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("DONE\x1b[2J", "DONE\\u001b[2J"),
        ("DONE\u202eX", "DONE\\u202eX"),
        ("\U00010f8a", "\\u10f8a"),
        ("\ud800", "\\ud800"),
        ("FERTIG\u00dc", "FERTIG\u00dc"),
    ],
    ids=["control", "right to left", "no character yet", "half a character", "a letter"],
)
def test_a_status_word_shows_what_no_terminal_can(word: str, shown: str) -> None:
    assert wire.read_report(old(request_status=word)).status_word == shown


def test_a_field_that_is_null_inside_the_nested_request_is_taken_from_outside() -> None:
    report = wire.read_report(old(request_params={"direction": None, "product": "MESSAGES"}))
    assert report.echo["direction"] == "outbound"
    assert report.echo["product"] == "MESSAGES"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "JSON, but a list where an object belongs"),
        (None, "JSON, but null where an object belongs"),
        ({}, "a JSON object without request_id"),
        (old(request_id=7), "a JSON object whose request_id cannot be one"),
        (old(request_id=""), "a JSON object whose request_id cannot be one"),
        (old(request_id="a b"), "a JSON object whose request_id cannot be one"),
        (old(request_id=".."), "a JSON object whose request_id cannot be one"),
        (old(request_id="x" * 257), "a JSON object whose request_id cannot be one"),
        (old(request_status=3), "a report whose request_status is a number"),
        (old(request_params=[]), "a report whose request_params is a list"),
        (old(direction=["outbound"]), "a report whose direction is a list"),
        (old(date_start="2020-05-21"), "a report whose date_start is not a date with an offset"),
        (
            old(date_end="2020-05-21T13:57:00"),
            "a report whose date_end is not a date with an offset",
        ),
        (old(date_end=1590069420), "a report whose date_end is not a date with an offset"),
        (old(date_end=[]), "a report whose date_end is not a date with an offset"),
        (
            old(receive_time="9999-01-01T00:00:00Z"),
            "a report whose receive_time is in the year 9999",
        ),
        (
            old(date_end="2020-13-21T13:57:00Z"),
            "a report whose date_end is no date of the calendar",
        ),
        (
            old(date_end="0001-01-01T00:00:00+01:00"),
            "a report whose date_end is no date of the calendar",
        ),
        (old(items_count=-1), "a report whose items_count is no count"),
        (old(items_count="many"), "a report whose items_count is no count"),
        (
            old(items_count=True),
            "a report whose items_count is a boolean that is no count",
        ),
        (old(items_count=1.5), "a report whose items_count is a number that is no count"),
        (old(download_url=7), "a report whose download_url is a number"),
        (old(_links=[]), "a report whose _links is a list"),
        (
            old(_links={"download_report": "https://a/1"}),
            "a report whose download_report is text",
        ),
        (old(_links={"download_report": {"href": {}}}), "a report whose href is an object"),
    ],
)
def test_a_wrong_shape_is_named(answer: object, words: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.read_report(answer)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "nothing"),
        (b"  \n", "nothing"),
        (b"<!DOCTYPE html><p>oops", "a page of HTML or XML"),
        (b'{"request_id": "ri3', "JSON that is cut or broken"),
        (b'{"request_id": NaN}', "JSON that is cut or broken"),
        (b"upstream timed out", "something that is not JSON"),
        (b"\xff\xfe{\x00", "bytes that are not UTF-8"),
        (b"[" * 200_000, "JSON that is nested too deeply"),
        (b'{"a":' * 200_000, "JSON that is nested too deeply"),
        (b"[1]", "JSON, but a list where an object belongs"),
        (b'"x"', "JSON, but text where an object belongs"),
        (b'{"n": ' + b"9" * 5000 + b"}", "JSON that is cut or broken"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_body_that_is_no_json_object_is_named(body: bytes, words: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.parse_object(body)
    assert str(caught.value) == words


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert wire.parse_object(b"\xef\xbb\xbf{}") == {}


def test_entries_of_a_list_that_are_no_reports_are_left_out() -> None:
    answer = {
        "items_count": 4,
        "reports": [OLD, None, {"request_id": 7}, "x", old(request_id="second")],
    }
    assert [report.request_id for report in wire.read_list(answer)] == [ID, "second"]


@pytest.mark.parametrize(
    ("count", "said"), [(4, 4), ("1,234", None), (None, None)], ids=["count", "odd", "none"]
)
def test_a_list_tells_how_many_there_are_and_how_many_could_not_be_read(
    count: object, said: int | None
) -> None:
    listed = wire.read_list({"items_count": count, "reports": [OLD, None, {"request_id": 7}]})
    assert (len(listed), listed.unread) == (1, 2)
    assert listed.said in (said, 1234)


@pytest.mark.parametrize(
    "answer",
    [
        old(receive_time="yesterday"),
        old(date_start="01/02/2026", request_status=7),
        old(items_count={"a": 1}, _links=[]),
        old(request_params=[]),
        {"report": OLD},
        {"request_params": OLD},
        {"reports": [OLD]},
        {"request_id": ID},
    ],
    ids=["date", "dates", "links", "params", "wrapped", "in params", "in a list", "bare"],
)
def test_in_the_answer_to_a_create_only_the_id_matters(answer: dict[str, Any]) -> None:
    assert wire.read_created(answer).request_id == ID


@pytest.mark.parametrize(
    "answer",
    [{}, {"report": {}}, {"request_id": 7}, {"reports": [OLD, OLD]}, {"request_id": "a b"}],
    ids=["empty", "wrapped", "number", "two", "space"],
)
def test_an_answer_to_a_create_without_a_plausible_id_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError, match="request_id"):
        wire.read_created(answer)


@pytest.mark.parametrize(
    ("only", "read"),
    [(None, [ID, "second"]), ({ID}, [ID]), ({"second": 1}, ["second"]), ((), [])],
    ids=["all", "a set", "a mapping", "none"],
)
def test_only_the_entries_of_the_wanted_ids_are_read(
    only: Container[str] | None, read: list[str]
) -> None:
    answer: dict[str, Any] = {
        "reports": [OLD, None, [], {"request_id": {}}, old(request_id="second")]
    }
    assert [report.request_id for report in wire.read_list(answer, only)] == read


def test_a_wanted_entry_that_cannot_be_read_is_left_out_all_the_same() -> None:
    answer = {"reports": [old(receive_time="yesterday"), old(request_id="second")]}
    assert [report.request_id for report in wire.read_list(answer, {ID, "second"})] == ["second"]


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u2003", "\x1f", "\u3000", "\u2028"])
def test_no_space_of_any_kind_is_in_an_id(space: str) -> None:
    with pytest.raises(wire.WireError, match="request_id cannot be one"):
        wire.read_report(old(request_id=f"a{space}b"))


@pytest.mark.parametrize("answer", [{}, {"reports": None}, {"reports": {}}, {"items_count": 0}])
def test_a_list_answer_without_a_list_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError, match="without a list of reports"):
        wire.read_list(answer)


words = st.text("aZ0-:<\n\u00e9", max_size=6) | st.sampled_from(["SUCCESS", "2020-06-04T10:53:32Z"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*OLD, "status", "request_params", "items_count", "download_url"])


@given(st.dictionaries(names, json_values))
def test_whatever_an_object_holds_it_is_a_report_or_a_wire_error(answer: dict[str, Any]) -> None:
    with suppress(wire.WireError):
        report = wire.read_report({"request_id": ID, **answer})
        assert report.request_id == answer.get("request_id", ID)


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_an_object_or_a_wire_error(body: bytes) -> None:
    with suppress(wire.WireError):
        assert isinstance(wire.parse_object(body), dict)


windows = st.builds(
    lambda start, length: Window.of_epoch(start, start + length),
    st.integers(0, 4_000_000_000),
    st.integers(1, 40_000_000),
)


@given(
    windows,
    st.sampled_from(["SMS", "VOICE", "VERIFY-API", "NEWS-OF-TOMORROW"]),
    st.sampled_from(["inbound", "outbound", None]),
    st.dictionaries(
        st.sampled_from(["to", "status", "country"]), st.text('NO"\u00e9 ', max_size=5)
    ),
    st.booleans(),
)
def test_what_is_sent_and_echoed_is_read_back_equal(
    window: Window, product: str, direction: str | None, fields: dict[str, str], nested: bool
) -> None:
    series = Series.of("abcd1234", product, direction, fields)
    body = wire.create_body(series, window, None)
    answer: dict[str, Any] = {"request_id": ID, "request_status": "PENDING"}
    answer |= {"request_params": body} if nested else body
    report = wire.read_report(wire.parse_object(json.dumps(answer).encode()))
    assert report.echo == series.body
    assert (report.date_start, report.date_end) == (window.start, window.end)
