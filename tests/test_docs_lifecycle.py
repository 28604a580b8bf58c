"""The life cycle in docs/design.md is the one in the code.

Run this file as a script to write it anew: ``python -m tests.test_docs_lifecycle``.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from orchestrator.core.lifecycle import State, transition
from orchestrator.errors import InvalidTransition
from tests.test_core_lifecycle import EXAMPLES

PAGE = Path(__file__).parent.parent / "docs" / "design.md"
BEGIN = "by tests/test_docs_lifecycle.py -->\n"
END = "<!-- end of life cycle -->"


def table() -> str:
    """Every state, whether a run works on it, whether its window is had, and what follows."""
    lines = [
        "| state | open | its window is had | event → next state |",
        "| --- | --- | --- | --- |",
    ]
    for state in State:
        following: dict[State, list[str]] = defaultdict(list)
        for kind, event in EXAMPLES.items():
            try:
                following[transition(state, event)].append(kind.__name__)
            except InvalidTransition:
                continue
        steps = " · ".join(
            f"{', '.join(names)} → `{target.value}`" for target, names in following.items()
        )
        marks = ["yes" if fact else "" for fact in (state.is_open, state.has_window)]
        lines.append(f"| `{state.value}` | {marks[0]} | {marks[1]} | {steps or 'the end'} |")
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    return head + BEGIN, old, END + tail


def test_the_page_shows_the_life_cycle_of_the_code() -> None:
    assert parts()[1] == table(), "run python -m tests.test_docs_lifecycle"


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + table() + after, encoding="utf-8")
