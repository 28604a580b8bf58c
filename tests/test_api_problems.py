"""Refusals: problem objects, Retry-After, and the clock of the server, as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.api import problems
from orchestrator.errors import Problem, Rejected

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": " 7 "}, 7),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "-3"}, 0),
        ({"Retry-After": "99999999999999999999"}, 365 * 86400),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30),
        ({"Retry-After": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 01 Mar 2099 11:00:00 GMT"}, 365 * 86400),
        (
            {
                "Retry-After": "Sun, 01 Mar 2026 15:00:30 GMT",
                "Date": "Sun, 01 Mar 2026 15:00:00 GMT",
            },
            30,
        ),
        ({"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT", "Date": "now"}, 30),
        ({"Retry-After": "Sun, 99 Mar 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert problems.read_retry_after(headers, NOON) == expected


@given(st.text("0123456789 -+.,:GMTSunMar", max_size=30))
def test_whatever_retry_after_says_it_is_a_bounded_wait_or_none(text: str) -> None:
    wait = problems.read_retry_after({"Retry-After": text}, NOON)
    assert wait is None or timedelta() <= wait <= timedelta(days=365)


def test_a_problem_is_read_with_the_parameters_it_blames() -> None:
    body = {
        "type": "https://x/#invalid-request-parameters",
        "title": "Invalid",
        "detail": "The request failed",
        "instance": "b1",
        "invalid_parameters": [{"name": "to", "reason": "bad"}, "x", {"name": "from"}],
    }
    assert problems.read_problem(422, json.dumps(body).encode()) == Problem(
        status=422,
        type="https://x/#invalid-request-parameters",
        title="Invalid",
        detail="The request failed",
        invalid_parameters=(("to", "bad"), ("from", "")),
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"hello": "world"}', b'{"title": null, "detail": {}}'],
)
def test_what_is_no_problem_object_is_none(body: bytes) -> None:
    assert problems.read_problem(500, body) is None


def test_words_of_a_problem_are_shortened_and_cannot_steer_a_terminal() -> None:
    body = {"title": "a\x1b[31m\r\nb", "detail": "x" * 10_000}
    problem = problems.read_problem(400, json.dumps(body).encode())
    assert problem is not None
    assert problem.title == "a [31m  b"
    assert problem.detail == "x" * 200 + "…"


@pytest.mark.parametrize(
    ("problem", "blamed"),
    [
        (None, False),
        (Problem(422, detail="date_start is older than 13 months"), True),
        (Problem(422, detail="The date range must not exceed 13 months"), True),
        (Problem(422, title="Invalid date range"), True),
        (Problem(422, detail="the end date lies before the start date"), True),
        (Problem(422, detail="the update failed"), False),
        (Problem(422, invalid_parameters=(("date_end", "in the future"),)), True),
        (Problem(422, invalid_parameters=(("range", "the date range is too long"),)), True),
        (Problem(422, detail="see date_start", invalid_parameters=(("to", "bad"),)), False),
    ],
)
def test_a_problem_that_blames_the_dates(problem: Problem | None, blamed: bool) -> None:
    assert problems.names_a_date(problem) is blamed


@pytest.mark.parametrize(("status", "names_a_date"), [(422, True), (400, False)])
def test_only_a_422_can_blame_the_window(status: int, names_a_date: bool) -> None:
    problem = Problem(status, detail="date_start is wrong")
    error = problems.refusal(status, {}, problem, call="POST", api_key="k", now=NOON)
    assert isinstance(error, Rejected)
    assert error.names_a_date is names_a_date


WORDS: list[tuple[int, dict[str, Any], str]] = [
    (
        401,
        {"title": "Unauthorized"},
        (
            "GET x: the API does not accept key abcd (HTTP 401 Unauthorized); check the key and its"
            " secret in the credentials"
        ),
    ),
    (
        403,
        {"title": "Forbidden"},
        (
            "GET x: key abcd may not do this (HTTP 403 Forbidden); check that the account is its"
            " own or a subaccount of it, and that the Reports API is enabled for it"
        ),
    ),
    (
        404,
        {},
        (
            "GET x: the API knows nothing of it (HTTP 404 without words); reports are forgotten"
            " after 4 days and files after 72 hours"
        ),
    ),
    (
        429,
        {},
        "GET x: too many requests of key abcd (HTTP 429 without words); it goes on more slowly",
    ),
    (
        503,
        {"detail": "maintenance"},
        "GET x: the API failed (HTTP 503 maintenance); try again later",
    ),
]


@pytest.mark.parametrize(("status", "members", "text"), WORDS, ids=[str(row[0]) for row in WORDS])
def test_each_refusal_says_what_to_do(status: int, members: dict[str, Any], text: str) -> None:
    problem = Problem(status, **members) if members else None
    error = problems.refusal(status, {}, problem, call="GET x", api_key="abcd", now=NOON)
    assert str(error) == text
    assert error.problem == problem
    assert error.call == "GET x"
