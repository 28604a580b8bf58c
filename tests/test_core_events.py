"""Events go to every subscriber; who may fail does not end the run, and who must not does."""

from __future__ import annotations

from asyncio import CancelledError

import pytest

from orchestrator.core.events import Message, RunEvent, RunEvents


def broken(_event: RunEvent) -> None:
    raise OSError("the terminal is gone")


def test_every_subscriber_is_told_in_order() -> None:
    told: list[str] = []
    events = RunEvents(lambda _event: told.append("first"), lambda _event: told.append("second"))
    with events.subscribed(lambda _event: told.append("before both")):
        events.message("info", "begun", jobs=1)
    assert told == ["before both", "first", "second"]
    events.message("info", "ended")
    assert told[3:] == ["first", "second"]


def test_a_message_carries_its_facts() -> None:
    told: list[RunEvent] = []
    RunEvents(told.append).message("warning", "report 7: failed", report=7)
    assert told == [Message("warning", "report 7: failed", {"report": 7})]


@pytest.mark.parametrize(
    "error", [OSError("the terminal is gone"), SystemExit(1), CancelledError()], ids=repr
)
def test_a_subscriber_that_fails_is_remembered_and_the_others_hear_all_the_same(
    error: BaseException,
) -> None:
    def fail(_event: RunEvent) -> None:
        raise error

    told: list[RunEvent] = []
    events = RunEvents(fail, told.append)
    events.message("info", "begun")
    assert len(told) == 1
    assert events.failure is error


def test_an_essential_subscriber_that_fails_ends_the_run() -> None:
    events = RunEvents()
    with events.subscribed(broken), pytest.raises(OSError, match="terminal"):
        events.message("info", "begun")
    assert events.failure is None
