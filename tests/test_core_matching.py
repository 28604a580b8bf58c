"""Is it ours? The echo, and the search for the report that an unknown create made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core import coverage, matching
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import FieldValue, RemoteReport, Report, Series
from orchestrator.core.vonage import Status

INTENDED = datetime(2026, 3, 1, 12, tzinfo=UTC)
WINDOW = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
SERIES = Series.of("abcd1234", "SMS", "outbound", {"status": "delivered"})


def intent(row: int = 7, series: Series = SERIES) -> Report:
    return Report(
        id=row,
        series=series,
        window=WINDOW,
        state=State.SUBMITTING,
        api_key="abcd1234",
        job="nightly",
        intended_at=INTENDED,
    )


def listed(request_id: str = "new", **echo: FieldValue) -> RemoteReport:
    return RemoteReport(
        request_id=request_id,
        status=Status.PENDING,
        status_word="PENDING",
        echo={**SERIES.body, **echo},
        date_start=WINDOW.start,
        date_end=WINDOW.end,
        received_at=INTENDED + timedelta(seconds=1),
    )


def without(remote: RemoteReport, field: str) -> RemoteReport:
    return replace(
        remote, echo={name: value for name, value in remote.echo.items() if name != field}
    )


def choose(
    *remotes: RemoteReport,
    owned: dict[str, int] | None = None,
    unresolved_creates: tuple[Report, ...] = (),
    ours: Report | None = None,
    has_own_address: bool = False,
) -> RemoteReport | str | None:
    ours = ours or intent()
    moment = coverage.moment_of(ours.intended_at, timedelta(seconds=-1), timedelta(seconds=-1))
    likely = matching.candidates(ours, remotes, owned or {})
    return matching.choose(
        ours, likely, unresolved_creates, moment, has_own_address=has_own_address
    )


def find(
    *remotes: RemoteReport,
    owned: dict[str, int] | None = None,
    unresolved_creates: tuple[Report, ...] = (),
) -> str | None:
    """The id of what is taken; None where nothing is."""
    chosen = choose(*remotes, owned=owned, unresolved_creates=unresolved_creates)
    return chosen.request_id if isinstance(chosen, RemoteReport) else None


def test_a_twin_is_found() -> None:
    assert find(listed()) == "new"


def test_a_report_that_another_row_owns_never() -> None:
    assert find(listed(), owned={"new": 3}) is None


def test_a_report_of_another_filter_never() -> None:
    assert find(listed(status="failed")) is None


def test_a_report_of_another_window_never() -> None:
    assert find(replace(listed(), date_end=WINDOW.end + timedelta(days=1))) is None


def test_a_default_that_the_other_series_has_set_tells_them_apart() -> None:
    assert find(listed(include_message=True)) is None


def test_a_report_with_one_filter_more_never() -> None:
    """It is a narrower request: its file would lack records, and look complete."""
    assert find(listed(country="DE")) is None


@pytest.mark.parametrize("answer", [False, "", "none", "ALL"])
def test_a_field_that_says_it_does_not_filter_is_no_filter(answer: FieldValue) -> None:
    assert find(listed(country=answer)) == "new"


def test_a_report_with_another_callback_url_never() -> None:
    assert find(replace(listed(), callback_url="https://example.com/theirs")) is None


@pytest.mark.parametrize(
    "echoed",
    [
        "https://Hooks.Example.com/vonage/t0-_k",
        "HTTPS://hooks.example.com:443/vonage/t0-_k",
        "https://hooks.example.com/vonage/t0-_k/",
        "https://hooks.example.com/vonage/t0%2D%5Fk",
    ],
    ids=["host", "port", "slash", "escapes"],
)
def test_an_address_may_be_written_in_other_ways(echoed: str) -> None:
    ours = replace(intent(), callback_url="https://hooks.example.com/vonage/t0-_k")
    remote = replace(listed(), callback_url=echoed)
    assert matching.candidates(ours, (remote,), {}) == (remote,)


@pytest.mark.parametrize(
    "echoed",
    [
        "https://hooks.example.com/vonage/T0-_k",
        "https://hooks.example.com:8443/vonage/t0-_k",
        "https://hooks.example.com:port/vonage/t0-_k",
        "http://hooks.example.com/vonage/t0-_k",
        "https://hooks.example.com/***",
    ],
    ids=["token", "port", "no-port", "scheme", "masked"],
)
def test_another_address_is_not_taken_but_leaves_a_doubt(echoed: str) -> None:
    ours = replace(intent(), callback_url="https://hooks.example.com/vonage/t0-_k")
    remote = replace(listed(), callback_url=echoed)
    assert matching.candidates(ours, (remote,), {}) == ()
    found = matching.differs_only_in_callback_url(ours, (remote,), {})
    assert found is not None
    assert found.request_id == "new"


@pytest.mark.parametrize(
    ("remote", "owned"),
    [(listed(status="failed"), {}), (listed(), {"new": 3}), (without(listed(), "status"), {})],
    ids=["another filter", "another row's", "unclear"],
)
def test_what_more_than_the_address_tells_apart_leaves_no_doubt(
    remote: RemoteReport, owned: dict[str, int]
) -> None:
    theirs = replace(remote, callback_url="https://example.com/theirs")
    assert matching.differs_only_in_callback_url(intent(), (theirs,), owned) is None


def test_an_omitted_field_counts_where_no_rival_differs_in_it() -> None:
    assert find(without(listed(), "status")) == "new"


def test_an_omitted_field_does_not_count_where_a_rival_differs_in_just_that() -> None:
    other = Series.of("abcd1234", "SMS", "outbound", {"status": "failed"})
    assert find(without(listed(), "status"), unresolved_creates=(intent(8, other),)) is None


def test_a_rival_that_the_omitted_field_alone_tells_apart_may_differ_in_defaults_too() -> None:
    """Only outbound SMS have `show_concatenated`: with the direction omitted, nothing tells."""
    other = Series.of("abcd1234", "SMS", "inbound", {"status": "delivered"})
    unclear = without(without(listed(), "direction"), "show_concatenated")
    assert find(unclear) == "new"
    assert find(unclear, unresolved_creates=(intent(8, other),)) is None


def test_a_field_left_out_is_noticed() -> None:
    assert not matching.lacks_sent_fields(intent(), listed())
    assert matching.lacks_sent_fields(intent(), without(listed(), "direction"))


def test_a_rival_that_differs_in_more_is_told_apart_by_the_rest() -> None:
    other = Series.of("abcd1234", "SMS", "inbound", {"status": "failed"})
    assert find(without(listed(), "status"), unresolved_creates=(intent(8, other),)) == "new"


HOURS_OFF = timedelta(hours=7)


@pytest.mark.parametrize(
    "received_at",
    [INTENDED - HOURS_OFF, INTENDED + HOURS_OFF, None],
    ids=["early", "late", "unreadable"],
)
def test_what_matches_is_taken_whatever_its_time_says(received_at: datetime | None) -> None:
    assert find(replace(listed(), received_at=received_at)) == "new"


def test_one_that_came_in_time_goes_before_an_older_one() -> None:
    assert find(replace(listed("old"), received_at=INTENDED - HOURS_OFF), listed("new")) == "new"


def test_of_two_that_are_too_old_a_person_takes_one() -> None:
    old = [replace(listed(name), received_at=INTENDED - HOURS_OFF) for name in ("a", "b;rm")]
    said = choose(*old[1:], replace(listed("a"), received_at=INTENDED - 2 * HOURS_OFF))
    assert said == (
        "a and 1 more there is like it, but is as like it, and older than it should be: "
        "`orchestrator resolve 7 --adopt a` takes it"
    )


def test_one_that_was_asked_for_before_the_end_of_its_time_lacks_records() -> None:
    said = choose(replace(listed("$x"), received_at=WINDOW.end - timedelta(seconds=1)))
    assert said == (
        "$x there is like it, but was asked for before the end of its time: "
        "`orchestrator resolve 7 --adopt '$x'` takes it"
    )


def test_one_before_the_end_of_its_time_does_not_hide_another() -> None:
    early = replace(listed("early"), received_at=WINDOW.end - timedelta(hours=1))
    assert find(early, listed("new")) == "new"


@pytest.mark.parametrize("field", ["date_start", "date_end"])
def test_without_its_dates_none_is_taken(field: str) -> None:
    undated = RemoteReport(
        **{**{name: getattr(listed(), name) for name in RemoteReport.__slots__}, field: None}
    )
    said = choose(undated)
    assert isinstance(said, str)
    assert "new there is like it, but does not repeat its dates" in said
    assert "`orchestrator resolve 7 --adopt new`" in said


@pytest.mark.parametrize("own", [True, False], ids=["its own", "shared"])
def test_an_address_of_its_own_tells_whose_it_is(*, own: bool) -> None:
    ours = replace(intent(), callback_url="https://hooks.example.com/vonage/t0-_k")
    undated = replace(
        listed(),
        date_start=None,
        date_end=None,
        callback_url="https://hooks.example.com/vonage/t0-_k",
    )
    chosen = choose(undated, ours=ours, has_own_address=own)
    assert (chosen == undated) is own


def test_of_two_twins_the_earlier_is_taken() -> None:
    later = replace(listed("later"), received_at=INTENDED + timedelta(minutes=5))
    assert find(later, listed("first")) == "first"
