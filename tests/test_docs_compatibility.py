"""docs/compatibility.md says what is so; and all that the last release promised is still there.

Run this file as a script at a release: ``python -m tests.test_docs_compatibility``. It writes down
what users may rely on from then on, in tests/data/promised.json: that may grow, and never shrink.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import orchestrator
from orchestrator.cli.main import COMMANDS
from orchestrator.collect.manifest_writing import VERSION as MANIFEST_VERSION
from orchestrator.config import config_schema, job_schema
from orchestrator.core.policy import ExitCode
from orchestrator.ledger import schema
from requirements.locks import PYTHONS
from tests.test_docs_examples import _answers, _shape
from tests.test_docs_reference import _keys, _options

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE: Final = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
PROMISED: Final = ROOT / "tests" / "data" / "promised.json"


def paths(shape: Any, above: str = "") -> Iterator[str]:
    """The keys of an answer all the way down, with dots between them."""
    for key, part in (shape or {}).items():
        yield f"{above}{key}"
        yield from paths(part, f"{above}{key}.")


def promised() -> dict[str, list[str]]:
    """What users may rely on, as it is now."""
    now = {
        "commands": COMMANDS,
        "options": (f"{command} {option}" for command, option in _options()),
        "exit codes": (f"{int(code)} {code.name.lower()}" for code in ExitCode),
        "keys of the config": _keys(config_schema()),
        "keys of a job": _keys(job_schema()),
        "names of the library": orchestrator.__all__,
    }
    answers = {f"answer of {name}": paths(_shape(told)) for name, told in _answers().items()}
    return {name: sorted(set(each)) for name, each in {**now, **answers}.items()}


def test_nothing_that_was_promised_is_gone() -> None:
    """What is gone on purpose is for a major version, and for "Removed" in the changelog."""
    before = json.loads(PROMISED.read_text(encoding="utf-8"))
    now = promised()
    gone = {name: sorted(set(each) - set(now.get(name, ()))) for name, each in before.items()}
    assert {name: each for name, each in gone.items() if each} == {}


def test_the_versions_of_ledger_and_manifest_are_those_of_the_code() -> None:
    (written, oldest, newest) = re.findall(r"(?m)^\| ledger .*?\| (\d+) \| (\d+) to (\d+);", PAGE)[
        0
    ]
    assert (int(written), int(oldest), int(newest)) == (schema.VERSION, 1, schema.VERSION)
    assert f"| manifest (`version` in its first line) | {MANIFEST_VERSION} | 1 and " in PAGE


@pytest.mark.parametrize("version", range(2, schema.VERSION))
def test_there_is_a_ledger_of_every_version_from_2_on(version: int) -> None:
    """`test_ledger_upgrade` opens them all, and goes on with them."""
    place = ROOT / "tests" / "data" / f"version_{version}"
    assert f"user_version = {version}" in (place / "ledger.sql").read_text(encoding="utf-8").lower()


def test_the_versions_of_python_are_those_of_the_package_and_of_the_lock_files() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [each.rpartition(" ")[2] for each in project["classifiers"] if ":: 3." in each]
    assert tuple(named) == PYTHONS
    text = f"{', '.join(PYTHONS[:-1])} and {PYTHONS[-1]}"
    assert f"Python: {text}, on Linux" in PAGE
    (ran,) = re.findall(r"whole test suite has run with (.*?)\.\n", PAGE)
    assert sorted(re.findall(r"(3\.\d+)\.\d+", ran)) == sorted(PYTHONS)


if __name__ == "__main__":
    PROMISED.write_text(json.dumps(promised(), indent=1) + "\n", encoding="utf-8")
