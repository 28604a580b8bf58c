"""What the engine needs of the world, as interfaces. Their comments are the contract.

One module for each side: the API, the collector, the ledger (to write, to read, to restore), and
the surroundings.
"""

from orchestrator.core.ports.api import (
    ITS_LIFE,
    Download,
    Priority,
    RateLimiter,
    ReportsApi,
    Resume,
    Within,
)
from orchestrator.core.ports.collect import Collector
from orchestrator.core.ports.ledger import ChangeListener, Ledger
from orchestrator.core.ports.ledger_reader import Histories, LedgerReader
from orchestrator.core.ports.ledger_restore import Contradiction, LedgerRestore
from orchestrator.core.ports.surroundings import Callbacks, Clock

__all__ = [
    "ITS_LIFE",
    "Callbacks",
    "ChangeListener",
    "Clock",
    "Collector",
    "Contradiction",
    "Download",
    "Histories",
    "Ledger",
    "LedgerReader",
    "LedgerRestore",
    "Priority",
    "RateLimiter",
    "ReportsApi",
    "Resume",
    "Within",
]
