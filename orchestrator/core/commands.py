"""Writes the commands that messages name, with the jobs and the config of this call.

`remember` keeps the call in a context variable, the one piece of state here.
"""

import shlex
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

JOB: Final = "JOB"
"""Stands for the job files with which the program was called; stays where it was given none."""

_MAX_JOBS: Final = 4
"""Maximum number of job files that are written into a command; beyond it `JOB` stands there."""


@dataclass(frozen=True, slots=True)
class Called:
    """How the program was called, as far as other commands must be called alike."""

    jobs: tuple[str, ...] = ()  # the job files, as typed
    config: str = ""  # what `--config` named; empty without it
    # what `--config` must name for a command without a job file, so that it finds the same config;
    # empty where it does so by itself
    config_alone: str = ""


_CALLED: Final[ContextVar[Called]] = ContextVar("called", default=Called())  # noqa: B039 - frozen


def remember(called: Called) -> None:
    """From now on, in this context, commands are written for someone who called us so."""
    _CALLED.set(called)


def typed(command: str, *arguments: object) -> str:
    """A command of this program in backquotes, with quotes where a shell needs them.

    Args:
        arguments: its arguments and options; `JOB` becomes the paths of the job files, and a path
            is that of a job file.
    """
    called = _CALLED.get()
    parts = ["orchestrator", command]
    with_jobs = False
    for argument in arguments:
        if argument is JOB and 0 < len(called.jobs) <= _MAX_JOBS:
            parts += called.jobs
        else:
            parts.append(str(argument))
        with_jobs = with_jobs or argument is JOB or isinstance(argument, PurePath)
    if config := called.config if with_jobs else called.config_alone:
        parts += ["--config", config]
    return f"`{shlex.join(parts)}`"


def refetch_or_pay(report_id: int) -> str:
    """What a person may decide of a disputed report beside taking its file: what is free first."""
    return (
        f"{typed('resolve', report_id, '--refetch')} has it fetched again (free), "
        f"{typed('resolve', report_id, '--waive')} skips its period, "
        f"{typed('resolve', report_id, '--resubmit')} buys it again"
    )


def pay_or_skip(report_id: int) -> str:
    """What a person may decide of a report that is not collected, once looking again is in vain."""
    return (
        f"{typed('resolve', report_id, '--resubmit')} buys it again, "
        f"{typed('resolve', report_id, '--waive')} skips its period"
    )


def adopt_or_decide(report_id: int) -> str:
    """What a person may decide of a report that the API may have or not."""
    return (
        f"every run looks again; {typed('resolve', report_id, '--adopt', 'REQUEST_ID')} takes the "
        f"one that you know of, {typed('resolve', report_id, '--waive')} skips its period, "
        f"{typed('resolve', report_id, '--resubmit')} buys it anew"
    )
