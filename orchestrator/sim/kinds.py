"""Every kind of fault: what can go wrong, where, with which options.

A new one is a function with `in_calls` (it stands around one HTTP call), `in_quirks` (it changes
a report for good, or one download of it) or `in_server`, in one of the modules imported here.
"""

from orchestrator.sim import answer_kinds, call_kinds, list_kinds, report_kinds
from orchestrator.sim.registry import CALLS, KINDS, PLACES, Kind, Option, number, share, text, whole

__all__ = [
    "CALLS",
    "KINDS",
    "PLACES",
    "Kind",
    "Option",
    "answer_kinds",
    "call_kinds",
    "list_kinds",
    "number",
    "report_kinds",
    "share",
    "text",
    "whole",
]
