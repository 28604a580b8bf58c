"""docs/faults.md lists every kind of fault as the code declares it.

Run this file as a script to write it anew: ``python -m tests.test_docs_faults``.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from orchestrator.simulator import KINDS, Fault
from orchestrator.simulator.calls import FaultOfCall
from orchestrator.simulator.faults.calls import FaultOfServer
from orchestrator.simulator.faults.model import CALLS, FaultOfReport
from orchestrator.simulator.faults.options import Choice

PAGE = Path(__file__).parent.parent / "docs" / "faults.md"
BEGIN = "by tests/test_docs_faults.py -->\n"
END = "<!-- end of faults -->"
GROUPS = {
    "At a call": FaultOfCall,
    "At a report": FaultOfReport,
    "At the whole server": FaultOfServer,
}


def options(kind: type[Fault]) -> dict[str, Field[Any]]:
    """The options of a kind, by the names that they have in a file."""
    common = {field.name for field in fields(Fault)}
    return {field.name: field for field in fields(kind) if field.name not in common}


def option_text(name: str, field: Field[Any]) -> str:
    if field.default is MISSING:
        return f"`{name}`, required"
    if field.default is None:
        return f"`{name}`"
    default = field.default
    return f"`{name}: {json.dumps(default) if isinstance(default, bool) else default}`"


def effect(kind: type[Fault]) -> str:
    """The docstring on one line, and the words that an option may be."""
    text = " ".join(inspect.cleandoc(kind.__doc__ or "").split()).replace("``", "`")
    for name in options(kind):
        check = kind.options()[name]
        words = check.options if isinstance(check, Choice) else ()
        if any(f"`{word}`" not in text for word in words):
            text += f" `{name}` is one of " + ", ".join(f"`{word}`" for word in words) + "."
    return text


def tables() -> str:
    """A table for each group of places, its kinds by name."""
    lines = []
    for title, base in GROUPS.items():
        lines += [f"## {title}", "", "| `do` | `at` | options | what it does |"]
        lines += ["| --- | --- | --- | --- |"]
        for name, kind in sorted(KINDS.items()):
            if issubclass(kind, base):
                places = "any call" if kind.places == CALLS else ", ".join(kind.places)
                given = "<br>".join(option_text(*option) for option in options(kind).items())
                lines.append(f"| `{name}` | {places} | {given} | {effect(kind)} |")
        lines.append("")
    return "\n".join(lines)


def parts() -> tuple[str, str, str]:
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    old, tail = rest.split(END)
    return head + BEGIN, old, END + tail


def test_the_page_lists_the_faults_of_the_code() -> None:
    assert parts()[1] == tables(), "run python -m tests.test_docs_faults"


def test_every_option_is_explained() -> None:
    unexplained = [
        f"{kind.do}.{name}"
        for kind in KINDS.values()
        for name in options(kind)
        if f"`{name}" not in effect(kind)
    ]
    assert unexplained == []


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(before + tables() + after, encoding="utf-8")
