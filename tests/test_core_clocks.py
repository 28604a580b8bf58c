"""Our clock and the API's: which counts, and what is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.core import clocks
from orchestrator.core.hosts import is_on_this_machine

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
REAL = "https://api.nexmo.com"


@pytest.mark.parametrize(
    ("ahead", "earlier"),
    [
        (timedelta(), NOW),
        (timedelta(hours=3), NOW),
        (timedelta(milliseconds=-999), NOW),
        (timedelta(seconds=-61), NOW - timedelta(seconds=60)),
        (timedelta(days=-40), NOW - timedelta(days=40) + clocks.DATE_GRAIN),
    ],
)
def test_the_earlier_of_both_to_the_second(ahead: timedelta, earlier: datetime) -> None:
    assert clocks.earlier_of_both(NOW, ahead) == earlier


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_a_minute_is_tolerated(seconds: int) -> None:
    assert clocks.warning(timedelta(seconds=seconds), REAL) == ""


def test_the_direction_and_what_follows_are_said() -> None:
    assert clocks.warning(timedelta(seconds=-3600), REAL) == (
        "this machine's clock is 3,600 seconds ahead of the API's; the earlier of both counts, the "
        "API's: what is not over by it, less `settle`, is left for later; let it be set from the "
        "network (NTP)"
    )
    assert clocks.warning(timedelta(seconds=90), "http://127.0.0.1:8080").startswith(
        "this machine's clock is 90 seconds behind the API's; the earlier of both counts, this "
        "machine's: "
    )


@pytest.mark.parametrize(
    ("base_url", "local"),
    [
        (REAL, False),
        ("http://localhost:80", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:9", True),
        ("https://10.0.0.1", False),
    ],
)
def test_only_this_machine_may_be_a_simulator(base_url: str, *, local: bool) -> None:
    assert is_on_this_machine(base_url) is local
