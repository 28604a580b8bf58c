"""Which config file a command uses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.errors import InputError, Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIG_NAME: Final = "config.yaml"
VARIABLE: Final = "ORCHESTRATOR_CONFIG"


def find_config(
    explicit: Path | None, jobs: Sequence[Path], env: Mapping[str, str], cwd: Path
) -> Path | None:
    """The config file, absolute; None if there is none and all is default.

    ``--config``, then ``$ORCHESTRATOR_CONFIG``, then ``config.yaml`` in the job files' directory
    and its parents; without a job in `cwd` and its parents. A file that is named is returned even
    if it does not exist: reading it says so.

    Raises:
        InputError: the jobs find different configs, or none and stand in different directories.
    """
    if explicit is not None:
        return _absolute(cwd, explicit)
    if named := env.get(VARIABLE):
        return _absolute(cwd, Path(named))
    if not jobs:
        return _search(_absolute(cwd, Path()))
    found = {job: _search(_absolute(cwd, job).parent) for job in jobs}
    first = jobs[0]
    mistakes: list[Mistake] = []
    for job in jobs[1:]:
        if found[job] != found[first]:
            what = f"{_uses(found[job])}, but {first} {_uses(found[first])}"
            remedy = f"run them one after another, or name one config with --config or ${VARIABLE}"
            mistakes.append(Mistake(str(job), 0, 0, "", what, remedy))
        elif found[job] is None and _absolute(cwd, job).parent != _absolute(cwd, first).parent:
            what = f"stands in another directory than {first}, and neither has a {CONFIG_NAME}"
            remedy = "write one in a directory above both, or name one with --config"
            mistakes.append(Mistake(str(job), 0, 0, "", what, remedy))
    if mistakes:
        raise InputError(mistakes)
    return found[first]


def base_of(jobs: Sequence[Path], cwd: Path) -> Path:
    """Where default paths begin without a config: the first job's directory, else `cwd`."""
    return _absolute(cwd, jobs[0]).parent if jobs else _absolute(cwd, Path())


def _uses(config: Path | None) -> str:
    return f"uses {config}" if config else f"has no {CONFIG_NAME}"


def _absolute(cwd: Path, path: Path) -> Path:
    """Without following links: a linked job file belongs where the link stands."""
    return Path(os.path.normpath(cwd.absolute() / path))


def _search(directory: Path) -> Path | None:
    for place in (directory, *directory.parents):
        candidate = place / CONFIG_NAME
        if candidate.is_file():
            return candidate
    return None
