"""Whether the lock files fit ``pyproject.toml``. Asks nobody: no index, no network."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from requirements.locks import FOLDER, LOCKS, PYTHONS, ROOT, Lock, header, read_tables, wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SYSTEMS: Final = {"linux": "Linux", "darwin": "Darwin"}
_PIN: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?: ; (?P<marker>.*?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One version of a package, and where it holds."""

    version: Version
    marker: Marker | None

    def holds(self, environment: dict[str, str]) -> bool:
        """Whether it is installed there."""
        return self.marker is None or self.marker.evaluate(environment)


Pins = dict[str, list[Pin]]


def environments() -> Iterator[tuple[str, dict[str, str]]]:
    """Every Python and system that the lock files are for."""
    for python, (system, name) in product(PYTHONS, _SYSTEMS.items()):
        yield (
            f"Python {python} on {name}",
            {
                "python_version": python,
                "python_full_version": f"{python}.0",
                "implementation_version": f"{python}.0",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "os_name": "posix",
                "sys_platform": system,
                "platform_system": name,
            },
        )


def mistakes(root: Path) -> list[str]:
    """What is wrong with the lock files of a tree, in words."""
    tables = read_tables(root)
    found: list[str] = []
    read: dict[str, Pins] = {}
    for lock in LOCKS:
        path = f"{FOLDER}/{lock.name}"
        text = (root / path).read_text("utf-8")
        begin = header(lock, tables)
        if not text.startswith(begin):
            found.append(f"{path} was made from other dependencies than pyproject.toml has now")
        pins = read[lock.name] = defaultdict(list)
        for line in text.replace(" \\\n   ", "").splitlines():
            if not line.startswith("#"):
                found += _read(line, pins, path)
        found += _unmet(lock, wanted(lock, tables), pins)
        if lock.within:
            found += _others(path, pins, read[lock.within])
    return found


def _others(path: str, pins: Pins, whole: Pins) -> Iterator[str]:
    """What is another version than in the lock file that holds this one."""
    for name, mine in pins.items():
        if not {pin.version for pin in mine} <= {pin.version for pin in whole.get(name, ())}:
            yield f"{path}: {name} is another version than `make test` installs"


def _read(line: str, pins: Pins, path: str) -> Iterator[str]:
    match = _PIN.fullmatch(line)
    if match is None:  # an option, an address, a version without hashes
        yield f"{path}: `{line[:60]}` is no version of a package with its hashes"
        return
    marker = match["marker"]
    pins[canonicalize_name(match["name"])].append(
        Pin(Version(match["version"]), Marker(marker) if marker else None)
    )


def _unmet(lock: Lock, requirements: list[str], pins: Pins) -> Iterator[str]:
    for text in requirements:
        requirement = Requirement(text)
        for where, environment in environments():
            if requirement.marker and not requirement.marker.evaluate(environment):
                continue
            held = [
                pin.version
                for pin in pins.get(canonicalize_name(requirement.name), ())
                if pin.holds(environment)
            ]
            if len(held) != 1 or held[0] not in requirement.specifier:
                has = " and ".join(map(str, held)) or "none"
                yield f"{FOLDER}/{lock.name}: pyproject.toml wants {text}, {where} gets {has}"
                break


def main() -> int:
    """Tells every mistake; 1 if there is any."""
    found = mistakes(ROOT)
    for mistake in found:
        sys.stderr.write(f"error: {mistake}\n")
    if found:
        sys.stderr.write("run `make lock`, and commit what it makes\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
