"""Reads the config and all jobs of a command at once, before it does anything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from orchestrator.config.config_file import read_config
from orchestrator.config.config_trust import open_trusted
from orchestrator.config.discovery import (
    find_config,
    named_by,
    origin,
    users_of,
    working_directory,
)
from orchestrator.config.job_file import read_jobs
from orchestrator.config.regular_files import open_regular
from orchestrator.core.keys import ByPeriod
from orchestrator.core.model import Job
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, Mistake


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a command works with; `app.setup.load` reads it."""

    config: Config  # defaults filled in; its secrets are still references
    jobs: tuple[Job, ...]  # in the order named
    warnings: tuple[Mistake, ...]  # of all files
    source: str = ""  # which config is used and how it was found, for people

    @property
    def credential_names(self) -> tuple[str, ...]:
        """The credentials that the jobs use, each once."""
        return tuple(
            dict.fromkeys(series.credentials for job in self.jobs for series in job.series)
        )


def load_inputs(
    jobs: Sequence[Path],
    *,
    config: Path | None = None,
    env: Mapping[str, str],
    cwd: Path | None = None,
    now: datetime | None = None,
) -> Inputs:
    """Finds and reads the config, and reads the job files.

    Raises:
        InputError: every mistake of every file, the config's first.
    """
    found = read_settings(jobs, config, env, cwd or working_directory())
    settings = found.config
    mistakes = list(found.mistakes)
    names = settings.credentials.keys() if settings else None
    read, wrong, more = read_jobs(jobs, credentials=names, now=now)
    mistakes += wrong
    if settings is not None:
        mistakes += _without_price(settings, read)
    if mistakes or settings is None:
        raise InputError(mistakes)
    warnings = (*found.warnings, *more, *_accounts_in_other_letters(read))
    return Inputs(settings, read, warnings, found.source)


@dataclass(frozen=True, slots=True)
class FoundConfig:
    """A config as far as it can be read."""

    # None where there is no file that may be read; with mistakes, what is right of it
    config: Config | None
    mistakes: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...] = ()
    source: str = ""  # which file it is and how it was found, for people


def read_settings(
    jobs: Sequence[Path], config: Path | None, env: Mapping[str, str], cwd: Path
) -> FoundConfig:
    """Reads the config that the user named, else the one found for the jobs, if it is trusted."""
    try:
        path = find_config(config, jobs, env, cwd)
        named = named_by(config, env)
        users = users_of(jobs, cwd)
    except InputError as error:
        return FoundConfig(None, error.mistakes)
    opened = open_regular if named is not None else partial(open_trusted, users=users)
    settings, mistakes, warnings = read_config(
        path, base=users[0], env=env, named_by=named, opened=opened
    )
    return FoundConfig(settings, mistakes, warnings, origin(path, named, users))


def _accounts_in_other_letters(jobs: Sequence[Job]) -> Iterator[Mistake]:
    """Accounts of two jobs that differ in case only; within a job they are refused."""
    first: dict[str, tuple[str, Job]] = {}
    for job in jobs:
        for account in dict.fromkeys(entry.series.account_id for entry in job.series):
            other, earlier = first.setdefault(account.casefold(), (account, job))
            if other != account:
                what = f"account {account} is {other} in {earlier.path}, in other letters"
                remedy = "write it alike in both, or its records are bought twice"
                yield Mistake(str(job.path), 0, 0, "accounts", what, remedy)


def _without_price(config: Config, jobs: Sequence[Job]) -> Iterator[Mistake]:
    """What `limits.max_cost` cannot bound, for want of a price."""
    limits = config.limits
    if limits.max_cost == ByPeriod():
        return
    asked = dict.fromkeys(entry.series.product for job in jobs for entry in job.series)
    for product in asked:
        if config.prices.of(product) is None:
            yield Mistake(
                file=str(config.path),
                line=0,
                column=0,
                key="limits.max_cost",
                what=f"{product} has no price, so it is not known what a run would cost",
                remedy=f"add price_per_record: {{{product}: …}}, or use limits.max_records",
            )
