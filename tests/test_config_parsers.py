"""Text to values: what is taken, and the words for what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import parsers
from orchestrator.config.messages import nearest, one_of, shown
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.model import Span, Unit

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = timedelta(days=30)


def unfit(convert: Callable[[object], object], value: object) -> str:
    """The message for a value that is refused."""
    with pytest.raises(InvalidValue) as caught:
        convert(value)
    return f"{caught.value.what}; {caught.value.remedy}"


def duration(value: object) -> timedelta:
    return parsers.duration(value, timedelta(), LONG)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("5s", 5), ("10m", 600), ("6h", 21_600), ("2d", 172_800), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60", "60 has no unit; write 60s if seconds are meant"),
        ("5 minutes", "5 minutes is not a duration; write 5m"),
        ("2 Days", "2 Days is not a duration; write 2d"),
        ("1.5h", "1.5h is not a duration; write it as 500ms, 5s, 10m, 6h or 2d"),
        ("-1h", "-1h is not a duration; write it as 500ms, 5s, 10m, 6h or 2d"),
        ("31d", "31d is out of bounds; write a duration from 0s to 30d"),
        ("999999999d", "999999999d is out of bounds; write a duration from 0s to 30d"),
        ("1" * 5000, f"{'1' * 60}… is longer than 1000 characters; shorten it"),
    ],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    assert unfit(duration, text) == message


@given(st.integers(0, 999_999_999))
def test_a_spelled_duration_reads_as_the_same(milliseconds: int) -> None:
    length = timedelta(milliseconds=milliseconds)
    assert duration(parsers.spelled_duration(length)) == length


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1 month", Span(1, Unit.MONTHS)),
        ("13 months", Span(13, Unit.MONTHS)),
        ("2 weeks", Span(2, Unit.WEEKS)),
        ("56 weeks", Span(56, Unit.WEEKS)),
        ("1 day", Span(1, Unit.DAYS)),
        ("395days", Span(395, Unit.DAYS)),
        ("12 hours", Span(12, Unit.HOURS)),
        ("24 hours", Span(24, Unit.HOURS)),
    ],
)
def test_chunks(text: str, span: Span) -> None:
    assert parsers.chunk_span(text) == span


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "14 months",
            "14 months is more than one report may cover (13 months); write 13 months or less",
        ),
        (
            "396 days",
            "396 days is more than one report may cover (13 months); write 395 days or less",
        ),
        (
            "57 weeks",
            "57 weeks is more than one report may cover (13 months); write 56 weeks or less",
        ),
        ("0 days", "0 days is no time at all; write 1 day or more"),
        (
            "-1 day",
            (
                "-1 day is not a number of calendar units; write it as 1 month, 2 weeks, 1 day or"
                " 12 hours"
            ),
        ),
        ("5 hours", "5 hours do not divide a day evenly; write 4 hours"),
        ("48 hours", "48 hours do not divide a day evenly; write 2 days"),
        ("1 year", "1 year is not in a unit known here; write 12 months"),
        ("12h", "12h is a short form of a duration; write 12 hours"),
        ("1 mnth", "mnth is not a calendar unit; did you mean month?"),
        (
            "1 fortnight",
            "fortnight is not a calendar unit; write it as 1 month, 2 weeks, 1 day or 12 hours",
        ),
        (
            "month",
            (
                "month is not a number of calendar units; write it as 1 month, 2 weeks, 1 day or 12"
                " hours"
            ),
        ),
    ],
)
def test_what_is_no_chunk(text: str, message: str) -> None:
    assert unfit(parsers.chunk_span, text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("36 hours", "36 hours is not a number of whole days; write 2 days"),
        ("9999 days", "9999 days is more than ten years; write 3660 days or less"),
        ("999999 months", "999999 months is more than ten years; write 120 months or less"),
    ],
)
def test_what_is_no_last_window(text: str, message: str) -> None:
    assert unfit(parsers.last_span, text) == message


@pytest.mark.parametrize(
    ("text", "flag"), [("true", True), ("True", True), ("FALSE", False), ("false", False)]
)
def test_flags(text: str, flag: bool) -> None:
    assert parsers.flag(text) is flag


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("yes", "yes is neither true nor false; write true"),
        ("Off", "off is neither true nor false; write false"),
        ("maybe", "maybe is neither true nor false; write true or false"),
        (None, "is empty; give it a value, or remove the key"),
        (["true"], "is a list; write a single value"),
        ({"a": "b"}, "is a mapping of keys; write a single value"),
    ],
)
def test_what_is_no_flag(value: object, message: str) -> None:
    assert unfit(parsers.flag, value) == message


@pytest.mark.parametrize("text", ["00123456", "abcd1234", "ABCD1234", "12345678"])
def test_account_ids_are_kept_as_written(text: str) -> None:
    assert parsers.account_id(text) == text


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("../../ab", "other characters"),
        ("abcd123", "7 characters"),
        ("abcd12345", "9 characters"),
        ("abcd/234", "other characters"),
        ("abcd 234", "other characters"),
        ("abcdé234", "other characters"),
        ("........", "other characters"),
    ],
)
def test_what_could_be_a_path_is_no_account_id(text: str, has: str) -> None:
    assert unfit(parsers.account_id, text) == (
        f"{text} is not an account id (8 letters or digits; this has {has});"
        " copy it from the dashboard of the account"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "my job",
            "my job is not a name (letters, digits, and . _ - between them); write my-job",
        ),
        ("../x", "../x is not a name (letters, digits, and . _ - between them); write x"),
        (
            "??",
            "?? is not a name (letters, digits, and . _ - between them); write one such as nightly",
        ),
    ],
)
def test_what_is_no_name(text: str, message: str) -> None:
    assert unfit(parsers.name, text) == message


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.nexmo.com", "https://api.nexmo.com"),
        ("https://api.nexmo.com/", "https://api.nexmo.com"),
        ("https://example.com:8443/base/", "https://example.com:8443/base"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_base_urls(text: str, address: str) -> None:
    assert parsers.base_url(text) == address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "http://api.nexmo.com",
            (
                "http://api.nexmo.com would send the credentials unencrypted;"
                " write https://api.nexmo.com"
            ),
        ),
        (
            "http://127.0.0.1.example.com",
            (
                "http://127.0.0.1.example.com would send the credentials unencrypted;"
                " write https://127.0.0.1.example.com"
            ),
        ),
        (
            "https://api.nexmo.com/?a=b",
            "the address holds a query or a fragment; remove it from the ? or # on",
        ),
        (
            "https://api.nexmo.com#x",
            "the address holds a query or a fragment; remove it from the ? or # on",
        ),
        (
            "api.nexmo.com",
            "api.nexmo.com is not a web address; write one such as https://example.com/hook",
        ),
        (
            "ftp://example.com",
            "ftp://example.com is not a web address; write one such as https://example.com/hook",
        ),
        (
            "https://example.com:99999/",
            (
                "https://example.com:99999/ is not a web address;"
                " write one such as https://example.com/hook"
            ),
        ),
        (
            "https://[::1",
            "https://[::1 is not a web address; write one such as https://example.com/hook",
        ),
    ],
)
def test_what_is_no_base_url(text: str, message: str) -> None:
    assert unfit(parsers.base_url, text) == message


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@example.com/",
        "https:/user:hunter2@example.com/",
        "https:\\\\user:hunter2@example.com",
        "user:hunter2@example.com",
        "https://user:hunter2@[example.com",
    ],
)
def test_a_password_in_an_address_is_refused_and_never_shown(text: str) -> None:
    assert "hunter2" not in unfit(parsers.web_address, text)


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "[::1]:0", "localhost:65535"])
def test_listen_addresses(text: str) -> None:
    assert parsers.listen_address(text) == text


@pytest.mark.parametrize("text", ["8080", "127.0.0.1", "127.0.0.1:65536", "::1:80", "a b:80"])
def test_what_is_no_listen_address(text: str) -> None:
    message = unfit(parsers.listen_address, text)
    assert message == f"{text} is not HOST:PORT; write one such as 127.0.0.1:8080"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "0 is out of bounds; write a whole number from 1 to 64"),
        ("65", "65 is out of bounds; write a whole number from 1 to 64"),
        ("-3", "-3 is out of bounds; write a whole number from 1 to 64"),
        ("4.0", "4.0 is not a whole number; write one from 1 to 64"),
        ("1_0", "1_0 is not a whole number; write one from 1 to 64"),
        ("four", "four is not a whole number; write one from 1 to 64"),
    ],
)
def test_what_is_no_count(text: str, message: str) -> None:
    assert unfit(lambda value: parsers.whole_number(value, 1, 64), text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0", "0 is out of bounds; write a number above 0, at most 100"),
        ("nan", "nan is not a number; write one above 0, at most 100"),
        ("1e3", "1e3 is not a number; write one above 0, at most 100"),
        ("100.5", "100.5 is out of bounds; write a number above 0, at most 100"),
    ],
)
def test_what_is_no_rate(text: str, message: str) -> None:
    assert unfit(lambda value: parsers.positive_number(value, 100), text) == message


def test_messages_show_nothing_that_a_terminal_would_obey() -> None:
    assert shown("a\x1b[31m\nb") == "a\\x1b[31m\\nb"
    assert shown("x" * 61) == "x" * 60 + "…"
    assert shown("") == "''"


def test_nearest_and_lists_of_words() -> None:
    assert nearest("ACOUNTS", ["accounts", "products"]) == "accounts"
    assert nearest("zzz", ["accounts"]) is None
    assert [one_of([]), one_of(["a"]), one_of(["a", "b", "c"])] == ["", "a", "a, b or c"]


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("200 MB", 200_000_000),
        ("1.5GB", 1_500_000_000),
        ("0 B", 0),
        ("12 kB", 12_000),
        ("1 TB", 10**12),
    ],
)
def test_a_size_is_a_number_of_bytes(text: str, size_bytes: int) -> None:
    assert parsers.size(text) == size_bytes


@pytest.mark.parametrize("text", ["200", "MB", "-1 MB", "200 MiB", "1e3 MB", "2000 TB", "1,5 GB"])
def test_what_is_no_size_is_told_how_to_write_it(text: str) -> None:
    with pytest.raises(parsers.InvalidValue) as caught:
        parsers.size(text)
    assert caught.value.remedy in ("write it as 200 MB, 1.5 GB or 0 B", "write at most 1000 TB")
