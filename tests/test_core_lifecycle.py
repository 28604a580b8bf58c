"""The life cycle: every state meets every event."""

from __future__ import annotations

from typing import get_args

import pytest

from orchestrator.core import lifecycle as life
from orchestrator.core.lifecycle import Event, State, transition
from orchestrator.errors import InvalidTransition

EXAMPLES: dict[type, Event] = {
    type(event): event
    for event in (
        life.Created("id"),
        life.NotCreated("refused"),
        life.CreateUnknown("timeout"),
        life.Adopted("id"),
        life.FoundAbsent("not listed"),
        life.Held("no list"),
        life.Finished(3, "https://api/file"),
        life.CutShort(3, "too large"),
        life.Failed("failed"),
        life.Aborted("aborted"),
        life.Lost("404"),
        life.Cancelled(),
        life.FileGone("404"),
        life.Verified("hash", 3, 100, "a.csv"),
        life.FileMissing("crash"),
        life.Published(),
        life.Disputed("count"),
        life.Superseded("newer"),
        life.Erased("user"),
        life.Waived("user"),
        life.Refetched("user"),
        life.Resubmitted("user"),
        life.Accepted("hash", 3, 100, "a.csv"),
    )
}

ALLOWED = {
    ("submitting", "Created"): "submitted",
    ("submitting", "NotCreated"): "absent",
    ("submitting", "CreateUnknown"): "submitting",
    ("submitting", "Adopted"): "submitted",
    ("submitting", "FoundAbsent"): "absent",
    ("submitting", "Held"): "held",
    ("held", "Adopted"): "submitted",
    ("held", "FoundAbsent"): "absent",
    ("held", "Held"): "held",
    ("held", "Waived"): "waived",
    ("held", "Resubmitted"): "discarded",
    ("submitted", "Finished"): "ready",
    ("submitted", "CutShort"): "truncated",
    ("submitted", "Failed"): "failed",
    ("submitted", "Aborted"): "aborted",
    ("submitted", "Lost"): "lost",
    ("submitted", "Cancelled"): "cancelled",
    ("submitted", "Disputed"): "disputed",
    ("ready", "Finished"): "ready",
    ("ready", "CutShort"): "truncated",
    ("ready", "Failed"): "failed",
    ("ready", "Aborted"): "aborted",
    ("ready", "Lost"): "lost",
    ("ready", "FileGone"): "expired",
    ("ready", "Verified"): "verified",
    ("ready", "Disputed"): "disputed",
    ("verified", "FileMissing"): "ready",
    ("verified", "Published"): "collected",
    ("verified", "Disputed"): "disputed",
    ("collected", "Superseded"): "superseded",
    ("collected", "Erased"): "erased",
    ("erased", "Superseded"): "superseded",
    ("erased", "Resubmitted"): "discarded",
    ("disputed", "Waived"): "waived",
    ("disputed", "Resubmitted"): "discarded",
    ("disputed", "Accepted"): "verified",
    ("waived", "Resubmitted"): "discarded",
    ("submitting", "Waived"): "waived",
    ("submitting", "Resubmitted"): "discarded",
    ("submitted", "Waived"): "waived",
    ("submitted", "Resubmitted"): "discarded",
    ("ready", "Waived"): "waived",
    ("ready", "Resubmitted"): "discarded",
    ("absent", "Waived"): "waived",
    ("discarded", "Waived"): "waived",
    ("truncated", "Waived"): "waived",
    ("failed", "Waived"): "waived",
    ("aborted", "Waived"): "waived",
    ("cancelled", "Waived"): "waived",
    ("expired", "Waived"): "waived",
    ("lost", "Waived"): "waived",
    ("absent", "Adopted"): "submitted",
    ("disputed", "Refetched"): "submitted",
    ("expired", "Refetched"): "submitted",
    ("lost", "Refetched"): "submitted",
}


def test_the_examples_hold_every_event() -> None:
    assert set(EXAMPLES) == set(get_args(Event))


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", State, ids=lambda state: state.value)
def test_every_pair(state: State, event: Event) -> None:
    name = type(event).__name__
    expected = ALLOWED.get((state.value, name))
    if expected is None:
        with pytest.raises(InvalidTransition, match=f"{state.value} cannot take {name}"):
            transition(state, event)
    else:
        assert transition(state, event) is State(expected)


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
def test_what_frees_a_window_has_a_proof(event: Event) -> None:
    """No event leads from a window that is had to one that may be bought without saying why."""
    frees = False
    for state in State:
        try:
            after = transition(state, event)
        except InvalidTransition:
            continue
        frees |= state.has_window and not after.has_window and after is not State.SUPERSEDED
    assert (event.proof is not None) == frees


def test_open_states_have_their_window() -> None:
    """What is being worked on is never bought again beside it."""
    assert {state for state in State if state.is_open} <= {
        state for state in State if state.has_window
    }


def test_the_windows_that_are_debt_again() -> None:
    assert {state.value for state in State if not state.has_window} == {
        "absent",
        "aborted",
        "cancelled",
        "discarded",
        "expired",
        "failed",
        "lost",
        "superseded",
        "truncated",
    }
