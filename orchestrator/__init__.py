"""Fetches every record of your accounts from the Vonage Reports API: once, verified, resumable.

This is the library; `docs/library.md` shows how to use it. Each name is imported when it is first
used, so that the command line starts quickly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from orchestrator.version import __version__

if TYPE_CHECKING:
    from orchestrator.app.cancel import CancelResult, cancel
    from orchestrator.app.check import CheckResult, check, check_sync
    from orchestrator.app.check_disk import Check, Level
    from orchestrator.app.editions import EditionChoice, choose_editions
    from orchestrator.app.erase import Erasure, erase, to_erase
    from orchestrator.app.file_changes import (
        Change,
        FileChange,
        FileChanges,
        changed_files,
        files_of_run,
    )
    from orchestrator.app.files import ReportFile, files
    from orchestrator.app.plan import Plan, PlanTotals, SeriesPlan, plan
    from orchestrator.app.resolve import Decision, Resolved, ResolveResult, resolve
    from orchestrator.app.run import run, run_sync
    from orchestrator.app.run_request import Display, RunOptions
    from orchestrator.app.setup import load
    from orchestrator.app.shutdown import StoppedBeforeRun
    from orchestrator.app.status import Filter, ReportStatus, SeriesStatus, Status, status
    from orchestrator.app.verify import Finding, VerifyResult, verify
    from orchestrator.config import Inputs
    from orchestrator.core.policy import ExitCode
    from orchestrator.errors import (
        ApiError,
        InputError,
        LedgerError,
        LedgerLocked,
        OrchestratorError,
        OutputError,
    )
    from orchestrator.reporting.summary import RunSummary

_MODULES: Final = {
    "orchestrator.app.cancel": ("CancelResult", "cancel"),
    "orchestrator.app.check": ("CheckResult", "check", "check_sync"),
    "orchestrator.app.check_disk": ("Check", "Level"),
    "orchestrator.app.editions": ("EditionChoice", "choose_editions"),
    "orchestrator.app.erase": ("Erasure", "erase", "to_erase"),
    "orchestrator.app.file_changes": (
        "Change",
        "FileChange",
        "FileChanges",
        "changed_files",
        "files_of_run",
    ),
    "orchestrator.app.files": ("ReportFile", "files"),
    "orchestrator.app.plan": ("Plan", "PlanTotals", "SeriesPlan", "plan"),
    "orchestrator.app.resolve": ("Decision", "ResolveResult", "Resolved", "resolve"),
    "orchestrator.app.run": ("run", "run_sync"),
    "orchestrator.app.run_request": ("Display", "RunOptions"),
    "orchestrator.app.setup": ("load",),
    "orchestrator.app.shutdown": ("StoppedBeforeRun",),
    "orchestrator.app.status": ("Filter", "ReportStatus", "SeriesStatus", "Status", "status"),
    "orchestrator.app.verify": ("Finding", "VerifyResult", "verify"),
    "orchestrator.config": ("Inputs",),
    "orchestrator.core.policy": ("ExitCode",),
    "orchestrator.errors": (
        "ApiError",
        "InputError",
        "LedgerError",
        "LedgerLocked",
        "OrchestratorError",
        "OutputError",
    ),
    "orchestrator.reporting.summary": ("RunSummary",),
}
_HOMES: Final = {name: module for module, names in _MODULES.items() for name in names}
"""Where each public name is defined."""

__all__ = [
    "ApiError",
    "CancelResult",
    "Change",
    "Check",
    "CheckResult",
    "Decision",
    "Display",
    "EditionChoice",
    "Erasure",
    "ExitCode",
    "FileChange",
    "FileChanges",
    "Filter",
    "Finding",
    "InputError",
    "Inputs",
    "LedgerError",
    "LedgerLocked",
    "Level",
    "OrchestratorError",
    "OutputError",
    "Plan",
    "PlanTotals",
    "ReportFile",
    "ReportStatus",
    "ResolveResult",
    "Resolved",
    "RunOptions",
    "RunSummary",
    "SeriesPlan",
    "SeriesStatus",
    "Status",
    "StoppedBeforeRun",
    "VerifyResult",
    "__version__",
    "cancel",
    "changed_files",
    "check",
    "check_sync",
    "choose_editions",
    "erase",
    "files",
    "files_of_run",
    "load",
    "plan",
    "resolve",
    "run",
    "run_sync",
    "status",
    "to_erase",
    "verify",
]


def __getattr__(name: str) -> Any:
    """A public name that is used for the first time."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
