"""Clears away what runs that ended badly have left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect import disk, layout, safe_open

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from pathlib import Path


def unfinished(directory: Path) -> frozenset[int]:
    """Our numbers of the reports of which unfinished files are there.

    Raises:
        OutputError: the disk.
    """
    return _reports_in(directory, layout.PARTIAL, layout.report_id_of)


def kept(directory: Path) -> frozenset[int]:
    """Our numbers of the reports of which files are kept aside for a person.

    Raises:
        OutputError: the disk.
    """
    return _reports_in(directory, layout.ASIDE, layout.kept_report_id_of)


def _reports_in(
    directory: Path, name: str, report_of: Callable[[str], int | None]
) -> frozenset[int]:
    folder = directory / name
    with disk.translate_os_errors(folder, "read"):
        safe_open.refuse_links(directory, folder)
        if not folder.is_dir():
            return frozenset()
        found = (report_of(path.name) for path in folder.iterdir())
        return frozenset(report_id for report_id in found if report_id is not None)


def sweep(directory: Path, keep: AbstractSet[int]) -> int:
    """Removes unfinished files that no report needs any more; how many there were.

    Only the run that holds the ledger's lock may call it, before it fetches anything. Files that
    are not named like ours are left alone, as is what is kept aside for a person.

    Args:
        directory: the output directory; it need not be there.
        keep: our numbers of the reports whose unfinished files are still wanted.

    Raises:
        OutputError: the disk.
    """
    partial = directory / layout.PARTIAL
    removed = 0
    with disk.translate_os_errors(partial, "clear"):
        safe_open.refuse_links(directory, partial)
        if not partial.is_dir():
            return 0
        for path in partial.iterdir():
            report_id = layout.report_id_of(path.name)
            ours = report_id is not None or path.name == layout.MANIFEST_PART
            if ours and report_id not in keep and (path.is_symlink() or not path.is_dir()):
                removed += disk.remove(path)
    return removed


def clear_kept(directory: Path, done_with: AbstractSet[int]) -> int:
    """Removes what is kept aside of reports that nobody needs any more; how many files it was.

    Args:
        directory: the output directory.
        done_with: our numbers of the reports.

    Raises:
        OutputError: the disk.
    """
    folder = directory / layout.ASIDE
    with disk.translate_os_errors(folder, "clear"):
        safe_open.refuse_links(directory, folder)
        gone = [
            path
            for path in folder.iterdir()
            if layout.kept_report_id_of(path.name) in done_with
            and (path.is_symlink() or not path.is_dir())
        ]
        return disk.remove(*gone)
