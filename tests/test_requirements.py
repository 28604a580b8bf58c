"""Lock files: they fit pyproject.toml, what would not is told, and nothing is installed beside."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from requirements.check import mistakes
from requirements.locks import FOLDER, LOCKS, Lock

ROOT = Path(__file__).parents[1]
STALE = [
    f"{FOLDER}/{lock.name} was made from other dependencies than pyproject.toml has now"
    for lock in LOCKS
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the check reads."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / FOLDER).mkdir()
    for lock in LOCKS:
        shutil.copy(ROOT / FOLDER / lock.name, tmp_path / FOLDER)
    return tmp_path


def change(path: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, path.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1, f"{pattern} is not in {path}"
    path.write_text(text)


def test_the_lock_files_fit() -> None:
    assert mistakes(ROOT) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_no_lock_file_names_an_index(lock: Lock) -> None:
    """Whoever installs asks the index that is set up on the machine; the hashes are the proof."""
    text = (ROOT / FOLDER / lock.name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=sha256:)", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("pattern", "new", "told"),
    [
        (
            r'"click>=[^"]*"',
            '"click>=98,<99"',
            ["dev.txt: pyproject.toml wants click>=98,<99, Python 3.11 on Linux gets"],
        ),
        (
            r"^dependencies = \[",
            'dependencies = [\n    "unheard-of>=1",',
            ["run.txt: pyproject.toml wants unheard-of>=1, Python 3.11 on Linux gets none"],
        ),
        (
            r"^dependencies = \[",
            "dependencies = [\n    \"unheard-of; python_version > '3.13'\",",
            ["dev.txt: pyproject.toml wants unheard-of; python_version > '3.13', Python 3.14 on"],
        ),
        (
            r'"pytest>=[^"]*"',
            '"pytest<2"',
            ["dev.txt: pyproject.toml wants pytest<2, Python 3.11 on Linux gets"],
        ),
        (
            r'^requires = \["hatchling[^"]*"',
            'requires = ["hatchling<1"',
            ["build.txt: pyproject.toml wants hatchling<1, Python 3.11 on Linux gets"],
        ),
        (r'"uv>=[^"]*"', '"uv<0.1"', ["uv.txt: pyproject.toml wants uv<0.1, Python 3.11 on Linux"]),
        (r'^requires-python = ".*"', 'requires-python = ">=3.12"', []),
        (r'"isal>=[^"]*",  #', '"isal>=1.7.0",  #', []),
    ],
    ids=["range", "new", "new for one", "developers", "builder", "locker", "python", "extra"],
)
def test_a_change_of_pyproject_without_new_lock_files_is_told(
    tree: Path, pattern: str, new: str, told: list[str]
) -> None:
    change(tree / "pyproject.toml", pattern, new)
    found = mistakes(tree)
    assert set(STALE) <= set(found)
    for begin in told:
        assert [one for one in found if one.startswith(f"{FOLDER}/{begin}")]
    assert (len(found) > len(STALE)) is bool(told)


def test_what_pyproject_says_beside_dependencies_does_not_matter(tree: Path) -> None:
    change(tree / "pyproject.toml", r"^line-length = 100", "line-length = 99")
    change(tree / "pyproject.toml", r'^version = ".*"', 'version = "9"')
    assert mistakes(tree) == []


@pytest.mark.parametrize(
    ("name", "pattern", "new", "told"),
    [
        (
            "run.txt",
            r"^click==.* \\",
            r"click==8.1.8 \\",
            "click is another version than `make test`",
        ),
        ("dev.txt", r"^click==.* \\", r"click==7.0 \\", "pyproject.toml wants click>=8"),
        (
            "uv.txt",
            r"^uv==.* \\\n( .*\n)+",
            "uv==0.1.0\n",
            "`uv==0.1.0` is no version of a package",
        ),
        ("run.txt", r"^idna==", "-i index\nidna==", "`-i index` is no version of a package"),
        ("run.txt", r"^idna==", "idna @ file:x\nidna==", "`idna @ file:x` is no version of a"),
        ("build.txt", r"sha256:", "sha1:", "is no version of a package with its hashes"),
    ],
    ids=["one of two", "outside", "no hashes", "option", "address", "other hash"],
)
def test_a_lock_file_that_was_edited_is_told(
    tree: Path, name: str, pattern: str, new: str, told: str
) -> None:
    change(tree / FOLDER / name, pattern, new)
    assert any(one.startswith(f"{FOLDER}/{name}: ") and told in one for one in mistakes(tree))


@pytest.mark.parametrize("target", ["install", "demo", "test", "smoke", "check", "lock"])
def test_what_make_installs_is_proved_by_a_hash_or_comes_from_this_tree(target: str) -> None:
    done = subprocess.run(
        ["make", "--always-make", "--dry-run", "--no-print-directory", target],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    installs = [line for line in done.stdout.splitlines() if "pip" in line.split("-m")[-1]]
    assert installs
    for line in installs:
        proved = {"--require-hashes", "--only-binary"} <= set(line.split())
        ours = {"--no-index", "--no-deps", "--no-build-isolation"} <= set(line.split())
        assert proved or ours, line


def test_the_readme_installs_with_make_alone() -> None:
    """Before: `pip install .`, which takes whatever an index offers that day."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make install && . .venv/bin/activate" in text
    assert "pip install" not in text
    assert "pipx install" not in text


def test_the_newest_are_tried_without_lock_files() -> None:
    done = subprocess.run(
        ["make", "--always-make", "--dry-run", "--no-print-directory", "newest"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert FOLDER not in done.stdout
    assert "--editable '.[dev]'" in done.stdout
