"""The places where published files may stand: a folder, or an object store."""

from orchestrator.collect.stores.base import OutputStore
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.settings import OutputSettings


def output_store(output: OutputSettings) -> OutputStore:
    """The store that a config names; the one place that chooses.

    Raises:
        InputError: it needs a library that is not installed, or its address cannot be used.
    """
    if output.url:
        from orchestrator.collect.stores.cloud import cloud_store  # noqa: PLC0415 - start-up time

        return cloud_store(output.url, output.directory)
    return FolderStore(output.directory)
