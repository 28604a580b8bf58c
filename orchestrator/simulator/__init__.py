"""A simulator of the Reports API: an HTTP server whose records are a pure function of time.

It shares with the client the product table, how long records are kept, and what has no rule of the
API in it: a mistake in shared code would be made on both sides, and no test would see it.
"""

# Importing a module of faults registers its kinds.
import orchestrator.simulator.faults.answers
import orchestrator.simulator.faults.calls
import orchestrator.simulator.faults.lists
import orchestrator.simulator.faults.reports  # noqa: F401
from orchestrator.simulator.clock import WorldClock
from orchestrator.simulator.faults.model import KINDS, Fault, Faults
from orchestrator.simulator.records.digest import RecordDigest, digest_csv
from orchestrator.simulator.server import Simulator, serve
from orchestrator.simulator.settings import ApiKey, Dialect, Settings
from orchestrator.simulator.truth import Truth

__all__ = [
    "KINDS",
    "ApiKey",
    "Dialect",
    "Fault",
    "Faults",
    "RecordDigest",
    "Settings",
    "Simulator",
    "Truth",
    "WorldClock",
    "digest_csv",
    "serve",
]
