"""schema/ holds the JSON Schemas that the first lines of the example files name for editors.

Run this file as a script to write them anew: ``python -m tests.test_docs_schemas`` (`make docs`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.config import config_schema, job_schema

ROOT = Path(__file__).parents[1]
SCHEMAS: Final = {"config": config_schema, "job": job_schema}
EXAMPLES: Final = {
    "config.example.yaml": "config",
    "jobs/nightly.yaml": "job",
    "jobs/backfill.yaml": "job",
}


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1) + "\n"


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_schema_is_that_of_the_code(kind: str) -> None:
    written = (ROOT / "schema" / f"{kind}.json").read_text(encoding="utf-8")
    assert written == text(SCHEMAS[kind]()), "run: make docs"


@pytest.mark.parametrize(("name", "kind"), EXAMPLES.items())
def test_the_first_line_leads_an_editor_to_the_schema(name: str, kind: str) -> None:
    """Relative to the file, as the YAML language server takes it."""
    path = ROOT / name
    first = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text(encoding="utf-8"))
    assert first
    assert (path.parent / first[1]).resolve() == ROOT / "schema" / f"{kind}.json"


if __name__ == "__main__":
    for name, schema in SCHEMAS.items():
        (ROOT / "schema" / f"{name}.json").write_text(text(schema()), encoding="utf-8")
