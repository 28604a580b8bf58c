"""Decisions about errors, pauses and endings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core import policy
from orchestrator.core.policy import (
    CreateFailure,
    ExitCode,
    RunOutcome,
    Scope,
)
from orchestrator.core.settings import PollPolicy, RetryPolicy
from orchestrator.errors import (
    ApiError,
    CorruptArchive,
    NotFound,
    Problem,
    Rejected,
    ServerFault,
    Throttled,
    TransportError,
    Unauthorized,
)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        pytest.param(Throttled("429"), CreateFailure.THROTTLED, id="429"),
        pytest.param(
            TransportError("x", maybe_sent=False), CreateFailure.OUT_OF_REACH, id="refused"
        ),
        pytest.param(TransportError("x", maybe_sent=True), None, id="reset"),
        pytest.param(ServerFault("x"), None, id="5xx"),
        pytest.param(Unauthorized("x", status=401), Scope.KEY, id="401"),
        pytest.param(Unauthorized("x", status=403), Scope.ACCOUNT, id="403"),
        pytest.param(NotFound("x", problem=Problem(404)), Scope.SERIES, id="404"),
        pytest.param(Rejected("x", status=400, problem=Problem(400)), Scope.SERIES, id="400"),
        pytest.param(Rejected("x", status=422, problem=Problem(422)), Scope.SERIES, id="422"),
        pytest.param(
            Rejected("x", status=422, names_a_date=True, problem=Problem(422)),
            CreateFailure.DATES_REFUSED,
            id="422 date",
        ),
        pytest.param(NotFound("x"), None, id="404 without words"),
        pytest.param(Rejected("x", status=400), None, id="400 without words"),
        pytest.param(Rejected("x", status=422), None, id="422 without words"),
        pytest.param(Rejected("x", status=409), None, id="409"),
        pytest.param(Rejected("x", status=418), None, id="418"),
        pytest.param(ApiError("x"), None, id="anything else"),
    ],
)
def test_only_sure_failures_of_a_create_may_be_repeated(
    error: ApiError, verdict: CreateFailure | Scope | None
) -> None:
    assert policy.after_create(error) == verdict


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (TransportError("x", maybe_sent=True), True),
        (TransportError("x", maybe_sent=False), True),
        (ServerFault("x"), True),
        (Throttled("x"), False),
        (NotFound("x"), False),
        (Rejected("x", status=400), False),
        (Unauthorized("x", status=401), False),
        (CorruptArchive("x"), False),
        (ValueError("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_harmless_request_is_repeated_after(error: Exception, *, retryable: bool) -> None:
    assert policy.is_retryable(error) is retryable


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_its_waits(attempt: int, jitter: float) -> None:
    retry = RetryPolicy(wait_initial=timedelta(seconds=2), wait_max=timedelta(seconds=30))
    pause = policy.backoff(retry, attempt, jitter)
    assert timedelta(seconds=2) <= pause <= timedelta(seconds=30)


def test_what_the_server_asks_for_wins() -> None:
    assert policy.backoff(RetryPolicy(), 1, 0.5, timedelta(minutes=7)) == timedelta(minutes=7)


@pytest.mark.parametrize(("longest", "minutes"), [(60, 10), (1, 10), (0.3, 10), (120, 20)])
@pytest.mark.parametrize("rate", [1.0, 60.0])
def test_the_last_look_for_a_lost_create_comes_late_enough_to_count(
    longest: float, minutes: int, rate: float
) -> None:
    """However short the pauses between looks are set; at a simulator by its clock."""
    poll = PollPolicy(timedelta(milliseconds=1), timedelta(seconds=longest))
    age = timedelta()
    ages = []
    for look in range(policy.RECONCILE_LOOKS_AT_MOST - policy.RECONCILE_LOOKS):
        age += policy.reconcile_pause(poll, look, age, rate) * rate
        ages.append(age)
    assert ages[0] == timedelta()
    assert sum(one < policy.reconcile_until(poll) for one in ages) == policy.RECONCILE_STEPS
    assert ages[-1] >= policy.reconcile_until(poll) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("unfinished", "bad", "signal", "code"),
    [
        (False, False, None, ExitCode.DONE),
        (False, True, None, ExitCode.FINDINGS),
        (True, False, None, ExitCode.UNFINISHED),
        (True, True, None, ExitCode.FINDINGS),
        (True, True, 2, ExitCode.INTERRUPTED),
        (False, False, 15, ExitCode.TERMINATED),
    ],
)
def test_the_first_that_applies(
    *, unfinished: bool, bad: bool, signal: int | None, code: ExitCode
) -> None:
    assert policy.exit_code(RunOutcome(unfinished, bad, signal)) is code
