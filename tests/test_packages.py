"""The wheel and the sdist: what is in them. Built without a look at any index."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = (
    *(
        "orchestrator",
        "jobs",
        "tests",
        "benchmarks",
        "docs",
        "deploy",
        "requirements",
        "schema",
        ".ci",
    ),
    *(
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        "Makefile",
        "pyproject.toml",
        "config.example.yaml",
    ),
)

DOCUMENTS = ("docs", "deploy", "jobs", "README.md", "CHANGELOG.md", "config.example.yaml")
"""What a user of the wheel reads, and what that links to."""


def build(source: Path, directory: Path, target: str) -> Path:
    """Builds what pip builds, in this environment; the one file that came of it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", directory, "-t", target],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = directory.iterdir()
    return built


def here(*names: str) -> set[str]:
    """The files of this tree below some names, but for what only running it has made."""
    found = set()
    for name in names:
        path = ROOT / name
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                found.add(str(file.relative_to(ROOT)))
    return found


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    place = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, place / "built", "sdist")) as archive:
        archive.extractall(place, filter="data")
    (directory,) = place.glob("vonage_reports_orchestrator-*")
    return directory


def test_the_sdist_holds_all_that_a_developer_needs(unpacked: Path) -> None:
    files = {str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file()}
    assert files - {".gitignore"} == here(*FOLDERS) | {"PKG-INFO"}


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_package_its_types_and_its_documents_alone(
    unpacked: Path, tmp_path: Path
) -> None:
    wheel = contents(build(ROOT, tmp_path / "tree", "wheel"))
    facts = {name for name in wheel if ".dist-info/" in name}
    package = here("orchestrator")
    shared = {name for name in wheel if ".data/data/share/" in name}
    assert wheel.keys() - facts - shared == package | {"orchestrator/cli/demo/demo.yaml"}
    assert {name.partition(".data/data/share/")[2] for name in shared} == {
        "man/man1/orchestrator.1",
        *(f"doc/vonage-reports-orchestrator/{name}" for name in here(*DOCUMENTS)),
    }
    assert "orchestrator/py.typed" in package
    (metadata,) = (wheel[name].decode() for name in facts if name.endswith("/METADATA"))
    assert "\nName: vonage-reports-orchestrator\n" in metadata, "another program is `orchestrator`"
    needed = re.findall(r"^Requires-Dist: (.*)", metadata, re.MULTILINE)
    assert needed
    assert not [one for one in needed if "==" in one.partition(";")[0]], (
        "the ranges of the wheel are open"
    )
    assert {name.partition(".dist-info/")[2] for name in facts} == {
        *("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
    }
    assert contents(build(unpacked, tmp_path / "sdist", "wheel")) == wheel
