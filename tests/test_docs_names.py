"""The names of code and files in the documents for maintainers, and in docstrings, are right."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from orchestrator.config import config_schema

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(
    path.name.removesuffix(".py")
    for path in (ROOT / "orchestrator").iterdir()
    if not path.name.startswith("_")
)
DOCUMENTS = ("docs/design.md", "docs/glossary.md", "CONTRIBUTING.md")


def code(document: str) -> set[str]:
    """What stands in backquotes on one line, fences apart."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text)))


NAME = re.compile(rf"({'|'.join(PACKAGES)})(\.[A-Za-z_]+)+")
"""Of something in the package, such as ``core.debt.Debt``."""


def names() -> set[str]:
    """The names of code in the documents."""
    return {name for each in DOCUMENTS for name in code(each) if NAME.fullmatch(name)} - {
        "config.example.yaml"
    }


def rows() -> list[tuple[str, str]]:
    """Word and name of each entry of the glossary."""
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([a-z ]+) \| `([^`]+)` \| .+ \|$", text, re.MULTILINE)


def names_in_code() -> set[str]:
    """The names of code in comments and docstrings; keys of the config look alike."""
    found: set[str] = set()
    for path in (ROOT / "orchestrator").rglob("*.py"):
        found.update(re.findall(r"(?<!`)`([\w.]+)`(?!`)", path.read_text(encoding="utf-8")))
    keys = config_schema()["properties"]["api"]["properties"]
    return {name for name in found if NAME.fullmatch(name)} - {f"api.{key}" for key in keys}


@pytest.mark.parametrize("name", sorted(names() | names_in_code()))
def test_a_name_is_that_of_a_module_or_of_something_in_it(name: str) -> None:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            place: object = import_module(".".join(["orchestrator", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            fields = getattr(place, "__annotations__", {})
            assert hasattr(place, part) or part in fields, f"{place} has no {part}"
            place = getattr(place, part, None)
        return
    pytest.fail(f"{name} is no module")


def test_the_glossary_names_code_and_is_in_order() -> None:
    entries = rows()
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    assert len(entries) == text.count("\n| ") - 2 > 50
    assert {name for _, name in entries} <= names()
    words = [word for word, _ in entries]
    assert words == sorted(set(words))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_path_is_that_of_a_file(document: str) -> None:
    pattern = re.compile(r"(orchestrator|tests|docs|benchmarks|requirements)/[a-z0-9_/.]+")
    paths = [path for path in code(document) if pattern.fullmatch(path)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, "README.md"])
def test_a_link_leads_to_a_file(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert links
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []
