"""Finds the config file that a command uses, and says how it was found."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.errors import InputError, Mistake
from orchestrator.presence import is_file

CONFIG_NAME: Final = "config.yaml"
_NEARLY: Final = (
    "config.yml",
    "Config.yaml",
    "config.yaml.txt",
    "config.yaml.yaml",
    "config.json",
    "config.toml",
    "config.yaml ",
    ".config.yaml",
    "orchestrator.yaml",
    "orchestrator.yml",
)
"""Names under which a config was probably meant, and would silently count for nothing."""

VARIABLE: Final = "ORCHESTRATOR_CONFIG"


def working_directory() -> Path:
    """Where the command was called.

    Raises:
        InputError: it has been removed meanwhile.
    """
    try:
        return Path.cwd()
    except OSError:
        raise InputError(
            "the working directory is not there any more; change to one that is, such as `cd /`"
        ) from None


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


def named_by(explicit: Path | None, env: Mapping[str, str]) -> str | None:
    """What names the config: ``--config``, ``$ORCHESTRATOR_CONFIG``; None: it is searched for."""
    if explicit is not None:
        return "--config"
    return f"${VARIABLE}" if env.get(VARIABLE) else None


def users_of(jobs: Sequence[Path], cwd: Path) -> tuple[Path, ...]:
    """The folders from which the config is searched for, absolute."""
    if not jobs:
        return (_absolute(cwd, Path()),)
    return tuple(_absolute(cwd, job).parent for job in jobs)


def origin(config: Path | None, named: str | None, users: Sequence[Path]) -> str:
    """Which config is used and how it was found, for people."""
    if config is None:
        return f"no {CONFIG_NAME} was found: defaults, and the keys of the environment"
    if named is not None:
        return f"{config} ({named})"
    steps = max((len(user.parts) - len(config.parent.parts) for user in users), default=0)
    if steps == 0:
        return str(config)
    return f"{config} (found {steps} folder{'s' if steps > 1 else ''} above the job file)"


def _uses(config: Path | None) -> str:
    return f"uses {config}" if config else f"has no {CONFIG_NAME}"


def _absolute(cwd: Path, path: Path) -> Path:
    """Without following links: a linked job file belongs where the link stands."""
    return Path(os.path.normpath(cwd.absolute() / path))


def _search(directory: Path) -> Path | None:
    for place in (directory, *directory.parents):
        candidate = place / CONFIG_NAME
        try:
            found = is_file(candidate)
        except OSError as error:
            raise InputError(
                f"cannot look for {candidate} ({error.strerror}); name a config with --config, or "
                "call the command from a folder of yours"
            ) from None
        if found:
            return candidate
    for name in _NEARLY:
        if is_file(directory / name):
            raise InputError(
                f"{directory / name} is not read: the config is called {CONFIG_NAME}; rename it, "
                "or name it with --config"
            )
    return None
