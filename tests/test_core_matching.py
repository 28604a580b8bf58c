"""Is it ours? The echo, and the search for the report that an unknown create made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core import matching
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import FieldValue, RemoteReport, Report, Series, Status

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


def find(
    *remotes: RemoteReport,
    owned: dict[str, int] | None = None,
    rivals: tuple[Report, ...] = (),
    ahead: timedelta = timedelta(),
) -> str | None:
    for found in matching.candidates(intent(), remotes, owned or {}, ahead):
        if not matching.is_another_s(found, rivals):
            return found.request_id
    return None


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
    assert matching.candidates(ours, (remote,), {}, timedelta()) == (remote,)


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
    assert matching.candidates(ours, (remote,), {}, timedelta()) == ()
    found = matching.but_for_its_address(ours, (remote,), {}, timedelta())
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
    assert matching.but_for_its_address(intent(), (theirs,), owned, timedelta()) is None


def test_an_omitted_field_counts_where_no_rival_differs_in_it() -> None:
    assert find(without(listed(), "status")) == "new"


def test_an_omitted_field_does_not_count_where_a_rival_differs_in_just_that() -> None:
    other = Series.of("abcd1234", "SMS", "outbound", {"status": "failed"})
    assert find(without(listed(), "status"), rivals=(intent(8, other),)) is None


def test_a_rival_that_the_omitted_field_alone_tells_apart_may_differ_in_defaults_too() -> None:
    """Only outbound SMS have `show_concatenated`: with the direction omitted, nothing tells."""
    other = Series.of("abcd1234", "SMS", "inbound", {"status": "delivered"})
    unclear = without(without(listed(), "direction"), "show_concatenated")
    assert find(unclear) == "new"
    assert find(unclear, rivals=(intent(8, other),)) is None


def test_a_field_left_out_is_noticed() -> None:
    assert not matching.omits(intent(), listed())
    assert matching.omits(intent(), without(listed(), "direction"))


def test_a_rival_that_differs_in_more_is_told_apart_by_the_rest() -> None:
    other = Series.of("abcd1234", "SMS", "inbound", {"status": "failed"})
    assert find(without(listed(), "status"), rivals=(intent(8, other),)) == "new"


def test_a_report_from_before_the_intent_is_not_its_own() -> None:
    early = replace(listed(), received_at=INTENDED - timedelta(hours=1))
    assert find(early) is None


def test_the_servers_clock_may_be_behind() -> None:
    early = replace(listed(), received_at=INTENDED - timedelta(hours=1))
    assert find(early, ahead=-timedelta(hours=1)) == "new"


def test_of_two_twins_the_earlier_is_taken() -> None:
    later = replace(listed("later"), received_at=INTENDED + timedelta(minutes=5))
    assert find(later, listed("first")) == "first"


@pytest.mark.parametrize(
    ("remotes", "owned", "works"),
    [
        pytest.param([listed("old")], {"old": 3}, True, id="a known report"),
        pytest.param([listed("old")], {}, False, id="a stranger"),
        pytest.param([], {}, False, id="empty"),
        pytest.param([listed("x", account_id="other123")], {"x": 3}, False, id="other account"),
    ],
)
def test_only_a_list_that_shows_a_known_report_proves_absence(
    remotes: list[RemoteReport], owned: dict[str, int], *, works: bool
) -> None:
    assert matching.shows_another(intent(), remotes, owned) is works
