"""What may not be looked at is not taken for absent, whatever the version of Python."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator import presence

PACKAGE = Path(presence.__file__).parent


@pytest.mark.parametrize("look", [presence.exists, presence.is_file, presence.is_dir])
def test_what_may_not_be_looked_at_is_an_error(
    look: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    assert callable(look)
    with pytest.raises(PermissionError):
        look(tmp_path)


def test_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    file, loop = tmp_path / "file", tmp_path / "loop"
    file.touch()
    loop.symlink_to(loop)
    nothing = [tmp_path / "none", file / "below", loop, Path("zero\0byte")]
    assert [presence.exists(path) for path in (tmp_path, file)] == [True, True]
    assert [presence.is_dir(path) for path in (tmp_path, file)] == [True, False]
    assert [presence.is_file(path) for path in (tmp_path, file)] == [False, True]
    assert not any(presence.exists(path) for path in nothing)


def test_no_module_asks_path_itself() -> None:
    """Python 3.14 answers that a closed folder holds nothing."""
    asks = re.compile(r"\.(exists|is_file|is_dir)\(\)(?!`)")
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "demo.py"  # looks for what was installed with it, maybe in an archive
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if asks.search(line)
    ]
    assert found == []
