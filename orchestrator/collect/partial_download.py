"""A broken download set aside for the next run: how much of the archive is here, and of which."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.collect import safe_open
from orchestrator.core.ports import Resume

if TYPE_CHECKING:
    from orchestrator.collect.layout import WorkFiles


@dataclass(frozen=True, slots=True)
class PartialDownload:
    """The beginning of an archive on the disk.

    Attributes:
        resume: where it goes on, and what proves that the file is still the same.
        items_count: what the API promised when it was fetched; it bounded what was taken.
    """

    resume: Resume
    items_count: int | None

    def write(self, files: WorkFiles) -> None:
        """Puts the note beside the archive, once the archive itself is on the disk.

        Raises:
            OSError: the disk.
        """
        with safe_open.read(files.archive) as archive:
            if os.fstat(archive.fileno()).st_size != self.resume.offset:
                raise OSError("the archive is not as long as it should be")
            os.fsync(archive.fileno())
        note = {
            "offset": self.resume.offset,
            "length": self.resume.length,
            "validator": self.resume.validator,
            "items_count": self.items_count,
        }
        with safe_open.create(files.part_note, private=True) as file:
            file.write(json.dumps(note).encode())

    @classmethod
    def read(cls, files: WorkFiles) -> PartialDownload | None:
        """What an earlier run has set aside of a report; None where that is of no use."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            with safe_open.read(files.part_note) as file:
                note = json.load(file)
            offset, length, validator = note["offset"], note["length"], note["validator"]
            items_count = note["items_count"]
            is_sound = (
                type(offset) is int
                and type(length) is int
                and isinstance(validator, str)
                and (items_count is None or type(items_count) is int)
                and 0 < offset < length
                and _is_ours(files.archive.lstat(), offset)
            )
            if is_sound:
                return cls(Resume(offset, length, validator), items_count)
        return None


def _is_ours(archive: os.stat_result, size_bytes: int) -> bool:
    """Whether it is a file of that size, and has no second name that may be somebody else's."""
    is_file = stat.S_ISREG(archive.st_mode) and archive.st_nlink == 1
    return is_file and archive.st_size == size_bytes
