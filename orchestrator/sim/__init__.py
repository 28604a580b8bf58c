"""The Reports API as a server of our own, with records that are a pure function of time.

It shares nothing with the client but the product table, so that one mistake is not made twice
and passes.
"""

from orchestrator.sim.clock import WorldClock
from orchestrator.sim.faults import Fault, Faults
from orchestrator.sim.server import Simulator, serve
from orchestrator.sim.settings import ApiKey, Dialect, Settings
from orchestrator.sim.tally import Tally, tally_csv
from orchestrator.sim.truth import Truth

__all__ = [
    "ApiKey",
    "Dialect",
    "Fault",
    "Faults",
    "Settings",
    "Simulator",
    "Tally",
    "Truth",
    "WorldClock",
    "serve",
    "tally_csv",
]
