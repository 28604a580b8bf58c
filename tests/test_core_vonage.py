"""Facts of the vendor's API stand in `core/vonage`, and nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from orchestrator.core import vonage
from orchestrator.core.vonage import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(orchestrator.__file__).parent
FACTS = (
    *vonage.HOST_SUFFIXES,
    vonage.BASE_URL,
    vonage.RATE_LIMIT_TYPE,
    vonage.MEDIA_PATH,
    *(status.value for status in Status),
)
LIVES = re.compile(r"hours=(72|96)|days=(4|90)\b|RETENTION_MONTHS: |\bmonths=13")
"""Spans of time that the vendor names."""


def constants(tree: ast.AST) -> Iterator[object]:
    """The constants of a module, docstrings and parts of f-strings apart."""
    prose = {part.value for part in ast.walk(tree) if isinstance(part, ast.Expr)} | {
        part
        for whole in ast.walk(tree)
        if isinstance(whole, ast.JoinedStr)
        for part in whole.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in prose:
            yield node.value


def test_no_other_module_has_a_fact_of_the_vendor() -> None:
    elsewhere = {
        (path.relative_to(PACKAGE).as_posix(), value)
        for path in PACKAGE.rglob("*.py")
        if "simulator" not in path.parts and path.name != "vonage.py"
        for value in constants(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(value, str) and value in FACTS) or (value == vonage.FILE_RECORDS)
    }
    assert elsewhere == set()


def test_no_other_module_has_a_time_of_the_vendor() -> None:
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "simulator" not in path.parts and path.name != "vonage.py"
        if LIVES.search(path.read_text(encoding="utf-8"))
    }
    ours = {
        "core/policy.py",  # how long a create is looked for
        "config/job_entries.py",  # the longest `refetch` that is taken
    }
    assert named == ours


def test_only_pending_and_processing_may_change() -> None:
    assert {status for status in Status if not status.is_final} == {
        Status.PENDING,
        Status.PROCESSING,
    }
