"""The wire format: what is sent, and every dialect in which the API answers."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api import bounded_json, wire
from orchestrator.core.intervals import Window
from orchestrator.core.model import RemoteReport, Series
from orchestrator.core.vonage import Status

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
        (
            old_without("request_status", status="success", request_params={"status": "failed"}),
            Status.SUCCESS,
            None,
            "failed",
        ),
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
        "lower case, request nested",
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
        ("2020-06-04T12:53:32+02", JUNE_4),
        ("2020-06-04 10:53:32 Z", JUNE_4),
        (" 2020-06-04T10:53:32Z ", JUNE_4),
        ("2020-06-04T10:53Z", JUNE_4.replace(second=0)),
        ("2020-06-04T10:53:60Z", JUNE_4.replace(minute=54, second=0)),
        ("2020-06-04T10:53:60.75+0000", JUNE_4.replace(minute=54, second=0)),
        ("2020-06-03T24:00:00Z", JUNE_4.replace(hour=0, minute=0, second=0)),
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
    [
        (0, 0),
        (7, 7),
        ("7", 7),
        (" 7 ", 7),
        (7.0, 7),
        ("8.0", 8),
        ("1,234", 1234),
        ("7,000,000.00", 7_000_000),
        (None, None),
        ("", None),
    ],
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
        ({"_links": {"download_report": "https://a/4"}}, "https://a/4"),
        ({"download_url": " https://a/5\n"}, "https://a/5"),
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
        ("country", ["NO", "SE"], "NO,SE"),
        ("country", None, None),
        ("invented_by_the_server", "x", None),
    ],
)
def test_the_echo_holds_known_fields_in_our_types(name: str, value: object, echoed: object) -> None:
    assert wire.read_report(old(**{name: value})).echo.get(name) == echoed


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("DONE\x1b[2J", "DONE\\x1b[2J"),
        ("DONE\u202eX", "DONE\\u202eX"),
        ("\U00010f8a", "\U00010f8a"),
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
    ],
)
def test_an_object_without_an_id_is_no_report(answer: object, words: str) -> None:
    with pytest.raises(bounded_json.WireError) as caught:
        wire.read_report(answer)
    assert str(caught.value) == words


def test_an_id_may_be_padded() -> None:
    answer = old(request_id=" a ")
    assert wire.read_report(answer).request_id == "a"
    assert [one.request_id for one in wire.read_list({"reports": [answer]}, {"a"})] == ["a"]


@pytest.mark.parametrize(
    ("fields", "unreadable"),
    [
        ({"request_status": 3}, {"request_status": "request_status is a number"}),
        ({"request_params": []}, {"request_params": "request_params is a list"}),
        ({"direction": [["x"]]}, {"direction": "direction is a list"}),
        ({"direction": {}}, {"direction": "direction is an object"}),
        ({"date_start": "2020-05-21"}, {"date_start": "date_start is not a date with an offset"}),
        (
            {"date_end": "2020-05-21T13:57:00"},
            {"date_end": "date_end is not a date with an offset"},
        ),
        ({"date_end": 1590069420}, {"date_end": "date_end is not a date with an offset"}),
        ({"date_end": []}, {"date_end": "date_end is not a date with an offset"}),
        (
            {"receive_time": "9999-01-01T00:00:00Z"},
            {"receive_time": "receive_time is in the year 9999"},
        ),
        (
            {"date_end": "2020-13-21T13:57:00Z", "date_start": "2020-01-01T24:00:01Z"},
            {
                "date_start": "date_start is no date of the calendar",
                "date_end": "date_end is no date of the calendar",
            },
        ),
        (
            {"date_end": "0001-01-01T00:00:00+01:00"},
            {"date_end": "date_end is no date of the calendar"},
        ),
        ({"items_count": -1}, {"items_count": "items_count is no count"}),
        ({"items_count": "many"}, {"items_count": "items_count is no count"}),
        ({"items_count": "1,23"}, {"items_count": "items_count is no count"}),
        ({"items_count": "1.234"}, {"items_count": "items_count is no count"}),
        ({"items_count": True}, {"items_count": "items_count is a boolean that is no count"}),
        ({"items_count": 1.5}, {"items_count": "items_count is a number that is no count"}),
        ({"download_url": 7}, {"download_url": "download_url is a number"}),
        ({"_links": []}, {"_links": "_links is a list"}),
        ({"_links": {"download_report": []}}, {"download_report": "download_report is a list"}),
        ({"_links": {"download_report": {"href": {}}}}, {"href": "href is an object"}),
    ],
)
def test_a_field_that_cannot_be_read_is_absent_and_named(
    fields: dict[str, Any], unreadable: dict[str, str]
) -> None:
    """One odd field does not hide the others, least of all the id."""
    read = wire.read_report(old(**fields))
    absent = wire.read_report(old_without(*fields))
    assert read.unreadable == unreadable
    assert replace(read, unreadable={}) == replace(
        absent, download_url=read.download_url, callback_url=absent.callback_url
    )


@pytest.mark.parametrize(
    ("json_text", "what"),
    [
        ('{"items_count": NaN}', "NaN"),
        ('{"items_count": -Infinity}', "-Infinity"),
        ('{"items_count": 1, "items_count": 2}', "two values of one name"),
        ('{"items_count": ' + "9" * 5000 + "}", "a number without end"),
    ],
    ids=["nan", "infinity", "twice", "endless"],
)
def test_what_json_does_not_have_spoils_its_own_field_alone(json_text: str, what: str) -> None:
    body = f'{{"request_id": "r-1", "request_status": "SUCCESS", {json_text[1:]}'.encode()
    read = wire.read_report(bounded_json.parse_object(body))
    assert (read.request_id, read.status, read.items_count) == ("r-1", Status.SUCCESS, None)
    assert read.unreadable == {"items_count": f"items_count is {what} that is no count"}


def test_a_name_that_stands_twice_with_one_value_is_no_riddle() -> None:
    read = wire.read_report(bounded_json.parse_object(b'{"request_id": "r", "request_id": "r"}'))
    assert read.request_id == "r"


@pytest.mark.parametrize(
    "body",
    [
        b'{"request_id": "r-1", "receive_time": "yesterday", "items_count": "?"}',
        b'{"request_id": "r-1", "items_count": NaN}',
        b'{"request_id": "r-1", "status": 1, "status": 2}',
        b'{"request_id": "r-1", "client_ref": "Gr\xfc\xdfe"}',
        b'{"request_id": "r-1"} and more',
        b' {"request_id": "r-1"}\0',
        b'{"request_id": "r-1", "client_ref": "a\nb"}',
    ],
)
def test_what_is_odd_in_the_answer_to_a_create_does_not_hide_its_id(body: bytes) -> None:
    assert wire.read_created(wire.parse_created(body)).request_id == "r-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"request_id": "r-',
        b'{"request_id": "r-1"',
        b'{"request_id": "Gr\xfc\xdfe"}',
        b'{"request_id": "x", "request_id": "y"}',
        b'[{"request_id": "r-1"}]',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: str(body[:20]),
)
def test_an_answer_to_a_create_without_a_whole_id_is_none(body: bytes) -> None:
    with pytest.raises(bounded_json.WireError):
        wire.read_created(wire.parse_created(body))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "nothing"),
        (b"  \n", "nothing"),
        (b"<!DOCTYPE html><p>oops", "a page of HTML or XML"),
        (b'{"request_id": "ri3', "JSON that is cut or broken"),
        (b"upstream timed out", "something that is not JSON"),
        (b"\xff\xfe{\x00", "bytes that are not UTF-8"),
        (b"[" * 200_000, "JSON that is nested too deeply"),
        (b'{"a":' * 200_000, "JSON that is nested too deeply"),
        (b"[1]", "JSON, but a list where an object belongs"),
        (b'"x"', "JSON, but text where an object belongs"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_body_that_is_no_json_object_is_named(body: bytes, words: str) -> None:
    with pytest.raises(bounded_json.WireError) as caught:
        bounded_json.parse_object(body)
    assert str(caught.value) == words


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert bounded_json.parse_object(b"\xef\xbb\xbf{}") == {}


def test_entries_of_a_list_that_are_no_reports_are_left_out() -> None:
    answer = {
        "items_count": 4,
        "reports": [OLD, None, {"request_id": []}, "x", old(request_id="second")],
    }
    assert [report.request_id for report in wire.read_list(answer)] == [ID, "second"]


@pytest.mark.parametrize(("count", "said"), [(4, 4), ("1,234", 1234), ("?", None), (None, None)])
def test_a_list_tells_how_many_there_are_and_how_many_could_not_be_read(
    count: object, said: int | None
) -> None:
    listed = wire.read_list({"items_count": count, "reports": [OLD, None, {"request_id": 7}]})
    assert (len(listed), listed.unread) == (1, 2)
    assert listed.said == said


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
    with pytest.raises(bounded_json.WireError, match="request_id"):
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


def test_entries_that_are_not_wanted_are_dropped_while_the_list_is_parsed() -> None:
    inner = {"request_id": "third", "status": "delivered"}
    answer = {
        "request_id": "of the answer itself",
        "items_count": 3,
        "reports": [old(), old(request_id=" second "), old(request_id="third", request=inner)],
    }
    drop = partial(wire.is_of_another, {"second"})
    parsed = bounded_json.parse_object(json.dumps(answer).encode(), drop)
    assert [isinstance(entry, dict) for entry in parsed["reports"]] == [False, True, False]
    listed = wire.read_list(parsed, {"second"})
    assert ([report.request_id for report in listed], listed.said, listed.unread) == (
        ["second"], 3, 0,
    )  # fmt: skip


def test_what_an_entry_repeats_of_another_report_is_unreadable_and_not_empty() -> None:
    answer = {"reports": [old(request_params={"request_id": "another", "status": "failed"})]}
    drop = partial(wire.is_of_another, {ID})
    parsed = bounded_json.parse_object(json.dumps(answer).encode(), drop)
    (report,) = wire.read_list(parsed, {ID})
    assert report.unreadable == {"request_params": "request_params is an object of no use"}


def test_a_wanted_entry_with_an_odd_field_is_read_all_the_same() -> None:
    answer = {"reports": [old(receive_time="yesterday"), old(request_id="second")]}
    read = wire.read_list(answer, {ID, "second"})
    assert [report.request_id for report in read] == [ID, "second"]


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u2003", "\x1f", "\u3000", "\u2028"])
def test_no_space_of_any_kind_is_in_an_id(space: str) -> None:
    with pytest.raises(bounded_json.WireError, match="request_id cannot be one"):
        wire.read_report(old(request_id=f"a{space}b"))


@pytest.mark.parametrize("answer", [{}, {"reports": None}, {"reports": {}}, {"items_count": 0}])
def test_a_list_answer_without_a_list_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(bounded_json.WireError, match="without a list of reports"):
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
    with suppress(bounded_json.WireError):
        report = wire.read_report({"request_id": ID, **answer})
        assert report.request_id == str(answer.get("request_id", ID)).strip()


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_an_object_or_a_wire_error(body: bytes) -> None:
    with suppress(bounded_json.WireError):
        assert isinstance(bounded_json.parse_object(body), dict)


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
    report = wire.read_report(bounded_json.parse_object(json.dumps(answer).encode()))
    assert report.echo == series.body
    assert (report.date_start, report.date_end) == (window.start, window.end)
