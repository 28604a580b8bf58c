"""A config that was found, not named, is used only if nobody else could have put it there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from orchestrator.config import load_inputs
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

JOB = "accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [yesterday]\n"
SOMEBODY = 54321
"""A user and a group that nobody is."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job two folders below a config."""
    folder = tmp_path / "srv" / "jobs" / "nightly"
    folder.mkdir(parents=True, mode=0o755)
    config = tmp_path / "srv" / "config.yaml"
    config.write_text("limits: {downloads: 2}\n")
    for place, mode in (
        (config, 0o644),
        (config.parent, 0o755),
        (folder.parent, 0o755),
        (folder, 0o755),
    ):
        place.chmod(mode)
    (folder / "job.yaml").write_text(JOB)
    return folder / "job.yaml"


def refused(job: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_inputs([job], env={})
    return str(caught.value)


def test_a_config_of_our_own_is_used_and_named(job: Path) -> None:
    inputs = load_inputs([job], env={})
    config = job.parents[2] / "config.yaml"
    assert inputs.config.path == config
    assert inputs.source == f"{config} (found 2 folders above the job file)"


def test_one_that_everybody_may_write_is_refused(job: Path) -> None:
    config = job.parents[2] / "config.yaml"
    config.chmod(0o666)
    assert refused(job) == (
        f"{config}: was found above the job, and may be written by every user of this machine; "
        "make it ours alone, or name the config that you mean with --config"
    )
    assert load_inputs([job], config=config, env={}).source == f"{config} (--config)"
    named = load_inputs([job], env={"ORCHESTRATOR_CONFIG": str(config)})
    assert named.source == f"{config} ($ORCHESTRATOR_CONFIG)"


@pytest.mark.parametrize("level", [1, 2], ids=["beside the job's folder", "the config's folder"])
def test_a_folder_on_the_way_that_everybody_may_write_is_refused(job: Path, level: int) -> None:
    folder = job.parents[level]
    folder.chmod(0o777)
    assert f"and its folder {folder} may be written by every user of this machine" in refused(job)


def test_a_sticky_folder_is_as_good_as_ours(job: Path) -> None:
    """Others may put files there, but not touch those of ours."""
    job.parents[1].chmod(0o1777)
    load_inputs([job], env={})


def test_folders_above_the_config_do_not_matter(job: Path) -> None:
    job.parents[3].chmod(0o777)
    load_inputs([job], env={})


@as_root
def test_a_config_that_another_user_planted_is_refused(job: Path) -> None:
    """Before: the API secret was sent to its `base_url`."""
    config = job.parents[2] / "config.yaml"
    os.chown(config, SOMEBODY, SOMEBODY)
    assert f"was found above the job, and belongs to another user ({SOMEBODY})" in refused(job)


@as_root
def test_a_link_that_another_user_planted_is_refused(job: Path, tmp_path: Path) -> None:
    """Before: it chose among our own files which of them is the config."""
    ours = tmp_path / "ours.yaml"
    ours.write_text("api: {base_url: 'http://127.0.0.1:9'}\n")
    config = job.parents[2] / "config.yaml"
    config.unlink()
    config.symlink_to(ours)
    assert load_inputs([job], env={}).config.path == config
    os.chown(config, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert f"is a link that belongs to another user ({SOMEBODY})" in refused(job)


@as_root
def test_a_folder_behind_a_link_of_another_user_is_refused(job: Path) -> None:
    folder = job.parents[1]
    link = folder.with_name("link")
    link.symlink_to(folder)
    through = link / job.parent.name / job.name
    load_inputs([through], env={})
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    assert f"its folder {link} is a link that belongs to another user" in refused(through)


@as_root
def test_a_group_that_others_are_in_may_not_write_it(job: Path) -> None:
    config = job.parents[2] / "config.yaml"
    os.chown(config, 0, SOMEBODY)
    config.chmod(0o664)
    assert f"may be written by the group {SOMEBODY}" in refused(job)


def test_a_pipe_as_the_config_is_refused_at_once(job: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="--config: is not a regular file; name a file"):
        load_inputs([job], config=tmp_path / "pipe", env={})
