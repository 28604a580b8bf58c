"""Reads job files and the config: strictly, all mistakes at once, each with its place."""

from orchestrator.config.credentials import resolve_credentials
from orchestrator.config.discovery import find_config
from orchestrator.config.inputs import Inputs, load_inputs
from orchestrator.config.json_schema import config_schema, job_schema
from orchestrator.config.proxies import proxies_of

__all__ = [
    "Inputs",
    "config_schema",
    "find_config",
    "job_schema",
    "load_inputs",
    "proxies_of",
    "resolve_credentials",
]
