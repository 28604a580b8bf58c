"""docs/orchestrator.1, the manual page, says of every command what its help says.

Run this file as a script to write it anew: ``python -m tests.test_docs_man`` (`make man`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest

from orchestrator.cli.main import COMMANDS, main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "orchestrator.1"
ENVIRONMENT: Final = {
    "VONAGE_API_KEY, VONAGE_API_SECRET": "The credentials, where no config names others. "
    "NEXMO_API_KEY and NEXMO_API_SECRET are taken as well.",
    "ORCHESTRATOR_CONFIG": "The config file, where --config does not name one.",
    "HTTPS_PROXY, NO_PROXY": "The proxy to the API, and hosts that are reached without it.",
    "NO_COLOR": "Output without colours.",
}
FILES: Final = {
    "config.yaml": "The config: beside the job file, or in a folder above it.",
    "state/ledger.db": "The ledger: what was asked for, and what became of it.",
    "reports": "The collected files, and their list manifest.jsonl.",
    "share/doc/vonage-reports-orchestrator/docs": "The documents that messages and comments name, "
    "below the environment in which the program is installed.",
}


def prose(text: str) -> Iterator[str]:
    """Lines of mdoc: one a sentence, with `code` in bold."""
    for sentence in re.split(r"(?<=[.;:?!]) +(?=[A-Z`-])", " ".join(text.split())):
        line = sentence.replace("\\", r"\e").replace("-", r"\-").replace("…", "...")
        # The spaces of a command as they are: not broken, nor made wider.
        line = re.sub(r"`([^`]+)`", lambda code: rf"\fB{code[1].replace(' ', '~')}\fP", line)
        for part in textwrap.wrap(line, 72, break_long_words=False, break_on_hyphens=False):
            yield re.sub(r"^(?=[.'])", r"\\&", part.replace("~", r"\ "))


def entries(rows: Iterator[tuple[str, str]], width: str) -> Iterator[str]:
    """A list of terms with what they mean."""
    yield f".Bl -tag -width {width}"
    for term, meaning in rows:
        yield rf".It \fB{term}\fP".replace("-", r"\-")
        yield from prose(meaning)
    yield ".El"


def exit_codes() -> Iterator[tuple[str, str]]:
    """The exit codes and what they mean, of the README."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Exit codes\n", 1)[1].split("\n## ", 1)[0]
    for codes, meaning, _ in re.findall(r"(?m)^\| (\d[\d, ]*) \| (.*?) \| (.*?) \|$", section):
        yield codes, f"{meaning[0].upper()}{meaning[1:]}."


def page(date: str) -> str:
    """The whole page, in mdoc."""
    return "\n".join(lines(date)) + "\n"


def lines(date: str) -> Iterator[str]:
    yield r".\" Written by tests/test_docs_man.py (`make man`) from the help of the commands."
    yield f".Dd {date}"
    yield from (".Dt ORCHESTRATOR 1", ".Os", ".Sh NAME", ".Nm orchestrator")
    yield ".Nd collect every record of your accounts from the Vonage Reports API"
    yield from (".Sh SYNOPSIS", ".Nm orchestrator", ".Ar COMMAND", ".Op Ar OPTIONS", ".Ar ...")
    yield ".Sh DESCRIPTION"
    for paragraph in (main.help or "").split("\n\n")[1:]:
        yield from prose(paragraph)
    yield from (".Sh COMMANDS", "Durations are written 500ms, 5s, 10m, 6h or 2d.")
    root = click.Context(main, info_name="orchestrator", **main.context_settings)
    for name in COMMANDS:
        command = main.get_command(root, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=root)
        pieces = command.collect_usage_pieces(context)
        yield f".Ss {name}"
        yield from prose(f"`orchestrator {name}` {' '.join(pieces)}")
        for paragraph in (command.help or "").split("\n\n"):
            yield ".Pp"
            yield from prose(paragraph)
        options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
        records = [each.get_help_record(context) for each in options]
        yield from entries((each for each in records if each), "Ds")
        if command.epilog:
            yield ".Pp"
            yield from prose(command.epilog)
    yield from (".Sh ENVIRONMENT", *entries(iter(ENVIRONMENT.items()), "Ds"))
    yield from (".Sh FILES", *entries(iter(FILES.items()), "Ds"))
    yield from (".Sh EXIT STATUS", *entries(exit_codes(), "Ds"))
    yield "The first that applies of 2, 3, 74, 70, 130 and 143, 1, 75, 0."


def test_the_page_is_that_of_the_commands() -> None:
    text = PAGE.read_text(encoding="utf-8")
    date = re.search(r"(?m)^\.Dd (\w+ \d+, \d{4})$", text)
    assert date
    assert text == page(date[1]), "run: make man"


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc here")
def test_the_page_has_no_mistake_of_form() -> None:
    done = subprocess.run(
        ["mandoc", "-T", "lint", PAGE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(shutil.which("man") is None, reason="no man here")
def test_the_page_can_be_read() -> None:
    """Every command has its heading in what `man` shows."""
    done = subprocess.run(
        ["man", "--warnings", "-l", PAGE],
        env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "dumb"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    shown = done.stdout
    for name in COMMANDS:
        assert re.search(rf"(?m)^   {name}\n     orchestrator {name} \[OPTIONS\]", shown), name
    assert "--lock-wait DURATION" in shown


if __name__ == "__main__":
    today = datetime.now(UTC)
    PAGE.write_text(page(f"{today:%B} {today.day}, {today.year}"), encoding="utf-8")
