"""Copies the ledger of a config to a file. Never changes the ledger, and sends nothing."""

from pathlib import Path

from orchestrator.app.ledger_reading import refuse_missing_ledger
from orchestrator.core.settings import Config
from orchestrator.ledger import LedgerBackup, back_up_ledger

__all__ = ["LedgerBackup", "back_up"]


def back_up(config: Config, target: Path, *, replace: bool = False) -> LedgerBackup:
    """Copies the ledger as it is at one moment, also while a run is active.

    Args:
        target: of the copy. It appears there once it is complete, checked for damage and synced.
        replace: an older copy at the target is replaced.

    Raises:
        InputError: there is no ledger, or the target must not be written.
        LedgerError: the ledger cannot be read, is damaged, or of a newer version.
        OutputError: the copy cannot be written.
    """
    refuse_missing_ledger(config)
    return back_up_ledger(config.state, target, replace=replace)
