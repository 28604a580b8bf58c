"""docs/logs.md lists what the code can write to a log in JSON, and the code writes nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.kit.log_page import EVENTS

ROOT = Path(__file__).parent.parent

FROM_ELSEWHERE = {"run_ended", "report", "event_loop", "error", "library"}
"""Types whose fields do not all stand where they are written: `test_cli_logs` meets them."""


def written() -> dict[str, set[str]]:
    """Every type that stands in the code, with the fields that stand beside it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            beside: dict[str | None, ast.expr] = {}
            if isinstance(node, ast.Call):
                beside = {keyword.arg: keyword.value for keyword in node.keywords}
            elif isinstance(node, ast.Dict):
                keys = [
                    each.value if isinstance(each, ast.Constant) else None for each in node.keys
                ]
                beside = dict(zip(map(str, keys), node.values, strict=True))
            kind = beside.get("type")
            if isinstance(kind, ast.Constant) and str(kind.value) in EVENTS:
                found[str(kind.value)] |= {str(each) for each in beside} - {"None", "type"}
    return found


def test_every_type_is_written_with_its_fields_and_no_others() -> None:
    found = written()
    found.pop("message", None)  # a card of Teams is one, too
    assert set(found) == set(EVENTS) - {"message"}
    for name, fields in found.items():
        listed = EVENTS[name].fields
        assert fields <= listed, name
        assert fields == listed or name in FROM_ELSEWHERE, name


def test_what_has_no_type_has_no_fields() -> None:
    """A message with facts would write fields that no page lists."""
    for path in (ROOT / "orchestrator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                names = {keyword.arg for keyword in node.keywords}
                if node.func.attr == "message" and names:
                    assert "type" in names, f"{path}:{node.lineno}"
