"""Dates and times of a job file, in the job's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import dates as config_dates
from orchestrator.config.parsers import InvalidValue
from orchestrator.core.calendar import first_instant
from orchestrator.errors import InputError


def unfit(text: str, zone: str = "UTC") -> str:
    with pytest.raises(InvalidValue) as caught:
        config_dates.moment(text, ZoneInfo(zone))
    return f"{caught.value.what}; {caught.value.remedy}"


@pytest.mark.parametrize(
    ("zone", "text", "utc"),
    [
        ("UTC", "2025-01-01", "2025-01-01T00:00:00"),
        ("Europe/London", "2025-07-01", "2025-06-30T23:00:00"),
        ("Europe/London", "2025-01-01", "2025-01-01T00:00:00"),
        ("Asia/Tokyo", "2025-07-01", "2025-06-30T15:00:00"),
        ("Asia/Tokyo", "2025-07-01T09:30", "2025-07-01T00:30:00"),
        ("Asia/Tokyo", "2025-07-01 09:30:15", "2025-07-01T00:30:15"),
        # Midnight of these days was skipped: they begin at 01:00.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00"),
        ("America/Havana", "2025-03-09", "2025-03-09T05:00:00"),
        # Midnight of this day occurs twice: the first counts.
        ("America/Havana", "2024-11-03", "2024-11-03T04:00:00"),
        ("Europe/London", "2025-10-26T01:30:00Z", "2025-10-26T01:30:00"),
        ("Europe/London", "2025-10-26T01:30:00+01:00", "2025-10-26T00:30:00"),
        ("UTC", "2025-01-01t00:00:00-0330", "2025-01-01T03:30:00"),
        ("UTC", "2025-01-01T00:00+05", "2024-12-31T19:00:00"),
        ("UTC", "2025-01-01 00:00:00 +05:00", "2024-12-31T19:00:00"),
        ("UTC", "2024-02-29", "2024-02-29T00:00:00"),
    ],
)
def test_moments(zone: str, text: str, utc: str) -> None:
    moment = config_dates.moment(text, ZoneInfo(zone))
    assert moment == datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("zone", "text", "message"),
    [
        (
            "Europe/London",
            "2025-03-30T01:30",
            (
                "2025-03-30T01:30:00 does not exist in Europe/London, where the clock is turned"
                " forward; add an offset: 2025-03-30T01:30:00+00:00 or 2025-03-30T01:30:00+01:00"
            ),
        ),
        (
            "Europe/London",
            "2025-10-26T01:30:00",
            (
                "2025-10-26T01:30:00 occurs twice in Europe/London, where the clock is turned back;"
                " write 2025-10-26T01:30:00+01:00 or 2025-10-26T01:30:00+00:00"
            ),
        ),
        (
            "America/Sao_Paulo",
            "2018-11-04T00:00:00",
            (
                "2018-11-04T00:00:00 does not exist in America/Sao_Paulo, where the clock is turned"
                " forward; write 2018-11-04 for that day's first moment, or add an offset"
            ),
        ),
        (
            "America/Havana",
            "2024-11-03T00:30",
            (
                "2024-11-03T00:30:00 occurs twice in America/Havana, where the clock is turned"
                " back; write 2024-11-03T00:30:00-04:00 or 2024-11-03T00:30:00-05:00"
            ),
        ),
    ],
)
def test_a_clock_time_that_is_not_one_moment_asks_for_an_offset(
    zone: str, text: str, message: str
) -> None:
    assert unfit(text, zone) == message


FORMS = "write it as 2025-01-31, 2025-01-31T10:00 or 2025-01-31T10:00:00Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025-13-01", "2025-13-01 is not a date (month 13); write 2025-12-01"),
        ("2025-00-10", "2025-00-10 is not a date (month 0); write 2025-01-10"),
        ("2025-13-32", "2025-13-32 is not a date (month 13); check the date"),
        (
            "2025-02-30",
            "2025-02-30 is not a date (day 30 of a month that has 28); write 2025-02-28",
        ),
        (
            "2023-02-29T10:00Z",
            (
                "2023-02-29T10:00Z is not a date (day 29 of a month that has 28);"
                " write 2023-02-28T10:00Z"
            ),
        ),
        ("1969-12-31", "1969-12-31 is not in the years 1970 to 2100; check the year"),
        ("2205-01-01", "2205-01-01 is not in the years 1970 to 2100; check the year"),
        ("0000-01-01", "0000-01-01 is not in the years 1970 to 2100; check the year"),
        ("2025-1-5", "2025-1-5 is not a date; write 2025-01-05"),
        ("2025/01/31", "2025/01/31 is not a date; write 2025-01-31"),
        ("20250131", "20250131 is not a date; write 2025-01-31"),
        ("2025-01", "2025-01 is not a date; write 2025-01-01"),
        (
            "01/02/2025",
            "01/02/2025 is not a date; write year-month-day, such as 2025-01-31",
        ),
        ("now", "now is not a date; leave the key out: without it the window goes up to now"),
        ("tomorrow", f"tomorrow is not a date; {FORMS}"),
        ("1735689600", f"1735689600 is not a date; {FORMS}"),
        (
            "2025-01-01T24:00:00Z",
            "2025-01-01T24:00:00Z is not a time of day (hour 24); write 2025-01-02T00:00:00Z",
        ),
        (
            "2025-01-01T25:00",
            "2025-01-01T25:00 is not a time of day (hour 25); hours go from 00 to 23",
        ),
        (
            "2025-01-01T10:61",
            "2025-01-01T10:61 is not a time of day (minute 61); minutes go from 00 to 59",
        ),
        (
            "2025-12-31T23:59:60Z",
            "2025-12-31T23:59:60Z is not a time of day (second 60); seconds go from 00 to 59",
        ),
        (
            "2025-01-01T10:00:00.500Z",
            "2025-01-01T10:00:00.500Z has a fraction of a second; write 2025-01-01T10:00:00Z",
        ),
        (
            "2025-01-01T10:00+25:00",
            "2025-01-01T10:00+25:00 has no real offset (+25:00); offsets go from -12:00 to +14:00",
        ),
    ],
)
def test_what_is_no_moment(text: str, message: str) -> None:
    assert unfit(text) == message


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("2025-02-30", "write 2025-03-01"),
        ("2024-02-30", "write 2024-03-01"),
        ("2025-04-31", "write 2025-05-01"),
        ("2025-12-32", "write 2026-01-01"),
        ("2025-13-01", "write 2026-01-01"),
        ("2023-02-29T10:00Z", "write 2023-03-01T10:00Z"),
        ("2025-01", "write 2025-02-01 to include 2025-01, 2025-01-01 to end before it"),
        ("2025-12", "write 2026-01-01 to include 2025-12, 2025-12-01 to end before it"),
        (
            "2025-01-01T10:00:00.500Z",
            "write the next whole second: a window ends at the first moment not wanted",
        ),
    ],
)
def test_a_mistaken_end_is_never_answered_with_an_earlier_one(text: str, remedy: str) -> None:
    """Whoever follows the advice loses no day."""
    with pytest.raises(InvalidValue) as caught:
        config_dates.moment(text, ZoneInfo("UTC"), is_end=True)
    assert caught.value.remedy == remedy


IANA = "write the IANA name of a place in it, such as Europe/London or America/New_York"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("Europe/Lodon", "did you mean Europe/London?"),
        ("london", "did you mean Europe/London?"),
        ("New York", "did you mean America/New_York?"),
        ("europe/paris", "did you mean Europe/Paris?"),
        ("Sao_Paolo", "did you mean America/Sao_Paulo?"),
        ("+01:00", f"an offset is no time zone, since it knows no summer time; {IANA}"),
        ("GMT+1", f"an offset is no time zone, since it knows no summer time; {IANA}"),
        ("UTC-05:00", f"an offset is no time zone, since it knows no summer time; {IANA}"),
        ("Z", "write UTC"),
        ("BST", IANA),
        ("EDT", IANA),
        ("W. Europe Standard Time", IANA),
        ("GMT Standard Time", IANA),
        ("Middle-earth", IANA),
        ("../../etc/passwd", IANA),
        ("localtime", IANA),
        ("Europe", "write the whole name, such as Europe/London"),
    ],
)
def test_what_is_no_zone(name: str, remedy: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        config_dates.zone(name)
    assert caught.value.what == f"{name} is not a time zone"
    assert caught.value.remedy == remedy


@given(
    st.dates(date(1971, 1, 1), date(2099, 12, 31)),
    st.sampled_from(
        ["Europe/London", "America/Sao_Paulo", "Asia/Tokyo", "America/Havana", "Africa/Cairo"]
    ),
)
def test_a_bare_date_is_the_first_instant_of_the_local_day(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    moment = config_dates.moment(day.isoformat(), zone)
    assert moment == first_instant(day, zone)
    assert moment.astimezone(zone).date() == day
    assert (moment - timedelta(seconds=1)).astimezone(zone).date() < day


@given(
    st.dates(date(1971, 1, 1), date(2099, 1, 1)),
    st.integers(0, 86_399),
    st.sampled_from(["Europe/London", "America/Sao_Paulo", "America/Havana", "Asia/Kolkata"]),
)
def test_a_clock_time_is_taken_only_if_it_is_one_moment(day: date, at: int, name: str) -> None:
    zone = ZoneInfo(name)
    clock = datetime.combine(day, time()) + timedelta(seconds=at)
    possible = {
        moment
        for fold in (0, 1)
        for moment in [clock.replace(tzinfo=zone, fold=fold).astimezone(UTC)]
        if moment.astimezone(zone).replace(tzinfo=None, fold=0) == clock
    }
    if len(possible) == 1:
        assert {config_dates.moment(clock.isoformat(), zone)} == possible
    else:
        with pytest.raises(InvalidValue):
            config_dates.moment(clock.isoformat(), zone)


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("2025-01-31T23:59:59", "2025-02-01"),
        ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z"),
        ("2025-01-31 23:59+01:00", "2025-02-01T00:00:00+01:00"),
        ("2025-01-31T23:59:58", None),
        ("2025-01-31", None),
        ("2025-01-31T22:59:59", None),
    ],
)
def test_an_end_that_loses_the_last_second(text: str, better: str | None) -> None:
    assert config_dates.exclusive_end_hint(text) == better


@pytest.mark.parametrize(
    ("written", "is_end", "told"),
    [
        ("", False, "--at: is empty; write it as 2025-01-31, 2025-01-31T10:00 or 2025-01-31T10:00"),
        (" ", True, "--at: is empty; write it as 2025-01-31, 2025-01-31T10:00 or 2025-01-31T10:00"),
        ("2026-02-31", False, "a month that has 28); write 2026-02-28"),
        ("2026-02-31", True, "a month that has 28); write 2026-03-01"),
        ("2026-02", True, "write 2026-03-01 to include 2026-02, 2026-02-01 to end before it"),
    ],
)
def test_an_option_is_no_key_that_could_be_left_out(
    written: str, *, is_end: bool, told: str
) -> None:
    with pytest.raises(InputError) as caught:
        config_dates.option_moment("--at", written, ZoneInfo("UTC"), is_end=is_end)
    assert told in str(caught.value)


def test_instead_of_now_an_option_takes_the_time_that_it_is() -> None:
    with pytest.raises(InputError) as caught:
        config_dates.option_moment("--before", " now", ZoneInfo("UTC"))
    what, _, remedy = str(caught.value).partition("; write ")
    assert what == "--before: now is not a date"
    assert abs(
        config_dates.option_moment("--before", remedy, ZoneInfo("UTC")) - datetime.now(UTC)
    ) < timedelta(hours=1)
