"""Chooses how a run is shown while it lasts, and prints its summary at the end."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from orchestrator.app.file_changes import files_of_run
from orchestrator.app.run_request import Display
from orchestrator.cli.commands.files import file_fields
from orchestrator.cli.output import json_list, json_text, say, write
from orchestrator.config import Inputs
from orchestrator.core.events import RunEvent, Subscriber
from orchestrator.core.policy import ExitCode
from orchestrator.core.ports import Clock
from orchestrator.core.settings import Credentials
from orchestrator.reporting import summary, summary_text
from orchestrator.reporting.json_fields import exit_fields
from orchestrator.reporting.log_display import LogDisplay
from orchestrator.reporting.logs import LibraryLines, Log
from orchestrator.reporting.summary import RunSummary
from orchestrator.texts import hider, printable


class RunOutput:
    """How one run speaks: while it lasts on standard error, at its end on standard output.

    Args:
        credentials: whose secrets must never show.
        quiet: only what a person must know.
    """

    def __init__(
        self,
        credentials: Iterable[Credentials],
        clock: Clock,
        *,
        as_json: bool,
        log_format: str,
        quiet: bool,
    ) -> None:
        # hides the secrets in a text
        self.mask = hider(each.api_secret.reveal() for each in credentials)
        self._as_json = as_json
        self._json_lines = log_format == "json"
        self._quiet = quiet
        self._log = Log(
            sys.stderr, as_json=self._json_lines, mask=self.mask, now=clock.now, quiet=quiet
        )
        self._lines = LogDisplay(self._log, every_change=self._json_lines)
        self.display: Display = self._lines
        if sys.stderr.isatty() and not (quiet or self._json_lines):
            self.display = self._drawn() or self._lines

    def _drawn(self) -> Display | None:
        """The display that is drawn anew all the time; None: this terminal cannot do that."""
        from rich.console import Console  # noqa: PLC0415 - start-up time

        from orchestrator.reporting.live_display import LiveDisplay  # noqa: PLC0415 - start-up time

        console = Console(stderr=True, highlight=False)
        return None if console.is_dumb_terminal else LiveDisplay(console, self.mask)

    def subscriber(self, other: Subscriber) -> Subscriber:
        """What is told of the run's events: `other`, and the lines if they are JSON."""

        def notify(event: RunEvent) -> None:
            other(event)
            if self._json_lines:
                self._lines.notify(event)

        return notify

    @contextmanager
    def lines_of_libraries(self) -> Iterator[None]:
        """Meanwhile what libraries log takes the form of the other lines, if that is JSON."""
        handler = LibraryLines(self._log)
        if self._json_lines:
            logging.getLogger().addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(handler)

    def tell(self, run_summary: RunSummary | ExitCode, inputs: Inputs) -> ExitCode:
        """Says how a run of these inputs ended; the exit code."""
        if isinstance(run_summary, ExitCode):
            words = "stopped while waiting for another run to end; nothing was done"
            self.display.note("info", words, {})
            if self._as_json:
                click.echo(json_text(exit_fields(run_summary)))
            return run_summary
        for bug in run_summary.bugs:
            # Without the values of variables: a secret may be among them.
            lines = traceback.format_exception(type(bug), bug, bug.__traceback__)
            if self._json_lines:
                text = "internal error: the work on a report ended with it (please report it)"
                facts = {**exit_fields(ExitCode.BUG), "traceback": "".join(lines)}
                self._log.write("error", text, {"type": "error", **facts})
            else:
                click.echo(self.mask("".join(lines)), err=True, nl=False)
        if self._json_lines:
            # What is not done is told in quiet, too.
            level = "info" if run_summary.code is ExitCode.DONE else "warning"
            facts = {"type": "run_ended", **summary.as_json(run_summary)}
            self._log.write(level, "run ended", facts)
        if self._as_json:
            write(map(self.mask, _with_files(run_summary, inputs)))
        elif not (self._json_lines or (self._quiet and run_summary.code is ExitCode.DONE)):
            for line in summary_text.text(run_summary):
                say(self.mask(printable(line)))
        return run_summary.code


def _with_files(run_summary: RunSummary, inputs: Inputs) -> Iterator[str]:
    """The answer of `run --json` in pieces, since a run may have collected very many files."""
    yield json_text(summary.as_json(run_summary))[:-1]
    yield ',"files":'
    yield from json_list(json_text(file_fields(file)) for file in files_of_run(inputs, run_summary))
    yield "}\n"
