"""The reference names all that there is: commands, options, keys, exit codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from orchestrator.cli.main import COMMANDS, main
from orchestrator.config import config_schema, job_schema
from orchestrator.core.lifecycle import State
from orchestrator.core.model import CalendarWord
from orchestrator.core.policy import ExitCode
from orchestrator.core.products import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _section(name: str, title: str) -> str:
    """What stands under a heading, up to the next of its kind."""
    found = re.search(rf"(?ms)^## {re.escape(title)}$(.*?)(?=^## |\Z)", _text(name))
    assert found, f"{name} has no section {title}"
    return found[1]


def _code(text: str) -> set[str]:
    """What stands in backquotes on one line, fences apart."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text)))


def _options() -> Iterator[tuple[str, str]]:
    context = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                for spelled in parameter.opts:
                    yield name, spelled


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_section_and_a_line_in_the_list(command: str) -> None:
    assert _section("docs/commands.md", command).strip()
    assert f"(#{command})" in _text("docs/commands.md").split("\n## ", 1)[0]


@pytest.mark.parametrize(("command", "option"), sorted(_options()))
def test_every_option_stands_in_the_section_of_its_command(command: str, option: str) -> None:
    words = {word for code in _code(_section("docs/commands.md", command)) for word in code.split()}
    assert option in words


def test_no_section_of_a_command_names_an_option_that_nothing_has() -> None:
    known = {option for _, option in _options()} | {"--help", "--version"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", _text("docs/commands.md")))
    assert named <= known


def _keys(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The keys of a JSON Schema, with dots between them; names that users choose left out."""
    for key, part in schema.get("properties", {}).items():
        yield f"{path}{key}"
        if isinstance(part, dict):
            yield from _keys(part, f"{path}{key}.")
    for part in schema.get("anyOf", ()):
        yield from _keys(part, path)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from _keys(schema[inner], path)


@pytest.mark.parametrize("key", sorted(set(_keys(job_schema()))))
def test_every_key_of_a_job_file_stands_in_the_section_of_its_top_key(key: str) -> None:
    top, _, last = key.rpartition(".")
    title = top.partition(".")[0] or last
    # `credentials` is told of with the accounts.
    section = _section("docs/job-file.md", {"credentials": "accounts"}.get(title, title))
    assert last in _code(section) | {title}
    assert f"`{title}`" in _text("docs/job-file.md").split("\n## ", 1)[0]


@pytest.mark.parametrize("key", sorted(set(_keys(config_schema()))))
def test_every_key_of_the_config_stands_in_its_reference(key: str) -> None:
    name = {
        "credentials.api_key": "api_key",
        "credentials.api_secret": "api_secret",
        "price_per_record.default": "default",
    }.get(key, key)
    assert name in _code(_text("docs/config.md"))


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_every_product_has_a_row_with_all_its_fields(product: Any) -> None:
    rows = [
        row
        for row in _text("docs/job-file.md").splitlines()
        if row.startswith(f"| `{product.name}`")
    ]
    assert len(rows) == 1
    assert _code(rows[0]) - {"VOICE"} == product.fields | {product.name}


@pytest.mark.parametrize("word", [word.value for word in CalendarWord])
def test_every_calendar_word_has_a_row(word: str) -> None:
    assert f"| `{word}` |" in _section("docs/job-file.md", "windows")


@pytest.mark.parametrize("state", [state.value for state in State])
def test_every_state_is_explained(state: str) -> None:
    rows = [row for row in _section("docs/commands.md", "status").splitlines() if "|" in row]
    assert any(f"`{state}`" in row.split("|")[1] for row in rows)


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name.lower())
def test_every_exit_code_has_a_row_in_the_readme(code: ExitCode) -> None:
    rows = [row for row in _section("README.md", "Exit codes").splitlines() if row.startswith("|")]
    assert any(str(int(code)) in re.findall(r"\d+", row.split("|")[1]) for row in rows)


@pytest.mark.parametrize("code", ExitCode, ids=lambda code: code.name.lower())
def test_every_exit_code_of_a_run_stands_in_its_section(code: ExitCode) -> None:
    section = _section("docs/commands.md", "run")
    told = section[section.index("Exit codes:") :].split("\n\n")[0]
    assert str(int(code)) in re.findall(r"\d+", told)
