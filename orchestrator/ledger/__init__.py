"""The ledger: what was asked for and what became of it. The only truth, kept in SQLite.

Open one here; what it can do stands in `core.ports`: `Ledger`, `LedgerReader`, `LedgerRestore`.
"""

from orchestrator.ledger.backup import LedgerBackup
from orchestrator.ledger.lock import refuse_hard_links
from orchestrator.ledger.opening import (
    IN_MEMORY,
    back_up_ledger,
    ledger_exists,
    ledger_files,
    lock_holder,
    open_ledger,
    open_reader,
    refuse_network,
    restored_ledger,
)

__all__ = [
    "IN_MEMORY",
    "LedgerBackup",
    "back_up_ledger",
    "ledger_exists",
    "ledger_files",
    "lock_holder",
    "open_ledger",
    "open_reader",
    "refuse_hard_links",
    "refuse_network",
    "restored_ledger",
]
