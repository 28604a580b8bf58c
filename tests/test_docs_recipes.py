"""The recipes of docs/how-to.md, typed into a shell as they stand there, in their order."""

from __future__ import annotations

import re
import shutil
import stat
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.simulator import ApiKey
from tests.kit.cli_worlds import SMALL
from tests.kit.home import enter
from tests.kit.hosts import JOB, Shell, host

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
OLD, NEW = (ApiKey("abcd1234", secret) for secret in ("The-First-One-1", "The-Second-One-2"))


def steps(title: str) -> list[str]:
    """The blocks of shell commands under a heading of the document."""
    text = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    section = re.search(rf"(?ms)^## {re.escape(title)}$(.*?)(?=^## |\Z)", text)
    assert section, title
    return [
        textwrap.dedent(block) for block in re.findall(r"(?ms)^ *```sh\n(.*?)^ *```$", section[1])
    ]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return enter(tmp_path, monkeypatch)


@pytest.fixture
def shell(directory: Path) -> Iterator[Shell]:
    """A host where a run has collected two months."""
    with host(directory) as made:
        made.collect()
        yield made


def test_a_backup_is_put_back_after_everything_was_lost(shell: Shell) -> None:
    save, restore = steps("Back up, and restore a backup")
    shell.type(save)
    shell.collect("2026-04-01")
    assert shell.place.bought() == 3
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    shell.type(restore)
    shell.collect()
    assert shell.place.bought() == 3
    shell.collect("2026-04-01")
    assert shell.place.bought() == 4  # what was bought after the backup, as the recipe says


def test_a_backup_over_an_older_one_has_no_older_edition(shell: Shell) -> None:
    save, restore = steps("Back up, and restore a backup")
    shell.type(save)
    again = "orchestrator run nightly.yaml --again --from 2026-01-01 --to 2026-02-01 --yes"
    shell.type(f"cd /srv/reports\n{again}")
    shell.type(save)
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    assert "does not know this file" not in shell.type(restore)


def test_a_ledger_that_is_newer_than_its_files_can_be_put_back(shell: Shell) -> None:
    save, restore = steps("Back up, and restore a backup")
    directory, files, ledger = save.strip().splitlines()
    shell.type(f"{directory}\n{files}")
    shell.collect("2026-04-01")
    shell.type(f"{directory}\n{ledger}")
    shutil.rmtree(shell.home)
    shell.home.mkdir()
    *rest, verify = restore.strip().splitlines()
    shell.type("\n".join(rest))
    assert "20260301T000000Z_20260401T000000Z" in shell.type(verify, code=1)
    shell.collect("2026-04-01")
    assert shell.place.bought() == 3


def test_an_older_ledger_is_refused_and_a_rebuild_knows_more(shell: Shell) -> None:
    save, _ = steps("Back up, and restore a backup")
    (rebuild,) = steps("Restore a lost ledger")
    shell.type(save)
    shell.collect("2026-04-01")
    shutil.rmtree(shell.home / "state")
    shell.type("mkdir -m 700 state; cp -p /backup/ledger.db state/ledger.db")
    assert "is older than its files" in shell.type("orchestrator run nightly.yaml", code=2)
    shutil.rmtree(shell.home / "state")
    shell.type(rebuild)
    assert shell.place.bought() == 3


def test_all_of_it_moves_to_another_host(shell: Shell, tmp_path: Path) -> None:
    leave, arrive = steps("Move to another host")
    shell.type(leave)
    assert not shell.home.exists()
    other = Shell(tmp_path / "other", shell.place)
    (other.host / "srv").mkdir()
    (shell.host / "srv" / "reports.tar").rename(other.host / "srv" / "reports.tar")
    out = other.type(arrive)
    assert "already complete" in out
    other.collect("2026-04-01")
    assert shell.place.bought() == 3


def test_a_secret_is_changed_while_both_are_good(directory: Path) -> None:
    both = replace(SMALL, keys=(OLD, NEW))
    (change,) = steps("Rotate a secret or a key")
    with host(directory, both) as shell:
        (shell.home / "secret").write_text(OLD.api_secret, "utf-8")
        (shell.home / "secret").chmod(0o600)
        config = shell.home / "config.yaml"
        text = re.sub(r"(?m)^  abcd: .*\n|^  abcd1234: .*\n", "", config.read_text("utf-8"))
        config.write_text(text.replace(f'"{OLD.api_secret}"', '"file:secret"'), "utf-8")
        shell.collect()

        shell.type(change, enters="wrong\n", code=1)
        shell.type(change, enters=f"{NEW.api_secret}\n")
        assert stat.S_IMODE((shell.home / "secret").stat().st_mode) == 0o600
        shell.place.simulator.revoke(OLD)
        shell.collect("2026-04-01")
        assert shell.place.bought() == 3


def test_a_job_is_paused_and_goes_on(directory: Path) -> None:
    see, forget = steps("Pause a job")
    with host(directory, replace(SMALL, speed=1.0)) as shell:
        (shell.home / "nightly.yaml").write_text(JOB.replace("END", "2026-03-01"), "utf-8")
        shell.type("orchestrator run nightly.yaml -q --deadline 2s", code=75)
        out = shell.type(see)
        assert "report 1: " in out
        assert shell.type("orchestrator status nightly.yaml --open").startswith("nothing is open")
        shell.type(forget)
        assert "in all: 2 chunks" in shell.type("orchestrator plan nightly.yaml")
