"""Whether disk or store can be written, and who may read the files: for `check` and runs."""

import errno
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from orchestrator.collect.formats import output_format
from orchestrator.collect.layout import MANIFEST, PARTIAL, QUARANTINE
from orchestrator.collect.stores import output_store
from orchestrator.core.policy import ExitCode, code_of
from orchestrator.core.settings import Config, Readers
from orchestrator.errors import InputError, OrchestratorError, OutputError
from orchestrator.ledger import ledger_files
from orchestrator.presence import is_dir
from orchestrator.reporting.phrases import size_words

LITTLE_SPACE_BYTES: Final = 1_000_000_000
"""One report can be as large as this as an archive, and more unpacked."""


class Level(Enum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the answer."""

    level: Level  # how it went
    subject: str  # what was looked at, in a word
    text: str  # what was found, in a sentence
    remedy: str = ""  # what to do; empty where nothing is wrong
    code: ExitCode = ExitCode.FINDINGS  # with which a run would end for it, if it is an error

    def __str__(self) -> str:
        text = f"{self.level.value:<8} {self.subject}: {self.text}"
        return f"{text}; {self.remedy}" if self.remedy else text


def failed(subject: str, error: OrchestratorError) -> Check:
    """An error that would end a run, with its exit code."""
    return Check(Level.ERROR, subject, str(error), code=code_of(error))


def folder(key: str, directory: Path) -> Check:
    """Whether files can be written there, and how much room there is. Leaves nothing behind."""
    # `lexists`: a link that leads nowhere is in the way too, and no folder can be made of it.
    existing = next(path for path in (directory, *directory.parents) if os.path.lexists(path))
    where = str(directory) if existing == directory else f"{directory} (not made yet)"
    try:
        if not is_dir(existing):
            kind = "a link that leads nowhere" if existing.is_symlink() else "a file"
            text = f"{existing} is {kind}, where {key} needs a directory"
            remedy = f"move it away, or change {key}"
            return Check(Level.ERROR, "disk", text, remedy, ExitCode.DISK)
        with tempfile.TemporaryFile(dir=existing):
            pass
        free = shutil.disk_usage(existing).free
    except OSError as error:
        text = f"{key} {where} cannot be written ({error.strerror})"
        remedy = f"give the user who runs this the right to write in {existing}, or change {key}"
        if error.errno == errno.EROFS:
            text = f"{key} {where} cannot be written: the file system is read-only"
            remedy = f"mount it writable, or change {key}"
        return Check(Level.ERROR, "disk", text, remedy, ExitCode.DISK)
    text = f"{key} {where} can be written, {size_words(free)} free"
    if free < LITTLE_SPACE_BYTES:
        return Check(Level.WARNING, "disk", text, "one report can need more: make room")
    return Check(Level.OK, "disk", text)


def file_format(config: Config) -> Iterator[Check]:
    """Whether files can be written in the configured format; nothing where they can."""
    try:
        output_format(config.output.format)
    except InputError as error:
        yield failed("format", error)


def readers(config: Config) -> Iterator[Check]:
    """What others may read of files and ledger, or write beside them; nothing where all is closed.

    Whoever may not enter a folder reads nothing in it. What a run makes anew is closed anyway.
    """
    directory, mode = config.output.directory, config.output.mode
    inside = {directory / MANIFEST: mode, directory / PARTIAL: Readers.PRIVATE}
    inside |= {directory / QUARANTINE: Readers.PRIVATE}
    with suppress(OSError):  # `folder` says what is wrong with it
        inside |= dict.fromkeys(directory.glob("report_account=*"), mode)
    if _is_open(directory, mode) and any(_is_open(path, who) for path, who in inside.items()):
        rights = "go=" if mode is Readers.PRIVATE else "g-w,o="
        remedy = _chmod(rights, directory, recursive=True)
        if mode is Readers.PRIVATE:
            remedy += ", or let the group read it with output.mode: group"
        text = f"output.directory {directory} is open to other users of this machine"
        yield Check(Level.WARNING, "private", text, remedy)
    elif _may_be_written(directory):
        yield _writable("output.directory", directory)
    state = config.state
    folder = state.parent
    is_open = any(_is_open(file, Readers.PRIVATE) for file in ledger_files(state))
    if is_open and _is_open(folder, Readers.PRIVATE):
        text = f"the ledger {state} is open to other users of this machine"
        yield Check(Level.WARNING, "private", text, _chmod("go=", state) + "*")
    if folder != directory and _may_be_written(folder):
        yield _writable("state", folder)


def ledger_rights(state: Path) -> Iterator[Check]:
    """The files of the ledger that a run may not write; nothing where it may."""
    for file in ledger_files(state):
        if os.path.lexists(file) and not os.access(file, os.R_OK | os.W_OK):
            remedy = "let the user who runs this own it and write it (chmod u+rw)"
            yield Check(Level.ERROR, "disk", f"{file} may not be written", remedy, ExitCode.DISK)


def _writable(key: str, folder: Path) -> Check:
    text = f"others may write in the folder of {key}, {folder}, and put what they like in it"
    return Check(Level.WARNING, "private", text, _chmod("go-w", folder))


def _chmod(rights: str, path: Path, *, recursive: bool = False) -> str:
    return shlex.join(["chmod", *(["-R"] if recursive else []), rights, str(path)])


def _is_open(path: Path, readers: Readers) -> bool:
    """Whether others than these may do something with it."""
    return bool(_rights(path) & readers.umask)


def _may_be_written(folder: Path) -> bool:
    return bool(_rights(folder) & 0o022)


def _rights(path: Path) -> int:
    try:
        result = path.stat()
    except OSError:  # it is not there, or not for us to look at
        return 0
    return stat.S_IMODE(result.st_mode)


def require_output(config: Config) -> None:
    """Makes sure that files can be written before a report is bought that would be one.

    Raises:
        OutputError: they cannot, in the words of `check`.
    """
    check = output_folder(config)
    if check.level is Level.ERROR:
        raise OutputError(f"{check.text}; {check.remedy}")


def output_folder(config: Config) -> Check:
    """Whether files can be written in the local directory: all of them, or the work area."""
    key = "the work area" if config.output.url else "output.directory"
    return folder(key, config.output.directory)


def require_store(config: Config) -> None:
    """Makes sure that an object store can be used before a report is bought for it.

    Raises:
        InputError: there is no such bucket, it may not be used, or a library is missing.
        OutputError: it does not answer as it should.
    """
    if config.output.url:
        output_store(config.output).probe()


def object_store(config: Config) -> Iterator[Check]:
    """Whether files can be written, read and deleted in the object store; nothing without one."""
    if not config.output.url:
        return
    try:
        require_store(config)
    except (InputError, OutputError) as error:
        yield failed("store", error)
    else:
        text = f"output.directory {config.output.url} can be written, read and deleted in"
        yield Check(Level.OK, "store", text)
