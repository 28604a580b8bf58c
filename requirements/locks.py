"""Which lock files there are, and from what of ``pyproject.toml`` each is made."""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = "requirements"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file.

    Attributes:
        name: of the file.
        purpose: for its first lines.
        project: whether it holds what the project itself needs.
        extras: of the project.
        groups: of ``[dependency-groups]``.
        within: a lock file whose versions this one has, too; empty if it stands by itself.
    """

    name: str
    purpose: str
    project: bool = False
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    within: str = ""


LOCKS: Final = (
    Lock("dev.txt", "What `make test` installs.", True, ("dev",), ("build",)),
    Lock("run.txt", "What orchestrator needs to run.", True, within="dev.txt"),
    Lock("build.txt", "What builds the package.", groups=("build",), within="dev.txt"),
    Lock("uv.txt", "What makes these files.", groups=("lock",)),
)
"""In the order in which they are made."""


def read_tables(root: Path) -> dict[str, Any]:
    """The tables of ``pyproject.toml`` that say what is needed."""
    read = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    project = read["project"]
    return {
        "requires-python": project["requires-python"],
        "dependencies": project["dependencies"],
        "optional-dependencies": project["optional-dependencies"],
        "dependency-groups": read["dependency-groups"],
        "build-system": read["build-system"]["requires"],
    }


def wanted(lock: Lock, tables: dict[str, Any]) -> list[str]:
    """The requirements that a lock file must meet, as ``pyproject.toml`` words them."""
    listed: list[str] = [*tables["dependencies"]] if lock.project else []
    for extra in lock.extras:
        listed += tables["optional-dependencies"][extra]
    for group in lock.groups:
        listed += tables["dependency-groups"][group]
    if "build" in lock.groups:
        listed += tables["build-system"]
    return listed


def digest(tables: dict[str, Any]) -> str:
    """Of all that the lock files are made from: it stands in each of them."""
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def header(lock: Lock, tables: dict[str, Any]) -> str:
    """The first lines of a lock file."""
    return (
        f"# {lock.purpose} Made by `make lock`; not to be edited.\n"
        f"# pyproject.toml: {digest(tables)}\n"
    )
