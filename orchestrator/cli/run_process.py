"""Runs jobs in the command's own process: with signal handlers, and rarer garbage collections."""

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

_THRESHOLDS: Final = (5_000, 10, 10)
"""New objects before the youngest are searched, and how often the older ones are.

By default the search comes every 700 objects, which takes a fiftieth of a busy run's CPU. Were it
ten times rarer than this, what waits to be found would take 10 MB, and each search 80 ms.
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
