"""Every kind of fault: what can go wrong, where, with which options.

A new one is a function with `in_calls` (it stands around one HTTP call), `in_quirks` (it changes
a report for good, or one download of it) or `in_server`, in one of the modules imported here.
"""

from orchestrator.simulator.faults import answers, calls, lists, reports
from orchestrator.simulator.faults.registry import CALLS, KINDS

__all__ = ["CALLS", "KINDS", "answers", "calls", "lists", "reports"]
