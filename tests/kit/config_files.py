"""Reads a config or job files alone, and raises their mistakes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from orchestrator.config.config_file import read_config
from orchestrator.config.job_file import read_jobs
from orchestrator.core.model import Job
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, Mistake


def load_config(
    path: Path | None, *, base: Path, env: Mapping[str, str]
) -> tuple[Config, tuple[Mistake, ...]]:
    """The config and its warnings.

    Raises:
        InputError: every mistake of the file.
    """
    config, mistakes, warnings = read_config(path, base=base, env=env)
    if config is None or mistakes:
        raise InputError(mistakes)
    return config, warnings


def load_jobs(
    paths: Sequence[Path],
    *,
    credentials: Collection[str] | None = None,
    now: datetime | None = None,
) -> tuple[tuple[Job, ...], tuple[Mistake, ...]]:
    """The jobs in the order of their files, and the warnings.

    Raises:
        InputError: every mistake of every file, two jobs of one name included.
    """
    jobs, mistakes, warnings = read_jobs(paths, credentials=credentials, now=now)
    if mistakes:
        raise InputError(mistakes)
    return jobs, warnings
