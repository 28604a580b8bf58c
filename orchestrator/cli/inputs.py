"""Reads the jobs and the config of a command, sets the umask, and asks for confirmation."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from orchestrator.app.setup import load
from orchestrator.cli.output import log_line, say
from orchestrator.config import Inputs, find_config
from orchestrator.config.discovery import working_directory
from orchestrator.core.commands import Called, remember
from orchestrator.core.settings import Config
from orchestrator.errors import InputError


def read_inputs(
    jobs: Sequence[Path], config: Path | None, now: datetime | None = None, *, quiet: bool = False
) -> Inputs:
    """The jobs and the config of a command; warnings go to standard error, unless `quiet`.

    From here on the process makes files and folders that only those can read whom `output.mode`
    names.

    Raises:
        InputError: every mistake of every file.
    """
    named = "" if config is None else str(config)
    paths = tuple(map(str, jobs))
    remember(Called(paths, named, named))
    inputs = load(jobs, config, now=now)
    os.umask(inputs.config.output.mode.umask)
    if not named:
        remember(Called(paths, config_alone=_named_alone(inputs.config)))
    if not quiet:
        for warning in inputs.warnings:
            announce("warning", str(warning))
    return inputs


def _named_alone(config: Config) -> str:
    """What a command without a job must name to use the same config; empty: it finds it itself."""
    if config.path is None:
        return ""
    try:
        path = find_config(None, (), os.environ, working_directory())
    except InputError:
        path = None
    return "" if path == config.path else str(config.path)


def announce(level: str, text: str, *, as_json: bool = False) -> None:
    """Writes a line to standard error, with its level unless that is ``info``; or as JSON."""
    if as_json:
        click.echo(log_line(level, text), err=True)
    else:
        say(text if level == "info" else f"{level}: {text}", err=True)


def confirm(question: str, reason: str, refused: str) -> None:
    """Asks on the terminal whether it shall be.

    Args:
        question: answered by yes or no; no is the default.
        reason: why it must be confirmed, as a sentence.
        refused: what is said where the answer is no.

    Raises:
        InputError: the answer is no, or there is no terminal to ask on.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"{reason}, so a person has to say yes: add --yes where there is no terminal to ask on"
        )
    try:
        confirmed = click.confirm(question, default=False, err=True)
    except click.Abort:
        raise KeyboardInterrupt from None  # as everywhere else: no bug, and no notification
    if not confirmed:
        raise InputError(refused)
