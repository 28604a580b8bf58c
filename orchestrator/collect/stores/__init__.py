"""The places where published files may stand; today a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.collect.stores.folder import FolderStore

if TYPE_CHECKING:
    from orchestrator.collect.stores.base import OutputStore
    from orchestrator.core.settings import OutputSettings


def output_store(output: OutputSettings) -> OutputStore:
    """The store that a config names; the one place that chooses."""
    return FolderStore(output.directory)
