"""Job files and configs from text, for tests of how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config.config_file import read_config
from orchestrator.config.job_file import read_jobs

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from orchestrator.core.model import Job
    from orchestrator.core.settings import Config


@dataclass(frozen=True)
class Reading:
    """What came of a job file; messages without the directory before the file's name."""

    jobs: tuple[Job, ...]
    mistakes: list[str]
    warnings: list[str]

    @property
    def job(self) -> Job:
        """The one job, of a file without mistakes."""
        assert self.mistakes == []
        (job,) = self.jobs
        return job


def read_job(
    directory: Path,
    text: str,
    *,
    credentials: Collection[str] | None = None,
    now: datetime | None = None,
) -> Reading:
    """Writes the text as job.yaml and reads it."""
    path = directory / "job.yaml"
    path.write_text(text, encoding="utf-8")
    jobs, mistakes, warnings = read_jobs([path], credentials=credentials, now=now)
    place = f"{directory}/"
    return Reading(
        jobs,
        [str(mistake).replace(place, "") for mistake in mistakes],
        [str(warning).replace(place, "") for warning in warnings],
    )


def job_text(
    *,
    accounts: str = "[abcd1234]",
    products: str = "[VERIFY-API]",
    windows: str = "[yesterday]",
    more: str = "",
) -> str:
    """A job whose accounts stand in line 1, products in line 2, windows in line 3, the rest after.

    Each part is what stands behind its key.
    """
    return f"accounts: {accounts}\nproducts: {products}\nwindows: {windows}\n{more}"


def read_settings(
    directory: Path, text: str, *, mode: int = 0o644, env: dict[str, str] | None = None
) -> tuple[Config | None, list[str], list[str]]:
    """Writes the text as config.yaml and reads it: config, mistakes, warnings."""
    path = directory / "config.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    config, mistakes, warnings = read_config(path, base=directory, env=env or {})
    place = f"{directory}/"
    return (
        config,
        [str(mistake).replace(place, "") for mistake in mistakes],
        [str(warning).replace(place, "") for warning in warnings],
    )
