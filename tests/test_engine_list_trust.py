"""Which lists are used, checked or left out, by what they showed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.polling import parameters
from orchestrator.engine.polling.list_trust import Advice, ListSource, ListTrust

OWN, KEY = "own", "key"


def advice(trust: ListTrust, now: float = 0.0, *, is_quiet: bool = False) -> Advice:
    return trust.verdict(now, is_quiet=is_quiet).advice


def poll(trust: ListTrust, request_id: str, now: float, *, ended: bool) -> None:
    trust.polled_by_itself(request_id, now, ended=ended, received_at=None)


# --- a list that is right -------------------------------------------------------------------------


@given(st.lists(st.integers(1, 200), min_size=1, max_size=50))
def test_a_list_that_polls_confirm_is_never_left_out(pauses: list[int]) -> None:
    """Whatever the times: it shows an end at the latest when its lag is over."""
    trust, now = ListTrust(0.0), 0.0
    for number, pause in enumerate(pauses):
        now += pause
        trust.answered({f"open-{number}": False, f"ended-{number - 1}": True}, now)
        trust.showed(2)
        assert advice(trust, now) is not Advice.LEAVE_OUT
        poll(trust, f"open-{number}", now, ended=False)
        poll(trust, f"ended-{number}", now, ended=True)


def test_checks_become_ever_rarer() -> None:
    trust, checks = ListTrust(0.0), []
    for now in range(0, 3600, 5):
        trust.answered({"r": False}, float(now))
        trust.showed(1)
        if advice(trust, now) is Advice.CHECK_ONE:
            checks.append(now)
            poll(trust, "r", now, ended=False)
    assert checks[:3] == [30, 60, 120]
    assert len(checks) == 7


def test_a_list_that_shows_no_end_for_long_is_checked_sooner() -> None:
    trust = ListTrust(0.0)
    poll(trust, "r", 100.0, ended=False)
    assert advice(trust, 160.0) is Advice.USE
    assert advice(trust, 160.0, is_quiet=True) is Advice.CHECK_ONE


# --- a list that lags -----------------------------------------------------------------------------


def test_a_list_that_shows_an_end_as_open_is_checked_at_once() -> None:
    trust = ListTrust(0.0)
    poll(trust, "r", 10.0, ended=True)
    trust.answered({"r": False}, 12.0)
    assert advice(trust, 12.0) is Advice.CHECK_ONE
    trust.answered({"r": True}, 14.0)
    assert advice(trust, 14.0) is Advice.USE
    assert trust.compared == {}


def test_a_lag_of_half_a_minute_is_no_reason_to_leave_a_list_out() -> None:
    trust = ListTrust(0.0)
    for request_id in "ab":
        poll(trust, request_id, 10.0, ended=True)
    trust.answered(dict.fromkeys("ab", False), 10.0 + parameters.MAX_LIST_LAG - 1)
    assert advice(trust, 39.0) is Advice.CHECK_ONE
    trust.answered(dict.fromkeys("ab", False), 10.0 + parameters.MAX_LIST_LAG)
    assert trust.verdict(40.0, is_quiet=False) == (
        Advice.LEAVE_OUT,
        "they do not show how reports really stand",
    )


def test_a_single_report_that_stays_wrong_leaves_the_list_in_use() -> None:
    trust = ListTrust(0.0)
    poll(trust, "r", 0.0, ended=True)
    for now in (100.0, 200.0):
        trust.answered({"r": False}, now)
        assert advice(trust, now) is Advice.CHECK_ONE
    trust.answered({"r": False}, parameters.LAG_FORGOTTEN_AFTER)
    assert trust.compared == {}


def test_ends_that_two_reports_deny_leave_the_list_out() -> None:
    trust = ListTrust(0.0)
    for number, wanted in enumerate((Advice.USE, Advice.LEAVE_OUT)):
        trust.showed_unconfirmed_end(f"r{number}")
        poll(trust, f"r{number}", 1.0, ended=False)
        assert advice(trust, 1.0) is wanted


def test_no_more_than_eight_ended_reports_are_compared() -> None:
    trust = ListTrust(0.0)
    for number in range(20):
        poll(trust, f"r{number}", 0.0, ended=True)
    assert len(trust.compared) == parameters.MAX_COMPARED


# --- a list that lacks reports, or cannot be had --------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "lacking", "wanted"),
    [
        (0, 2, Advice.USE),
        (0, 3, Advice.LEAVE_OUT),
        (29, 3, Advice.LEAVE_OUT),
        (30, 3, Advice.USE),
        (100, 11, Advice.LEAVE_OUT),
    ],
)
def test_a_list_that_lacks_more_than_a_tenth_is_left_out(
    shown: int, lacking: int, wanted: Advice
) -> None:
    trust = ListTrust(0.0)
    trust.showed(shown)
    trust.lacked(lacking)
    assert advice(trust) is wanted


def test_three_failures_in_a_row_leave_a_list_out() -> None:
    trust = ListTrust(0.0)
    for _ in range(10):
        assert trust.failed("x").advice is Advice.USE
        assert trust.failed("x").advice is Advice.USE
        trust.answered({}, 0.0)
    verdicts = [trust.failed("they cannot be had") for _ in range(3)]
    assert verdicts[-1] == (Advice.LEAVE_OUT, "they cannot be had")


# --- whose list is asked --------------------------------------------------------------------------


def test_the_list_that_shows_a_report_is_asked_from_then_on() -> None:
    source = ListSource([OWN, KEY])
    source.showed_nothing(OWN, 0, 0.0)
    assert source.account == KEY
    source.showed(KEY)
    for _ in range(20):
        source.showed_nothing(KEY, 10, 0.0)
    assert source.account == KEY
    assert source.is_proven


def test_lists_take_turns_until_one_shows_a_report() -> None:
    source, asked = ListSource([OWN, KEY]), []
    while source.account is not None:
        asked.append(source.account)
        source.showed_nothing(source.account, 1, 0.0)
    assert asked == [OWN, KEY] * parameters.MAX_LIST_TRIES + [OWN] * parameters.MAX_LIST_TRIES


def test_a_list_that_lacks_three_reports_is_left_out_at_once() -> None:
    source = ListSource([OWN])
    source.showed_nothing(OWN, 3, 0.0)
    assert source.account is None


def test_lists_that_were_left_out_are_tried_again_later_and_ever_later() -> None:
    source, now, pauses = ListSource([OWN]), 0.0, []
    for _ in range(4):
        source.leave_out(OWN, now)
        began = now
        while source.account is None:
            now += 100.0
            source.retry(now)
        pauses.append(now - began)
    assert pauses == [900, 1800, 3600, 7200]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["showed", "nothing", "leave", "retry"]),
            st.sampled_from([OWN, KEY]),
            st.integers(0, 4),
        )
    )
)
def test_no_account_is_ever_lost_or_named_twice(steps: list[tuple[str, str, int]]) -> None:
    source = ListSource([OWN, KEY])
    for now, (step, account, due) in enumerate(steps):
        match step:
            case "showed" if source.account is not None:
                source.showed(source.account)
            case "nothing":
                source.showed_nothing(account, due, now)
            case "leave":
                source.leave_out(account, now)
            case _:
                source.retry(now)
    for account in (OWN, KEY):
        source.leave_out(account, 0.0)
    assert source.account is None
    source.retry(1e30)
    again = [source.account]
    source.leave_out(str(source.account), 0.0)
    again.append(source.account)
    assert sorted(map(str, again)) == [KEY, OWN]
