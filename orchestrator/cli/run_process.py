"""Runs jobs in a process of their own: with signal handlers, and rarer garbage collections."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Unpack

from orchestrator.app.run import run_sync
from orchestrator.app.run_request import RunOptions
from orchestrator.app.shutdown import StoppedBeforeRun
from orchestrator.config import Inputs
from orchestrator.core.policy import ExitCode
from orchestrator.reporting.summary import RunSummary

_THRESHOLDS: Final = (50_000, 20, 50)
"""New objects before the youngest are searched, and how often the older ones are.

A run makes hardly any cycles, and what it keeps is bounded. By default the search comes every 700
objects and a full one every few seconds, which stops the event loop for some 50 ms and takes a
tenth of a busy run's CPU.
"""


def run_in_this_process(inputs: Inputs, **options: Unpack[RunOptions]) -> RunSummary | ExitCode:
    """What came of a run; only an exit code where a signal came before it had the lock."""
    with_signals: RunOptions = {**options, "handle_signals": True}
    try:
        with rare_collections():
            return run_sync(inputs, **with_signals)
    except StoppedBeforeRun as stopped:
        return ExitCode(128 + stopped.signal)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Searches for garbage rarely while inside. Modules are not searched: `cli.main` froze them."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
