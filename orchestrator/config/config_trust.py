"""Decides whether a config that was found, not named, may be trusted: it says where secrets go.

As git does with a repository: whoever may write a file above our job must not decide for us.
"""

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.config.regular_files import open_regular
from orchestrator.errors import InputError, Mistake

_REMEDY = "make it ours alone, or name the config that you mean with --config"


def open_trusted(config: Path, users: Iterable[Path]) -> BinaryIO:
    """A config that was found, open for reading; see `distrust`.

    Raises:
        InputError: it must not be used.
        OSError: it cannot be opened, or is no regular file.
    """
    stream = open_regular(config)
    if why := distrust(config, os.fstat(stream.fileno()), users):
        stream.close()
        raise InputError([Mistake(str(config), 0, 0, "", why, _REMEDY)])
    return stream


def distrust(config: Path, opened: os.stat_result, users: Iterable[Path]) -> str | None:
    """Why a config that was found must not be used, in words; None: it may.

    It and every folder from its own down to those of `users` must be owned by us or root, and
    nobody else may write them. Where one of them is a link, the link must be ours or root's, too:
    whoever made it has chosen where it leads, even if it leads to a file of ours.

    Args:
        config: where it was found, absolute.
        opened: what the open file says of itself, so that nothing changes between look and use.
        users: the folders of the job files that found it, absolute; below the config's own.
    """
    if reason := _reason(opened, is_folder=False):
        return f"was found above the job, and {reason}"
    if reason := _reason_of_link(config):
        return f"was found above the job, and {reason}"
    for folder in _between(config.parent, users):
        try:
            found = folder.stat()
            of_link = _reason_of_link(folder)
        except OSError as error:
            return f"was found above the job, and {folder} cannot be looked at ({error.strerror})"
        if reason := _reason(found, is_folder=True) or of_link:
            return f"was found above the job, and its folder {folder} {reason}"
    return None


def _between(top: Path, users: Iterable[Path]) -> Iterator[Path]:
    """Every folder from `top` down to those of `users`, each once."""
    seen: dict[Path, None] = {top: None}
    for user in users:
        for folder in (user, *user.parents):
            if folder == top:
                break
            seen[folder] = None
    yield from seen


def _reason(found: os.stat_result, *, is_folder: bool) -> str:
    if found.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user ({_name(pwd.getpwuid, found.st_uid)})"
    if is_folder and found.st_mode & stat.S_ISVTX:
        return ""  # others may put files there, and touch none of ours
    if found.st_mode & stat.S_IWOTH:
        return "may be written by every user of this machine"
    if found.st_mode & stat.S_IWGRP and not _is_our_own_group(found.st_gid):
        return f"may be written by the group {_name(grp.getgrgid, found.st_gid)}"
    return ""


def _reason_of_link(path: Path) -> str:
    """Why a link must not be followed; empty where it may, or where `path` is no link."""
    try:
        found = path.lstat()
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if stat.S_ISLNK(found.st_mode) and found.st_uid not in (os.geteuid(), 0):
        return f"is a link that belongs to another user ({_name(pwd.getpwuid, found.st_uid)})"
    return ""


def _is_our_own_group(number: int) -> bool:
    """Whether a group has no members but us: many systems give each user one of its own."""
    try:
        group = grp.getgrgid(number)
        us = pwd.getpwuid(os.geteuid())
    except KeyError:
        return number == os.getegid()
    return group.gr_gid == us.pw_gid and set(group.gr_mem) <= {us.pw_name}


def _name(look_up: Callable[[int], tuple[object, ...]], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)
