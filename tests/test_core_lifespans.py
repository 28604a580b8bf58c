"""What proves that a report is no more: the table of the rule, and the lives by two clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core import lifespans
from orchestrator.core.lifespans import NotFoundRow, proof_of_loss
from orchestrator.core.proofs import Proof

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("row", "proof"),
    [
        pytest.param(NotFoundRow(1, timedelta()), None, id="one 404"),
        pytest.param(NotFoundRow(3, MINUTE), None, id="three in a minute"),
        pytest.param(NotFoundRow(100, 59 * MINUTE), None, id="a hundred in less than an hour"),
        pytest.param(
            NotFoundRow(100, 59 * MINUTE, others_shown=True, list_lacks_it=True),
            None,
            id="less than an hour, and others are shown",
        ),
        pytest.param(
            NotFoundRow(9, 5 * HOUR, others_shown=True, list_lacks_it=True),
            None,
            id="hours, and too few looks",
        ),
        pytest.param(NotFoundRow(10, HOUR), None, id="an hour of nothing but 404"),
        pytest.param(NotFoundRow(10, HOUR, others_shown=True), None, id="no list lacks it"),
        pytest.param(NotFoundRow(10, HOUR, list_lacks_it=True), None, id="no other was shown"),
        pytest.param(
            NotFoundRow(10, HOUR, others_shown=True, list_lacks_it=True),
            Proof.UNKNOWN_TO_THE_API,
            id="an hour, others are shown, a list lacks it",
        ),
        pytest.param(
            NotFoundRow(10, HOUR, was_finished=True, others_shown=True, list_lacks_it=True),
            None,
            id="it was finished once: it cannot be unknown",
        ),
        pytest.param(
            NotFoundRow(10, None, others_shown=True, list_lacks_it=True),
            None,
            id="the API tells no time",
        ),
        pytest.param(NotFoundRow(50, 2 * HOUR, after_its_life=2), None, id="two after its life"),
        pytest.param(
            NotFoundRow(3, timedelta(seconds=15), after_its_life=3),
            Proof.REPORT_LIFE_OVER,
            id="three after its life",
        ),
    ],
)
def test_what_a_row_of_404s_proves(row: NotFoundRow, proof: Proof | None) -> None:
    assert proof_of_loss(row) is proof


@pytest.mark.parametrize(
    ("then", "now", "later"),
    [
        pytest.param(timedelta(), timedelta(), timedelta(), id="clocks agree"),
        pytest.param(-30 * HOUR, timedelta(), timedelta(), id="ours was ahead, and was set"),
        pytest.param(30 * HOUR, timedelta(), 30 * HOUR, id="ours was behind, and was set"),
        pytest.param(timedelta(), 5 * HOUR, 5 * HOUR, id="it was not known then"),
    ],
)
def test_of_two_readings_the_later_counts(
    then: timedelta, now: timedelta, later: timedelta
) -> None:
    assert lifespans.by_the_api(NOW, then, now) == NOW + later


@pytest.mark.parametrize("speed", [1, 60, 3600])
@pytest.mark.parametrize("minutes", [0, 10, 60])
def test_a_simulator_s_clock_is_read_at_its_own_speed(speed: int, minutes: int) -> None:
    """It began 5 hours ahead of ours; an hour has passed since the report was asked for."""
    ahead_now = 5 * HOUR + (speed - 1) * HOUR
    read = lifespans.by_a_fast_clock(NOW + minutes * MINUTE, NOW, 5 * HOUR, NOW + HOUR, ahead_now)
    assert abs(read - (NOW + 5 * HOUR + speed * minutes * MINUTE)) < timedelta(seconds=1)
    assert lifespans.by_a_fast_clock(NOW, NOW, 5 * HOUR, NOW, 7 * HOUR) == NOW + 5 * HOUR


def test_lives_end_on_the_hour() -> None:
    assert not lifespans.is_report_life_over(NOW, NOW + timedelta(hours=96, seconds=-1))
    assert lifespans.is_report_life_over(NOW, NOW + timedelta(hours=96))
    assert not lifespans.is_file_life_over(NOW, NOW + timedelta(hours=73))
    assert lifespans.is_file_life_over(NOW, NOW + timedelta(hours=96))


@pytest.mark.parametrize(
    ("minutes", "covers"),
    [
        pytest.param([], False, id="empty"),
        pytest.param([-5], False, id="only older ones"),
        pytest.param([5], False, id="only newer ones"),
        pytest.param([-5, 1], False, id="newer, within what a create may take"),
        pytest.param([-5, 5], True, id="both"),
        pytest.param([None, 5, -5], True, id="both, and one without a time"),
        pytest.param([None, None], False, id="times cannot be read"),
    ],
)
def test_a_list_covers_a_moment_that_it_shows_reports_around(
    minutes: list[int | None], *, covers: bool
) -> None:
    received = [None if minute is None else NOW + minute * MINUTE for minute in minutes]
    assert lifespans.covers(received, NOW, NOW) is covers
