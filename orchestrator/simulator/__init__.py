"""The Reports API as a server of our own, with records that are a pure function of time.

It shares nothing with the client but the product table, so that one mistake is not made twice
and passes.
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
