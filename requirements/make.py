"""Makes the lock files anew, with the newest versions that ``pyproject.toml`` allows.

Run by ``make lock`` with the Python of an environment that holds uv, and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Final

from requirements.locks import FOLDER, LOCKS, PYTHONS, ROOT, Lock, header, read_tables

PLATFORMS: Final = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)

COMPILE: Final = (
    *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet"),
    *("--no-config", "--no-python-downloads"),  # whoever makes them, wherever
    *("--no-header", "--no-annotate", "--generate-hashes"),
    *("--only-binary", ":all:"),  # a build would need what no lock file holds
)


def main() -> None:
    """Makes them all; the newest versions for every Python and platform that we support."""
    tables = read_tables(ROOT)
    for lock in LOCKS:
        pins = _compile("--universal", "--python-version", PYTHONS[0], *_sources(lock))
        path = ROOT / FOLDER / lock.name
        path.write_text(header(lock, tables) + pins, "utf-8")
        if not lock.within:
            _find_wheels(f"{FOLDER}/{lock.name}")
        sys.stdout.write(f"{FOLDER}/{lock.name}: {pins.count('==')} packages\n")


def _find_wheels(path: str) -> None:
    """Fails if a version of a lock file has no wheel for a Python and platform."""
    for python, platform in product(PYTHONS, PLATFORMS):
        where = ("--python-version", python, "--python-platform", platform)
        _compile("--no-deps", *where, path)


def _sources(lock: Lock) -> list[str]:
    sources = ["pyproject.toml"] if lock.project else []
    for extra in lock.extras:
        sources += ["--extra", extra]
    for group in lock.groups:
        sources += ["--group", group]
    if lock.within:
        sources += ["--constraint", f"{FOLDER}/{lock.within}"]
    return sources


def _compile(*arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own words only
        (*COMPILE, *arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    main()
