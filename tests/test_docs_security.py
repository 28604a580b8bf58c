"""SECURITY.md: each promise names a test, and that test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = [
    line
    for line in TEXT.partition("<!-- promises -->")[2].splitlines()
    if line.startswith("|") and not line.startswith(("| promise |", "| --- |"))
]
NAMED = re.compile(r"`(tests/test_\w+\.py)::(test_\w+)`")


def test_there_are_promises() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60])
def test_each_promise_names_a_test_that_exists(row: str) -> None:
    named = NAMED.findall(row)
    assert named, row
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        found = {
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in found, row


def test_the_readme_leads_there_and_the_source_package_has_it() -> None:
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert '"/SECURITY.md"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
