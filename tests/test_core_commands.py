"""Every command that a message names can be typed as it stands: click itself reads it."""

from __future__ import annotations

import ast
import re
import shlex
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import orchestrator
from orchestrator.cli.main import COMMANDS, call, main
from orchestrator.core import commands
from orchestrator.core.commands import JOB, Called, remember, typed
from tests.kit.home import enter, write_job

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(orchestrator.__file__).parent
VALUE = "17"
"""Stands for what a message fills in: the number of a report, an id, a path."""

WORDS = {"JOB": "nightly.yaml", "REQUEST_ID": "r-1", "DATE": "2026-01-01", "COMMAND": "demo"}


def text_of(node: ast.expr) -> str | None:
    """A string with `VALUE` for whatever it computes; None: no string."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(text_of(value) or "" for value in values)
        case ast.FormattedValue():
            return VALUE
        case _:
            return None


def named_in(text: str) -> Iterator[str]:
    assert text.count("`") % 2 == 0 or "`orchestrator" not in text, f"never closed: {text}"
    yield from re.findall(r"`orchestrator ([^`]*)`", text)


def command_of(node: ast.Call) -> str:
    """What a call of `typed` writes."""
    words = []
    for part in node.args:
        if isinstance(part, ast.Name) and part.id == "JOB":
            words.append("JOB")
        elif isinstance(part, ast.Starred):
            words.append("JOB" if "paths" in ast.unparse(part) else VALUE)
        else:
            words.append(text_of(part) or VALUE)
    return shlex.join(words)


def found() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) for part in inside(node)}
        for node in ast.walk(tree):
            place = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "typed":
                yield place, command_of(node)
            elif isinstance(node, ast.expr) and id(node) not in parts:
                for one in named_in(text_of(node) or ""):
                    yield place, one


def inside(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.JoinedStr):
        yield from node.values


COMMANDS_NAMED = list(found())


def read(line: str) -> None:
    """Lets click read a command, with its rules for what must be given and of which kind."""
    name, *arguments = [WORDS.get(word, word) for word in shlex.split(line)]
    ends = [at for at, word in enumerate(arguments) if word in (">", "|")]
    arguments = arguments[: min(ends, default=len(arguments))]
    assert name in COMMANDS
    # With the settings of the program: click keeps the help option that a command showed first.
    program = click.Context(main, **main.context_settings)
    command = main.get_command(program, name)
    assert command is not None
    if "--help" not in arguments:
        command.make_context(name, arguments, parent=program)


@pytest.mark.parametrize(
    "line", [pytest.param(line, id=f"{place} {line}") for place, line in COMMANDS_NAMED]
)
def test_a_command_that_is_named_can_be_typed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(tmp_path, monkeypatch)
    write_job(tmp_path, "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n")
    read(line)


def test_they_are_found() -> None:
    assert len(COMMANDS_NAMED) > 50
    assert {line.split()[0] for _, line in COMMANDS_NAMED} >= {"run", "resolve", "status", "demo"}


def test_one_that_lacks_its_job_would_be_found_too() -> None:
    with pytest.raises(click.MissingParameter):
        read("run --retry-failed")


@pytest.fixture
def apart() -> Iterator[None]:
    """What is remembered here is forgotten after the test."""
    before = commands._CALLED.get()
    yield
    remember(before)


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize(
    ("called", "run", "resolve"),
    [
        (Called(), "`orchestrator run JOB --retry-failed`", "`orchestrator resolve 17 --waive`"),
        (
            Called(("a.yaml", "b c.yaml")),
            "`orchestrator run a.yaml 'b c.yaml' --retry-failed`",
            "`orchestrator resolve 17 --waive`",
        ),
        (
            Called(("a.yaml",), "../c.yaml", "../c.yaml"),
            "`orchestrator run a.yaml --retry-failed --config ../c.yaml`",
            "`orchestrator resolve 17 --waive --config ../c.yaml`",
        ),
        (
            Called(("/srv/a.yaml",), "", "/srv/config.yaml"),
            "`orchestrator run /srv/a.yaml --retry-failed`",
            "`orchestrator resolve 17 --waive --config /srv/config.yaml`",
        ),
        (
            Called(("a", "b", "c", "d", "e")),
            "`orchestrator run JOB --retry-failed`",
            "`orchestrator resolve 17 --waive`",
        ),
    ],
)
def test_they_are_written_for_whoever_called_us_so(called: Called, run: str, resolve: str) -> None:
    def look() -> tuple[str, str]:
        remember(called)
        return typed("run", JOB, "--retry-failed"), typed("resolve", 17, "--waive")

    assert copy_context().run(look) == (run, resolve)


def test_a_command_names_the_config_where_another_would_not_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "reports"
    place.mkdir()
    write_job(place, "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n")
    (place / "config.yaml").write_text("limits:\n", encoding="utf-8")
    (place / "reports/report_account=abcd1234").mkdir(parents=True)
    enter(tmp_path, monkeypatch)
    assert call(["status", "reports/nightly.yaml"]) == 2
    assert "`orchestrator run reports/nightly.yaml --rebuild-ledger`" in capsys.readouterr().err
    assert typed("run", JOB) == "`orchestrator run JOB`", "nothing is left of the call"
