"""docs/reliability.md says for each way to another purchase what proves it, as the code has it.

Run this file as a script to write the table anew: ``python -m tests.test_docs_proofs``.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from orchestrator.core import proofs
from orchestrator.core.lifecycle import State, transition
from orchestrator.core.proofs import Proof
from orchestrator.errors import InvalidTransition
from tests.test_core_lifecycle import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.core.lifecycle import Event

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "by tests/test_docs_proofs.py -->\n"
END: Final = "<!-- end of proofs -->"

SHOWN_BY: Final[dict[Proof, tuple[tuple[str, str], ...]]] = {
    Proof.REFUSED: (
        ("test_engine_dates", "test_a_range_too_long_costs_a_few_refused_creates_and_nothing_else"),
    ),
    Proof.API_SAID_FAILED: (
        ("test_engine_faults", "test_an_ending_without_a_file_is_followed_by_another_attempt"),
    ),
    Proof.API_SAID_ABORTED: (
        ("test_engine_ends", "test_nothing_is_bought_for_a_report_that_a_cancel_did_not_end"),
    ),
    Proof.API_SAID_TRUNCATED: (
        ("test_engine_faults", "test_a_truncated_window_is_asked_for_again_in_smaller_chunks"),
    ),
    Proof.FILE_LIFE_OVER: (
        (
            "test_engine_ends",
            "test_a_file_that_never_comes_is_tried_for_four_days_and_then_bought_again",
        ),
        (
            "test_engine_ends",
            "test_a_file_whose_life_is_over_is_expired_while_its_report_is_still_known",
        ),
    ),
    Proof.REPORT_LIFE_OVER: (
        ("test_core_lifespans", "test_what_a_row_of_404s_proves"),
        ("test_engine_ends", "test_a_machine_s_clock_that_is_set_right_ends_no_life"),
    ),
    Proof.UNKNOWN_TO_THE_API: (
        (
            "test_engine_ends",
            "test_what_the_api_does_not_know_while_it_shows_others_is_bought_again",
        ),
        ("test_engine_ends", "test_an_hour_of_404_is_left_to_the_next_run_and_said_so"),
    ),
    Proof.LISTS_LACK_IT: (
        ("test_engine_unknown", "test_absence_is_believed_after_three_looks_over_ten_intervals"),
    ),
    Proof.PERSON: (("test_cli_resolve", "test_a_disputed_report_is_bought_again"),),
    Proof.CONFIGURED: (("test_engine_bounds", "test_on_unknown_resubmit_is_bounded_too"),),
}
"""For each proof tests that show it, by module: that it frees a window, or that less does not."""

CARRIED: Final[dict[str, tuple[Proof, ...]]] = {
    "Lost": (Proof.REPORT_LIFE_OVER, Proof.UNKNOWN_TO_THE_API),
    "Resubmitted": (Proof.PERSON, Proof.CONFIGURED),
}
"""Events that may come with one of several proofs."""


def ways() -> Iterator[tuple[State, Event, Proof]]:
    """Every step of a report's life after which its window may be bought again."""
    for event in EXAMPLES.values():
        for state in State:
            try:
                after = transition(state, event)
            except InvalidTransition:
                continue
            if not state.has_window or after.has_window or after is State.SUPERSEDED:
                continue
            for proof in CARRIED.get(type(event).__name__, (event.proof,)):
                assert proof is not None, f"{state.value} is freed by {event} without a proof"
                yield state, event, proof


def words_of(proof: Proof) -> str:
    """The docstring of a member: what it takes."""
    tree = ast.parse(Path(proofs.__file__).read_text(encoding="utf-8"))
    (members,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    for before, after in pairwise(members):
        if isinstance(before, ast.Assign) and isinstance(after, ast.Expr):
            (target,) = before.targets
            assert isinstance(target, ast.Name)
            if target.id == proof.name:
                assert isinstance(after.value, ast.Constant)
                return " ".join(str(after.value.value).split())
    raise AssertionError(f"{proof.name} does not say what it takes")


def table() -> str:
    """A row for each proof."""
    lines = [
        "| proof | what it takes | events that carry it, and from where | shown by |",
        "| --- | --- | --- | --- |",
    ]
    for proof in Proof:
        by_event: dict[str, list[str]] = {}
        for state, event, its_proof in ways():
            if its_proof is proof:
                by_event.setdefault(type(event).__name__, []).append(f"`{state.value}`")
        events = "; ".join(f"{name} ({', '.join(states)})" for name, states in by_event.items())
        tests = ", ".join(f"`{name}`" for _, name in SHOWN_BY[proof])
        lines.append(f"| {proof.value} | {words_of(proof)} | {events} | {tests} |")
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    return head + BEGIN, old, END + tail


def test_the_page_shows_the_proofs_of_the_code() -> None:
    assert parts()[1] == table(), "run python -m tests.test_docs_proofs"


def test_every_proof_is_carried_by_an_event() -> None:
    assert {proof for _, _, proof in ways()} == set(Proof)


@pytest.mark.parametrize("proof", Proof, ids=lambda proof: proof.name)
def test_a_proof_is_shown_by_tests_that_there_are(proof: Proof) -> None:
    assert SHOWN_BY[proof]
    for module, name in SHOWN_BY[proof]:
        text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{name} is gone"


@pytest.mark.parametrize(
    ("kind", "proof"), [(kind, proof) for kind, some in CARRIED.items() for proof in some]
)
def test_an_event_carries_the_proof_it_was_made_with(kind: str, proof: Proof) -> None:
    (event,) = [one for one in EXAMPLES.values() if type(one).__name__ == kind]
    assert replace(event, proof=proof).proof is proof  # type: ignore[arg-type]


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + table() + after, encoding="utf-8")
