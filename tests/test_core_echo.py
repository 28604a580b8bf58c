"""The echo of a request: what counts as a difference, and which differences the file refutes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from orchestrator.collect.echo_check import refutes
from orchestrator.core import echo
from orchestrator.core.echo import EchoDifference
from tests.test_core_matching import WINDOW, intent, listed, without

if TYPE_CHECKING:
    from orchestrator.core.echo import EchoValue
    from orchestrator.core.model import RemoteReport


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        pytest.param(listed(), None, id="the same"),
        pytest.param(without(listed(), "direction"), None, id="left out"),
        pytest.param(
            listed(account_id="beta0001"),
            "asked for account_id abcd1234, the API reports beta0001",
            id="account",
        ),
        pytest.param(
            listed(include_message=True),
            "asked for include_message false, the API reports true",
            id="message",
        ),
        pytest.param(
            replace(listed(), date_start=WINDOW.start - timedelta(days=1)),
            "asked for date_start 2026-01-01T00:00:00Z, the API reports 2025-12-31T00:00:00Z",
            id="start",
        ),
        pytest.param(
            listed(country="DE"), "asked for any country, the API reports DE", id="one more"
        ),
    ],
)
def test_a_wrong_echo_is_said_in_words(remote: RemoteReport, words: str | None) -> None:
    assert echo.wrong_echo(intent(), remote) == words


# --- the same, written in another way -------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "asked", "answered"),
    [
        ("country", "gb", "GB"),
        ("status", "delivered,failed", "failed, delivered"),
        ("status", "delivered", "DELIVERED"),
        ("from", "447700900000", "+447700900000"),
        ("to", "0044 7700-900000", "447700900000"),
        ("account_id", "abcd1234", "ABCD1234"),
        ("product", "VOICE-CALL", "voice"),
        ("product", "VERIFY-API", "verify_api"),
        ("include_message", True, "TRUE"),
        ("include_message", False, "0"),
        ("client_ref", "x", " x "),
    ],
)
def test_an_api_may_write_a_value_otherwise(field: str, asked: EchoValue, answered: str) -> None:
    assert echo.same_value(field, asked, answered)


@pytest.mark.parametrize(
    ("field", "asked", "answered"),
    [
        ("country", "GB", "FR"),
        ("status", "delivered,failed", "delivered"),
        ("from", "447700900000", "447700900001"),
        ("product", "VERIFY-API", "VERIFY-V2"),
        ("include_message", True, "false"),
        ("include_message", True, "maybe"),
        ("date_start", WINDOW.start, WINDOW.start + timedelta(seconds=1)),
    ],
)
def test_another_value_is_a_difference(field: str, asked: EchoValue, answered: EchoValue) -> None:
    assert not echo.same_value(field, asked, answered)


# --- what the file says of a difference -----------------------------------------------------------

HEADER = "account_id,country,status,date_received\n"
GB = "abcd1234,GB,delivered,2026-01-05T00:00:00+00:00\n"
FR = "abcd1234,FR,delivered,2026-01-31T23:59:59Z\n"
LATE = "abcd1234,GB,delivered,2026-02-01T00:00:00Z\n"


def is_refuted(text: str, *differences: EchoDifference) -> bool:
    content = text.encode("utf-8", "surrogateescape")
    return refutes((content[at : at + 7] for at in range(0, len(content), 7)), differences)


@pytest.mark.parametrize(
    ("text", "difference", "refuted"),
    [
        pytest.param(GB, EchoDifference("country", "GB", "FR"), True, id="all as asked for"),
        pytest.param(GB + FR, EchoDifference("country", "GB", "FR"), False, id="one is not"),
        pytest.param("", EchoDifference("country", "GB", "FR"), False, id="no records"),
        pytest.param(GB, EchoDifference("country", "GB", "any"), True, id="wider, all ours"),
        pytest.param("", EchoDifference("country", "GB", "any"), True, id="wider, none"),
        pytest.param(GB + FR, EchoDifference("country", "GB", "any"), False, id="wider, others"),
        pytest.param(
            GB + FR, EchoDifference("country", None, "FR"), True, id="no filter after all"
        ),
        pytest.param(FR, EchoDifference("country", None, "FR"), False, id="it may filter"),
        pytest.param(GB, EchoDifference("network", "1", "2"), False, id="no such column"),
        pytest.param(GB, EchoDifference("product", "SMS", "ASR"), False, id="product"),
        pytest.param(
            GB, EchoDifference("include_message", False, True), True, id="no bodies are there"
        ),
        pytest.param(
            GB, EchoDifference("include_message", True, False), False, id="bodies are missing"
        ),
        pytest.param(
            GB + FR,
            EchoDifference("date_end", WINDOW.end, WINDOW.end - timedelta(days=1)),
            True,
            id="the last day is there",
        ),
        pytest.param(
            GB,
            EchoDifference("date_end", WINDOW.end, WINDOW.end - timedelta(days=1)),
            False,
            id="the last day may be missing",
        ),
        pytest.param(
            GB,
            EchoDifference("date_start", WINDOW.start, WINDOW.start - timedelta(days=1)),
            True,
            id="a longer window, all inside ours",
        ),
        pytest.param(
            GB + LATE,
            EchoDifference("date_end", WINDOW.end, WINDOW.end + timedelta(days=1)),
            False,
            id="a longer window, one outside",
        ),
        pytest.param('abcd1234,"GB\n', EchoDifference("country", "GB", "FR"), False, id="broken"),
        pytest.param(
            GB + "abcd1234,GB\udce2\udc82",
            EchoDifference("country", "GB", "FR"),
            False,
            id="cut within a character",
        ),
    ],
)
def test_a_file_refutes_an_echo_or_does_not(
    text: str, difference: EchoDifference, *, refuted: bool
) -> None:
    assert is_refuted(HEADER + text, difference) is refuted
