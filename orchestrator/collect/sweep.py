"""Clears away what runs that ended badly have left unfinished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect import disk, layout, opening

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from pathlib import Path


def unfinished(directory: Path) -> frozenset[int]:
    """Our numbers of the reports of which unfinished files are there.

    Raises:
        OutputError: the disk.
    """
    partial = directory / layout.PARTIAL
    with disk.in_words(partial, "read"):
        opening.refuse_links(directory, partial)
        if not partial.is_dir():
            return frozenset()
        found = (layout.report_id_of(path.name) for path in partial.iterdir())
        return frozenset(report_id for report_id in found if report_id is not None)


def sweep(directory: Path, keep: AbstractSet[int]) -> int:
    """Removes unfinished files that no report needs any more; how many there were.

    Only the run that holds the ledger's lock may call it, before it fetches anything. Files that
    are not named like ours are left alone, as is everything kept aside for a person.

    Args:
        directory: the output directory; it need not be there.
        keep: our numbers of the reports whose unfinished files are still wanted.

    Raises:
        OutputError: the disk.
    """
    partial = directory / layout.PARTIAL
    removed = 0
    with disk.in_words(partial, "clear"):
        opening.refuse_links(directory, partial)
        if not partial.is_dir():
            return 0
        for path in partial.iterdir():
            report_id = layout.report_id_of(path.name)
            ours = report_id is not None or path.name == layout.MANIFEST_PART
            if ours and report_id not in keep and (path.is_symlink() or not path.is_dir()):
                removed += disk.remove(path)
    return removed
