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
    "ApiError": "orchestrator.errors",
    "CancelResult": "orchestrator.app.cancel",
    "Change": "orchestrator.app.file_changes",
    "Check": "orchestrator.app.check_disk",
    "CheckResult": "orchestrator.app.check",
    "Decision": "orchestrator.app.resolve",
    "Display": "orchestrator.app.run_request",
    "EditionChoice": "orchestrator.app.editions",
    "Erasure": "orchestrator.app.erase",
    "ExitCode": "orchestrator.core.policy",
    "FileChange": "orchestrator.app.file_changes",
    "FileChanges": "orchestrator.app.file_changes",
    "Filter": "orchestrator.app.status",
    "Finding": "orchestrator.app.verify",
    "InputError": "orchestrator.errors",
    "Inputs": "orchestrator.config",
    "LedgerError": "orchestrator.errors",
    "LedgerLocked": "orchestrator.errors",
    "Level": "orchestrator.app.check_disk",
    "OrchestratorError": "orchestrator.errors",
    "OutputError": "orchestrator.errors",
    "Plan": "orchestrator.app.plan",
    "PlanTotals": "orchestrator.app.plan",
    "ReportFile": "orchestrator.app.files",
    "ReportStatus": "orchestrator.app.status",
    "ResolveResult": "orchestrator.app.resolve",
    "Resolved": "orchestrator.app.resolve",
    "RunOptions": "orchestrator.app.run_request",
    "RunSummary": "orchestrator.reporting.summary",
    "SeriesPlan": "orchestrator.app.plan",
    "SeriesStatus": "orchestrator.app.status",
    "Status": "orchestrator.app.status",
    "StoppedBeforeRun": "orchestrator.app.shutdown",
    "VerifyResult": "orchestrator.app.verify",
    "cancel": "orchestrator.app.cancel",
    "changed_files": "orchestrator.app.file_changes",
    "choose_editions": "orchestrator.app.editions",
    "check": "orchestrator.app.check",
    "check_sync": "orchestrator.app.check",
    "erase": "orchestrator.app.erase",
    "files": "orchestrator.app.files",
    "files_of_run": "orchestrator.app.file_changes",
    "load": "orchestrator.app.setup",
    "plan": "orchestrator.app.plan",
    "resolve": "orchestrator.app.resolve",
    "run": "orchestrator.app.run",
    "run_sync": "orchestrator.app.run",
    "status": "orchestrator.app.status",
    "to_erase": "orchestrator.app.erase",
    "verify": "orchestrator.app.verify",
}
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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
