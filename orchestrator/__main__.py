"""``python -m orchestrator``."""

from orchestrator.start import entry

entry()
