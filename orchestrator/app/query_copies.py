"""Copies of the files of an object store on the local disk, for as long as a query reads them.

DuckDB's own way to object stores is an extension that it would have to download.
"""

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from orchestrator.app.files import ReportFile
from orchestrator.collect import disk, safe_open
from orchestrator.collect.stores import output_store
from orchestrator.collect.stores.base import OutputStore
from orchestrator.core.commands import JOB, typed
from orchestrator.core.settings import OutputSettings
from orchestrator.errors import InputError

_AT_ONCE: Final = 4
_SPARE_BYTES: Final = 100_000_000  # Stay free for others, and for what DuckDB writes.
REMEDY: Final = f"{typed('verify', JOB)} tells which files are missing or damaged"
"""What to do where a file is not there, or not as it was collected."""


def copies(
    output: OutputSettings, by_product: Mapping[str, Sequence[ReportFile]], reader: object
) -> Mapping[str, list[str]]:
    """Paths of private copies in a temporary folder, which goes with `reader`; each is checked.

    Raises:
        InputError: there is no room for them, or one cannot be had as it was collected.
        OutputError: the local disk.
    """
    files = [file for files in by_product.values() for file in files]
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-query-"))
    weakref.finalize(reader, shutil.rmtree, folder, ignore_errors=True)
    need, free = sum(file.size_bytes for file in files), shutil.disk_usage(folder).free
    if need + _SPARE_BYTES > free:
        raise InputError(
            f"query copies what it reads to {folder.parent}, and {need / 1e6:,.0f} MB of files have"
            f" no room in the {free / 1e6:,.0f} MB that are free there; name another folder in"
            " TMPDIR, or ask for fewer jobs"
        )
    store = output_store(output)
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        list(pool.map(lambda file: _copy(store, file, folder / file.path), files))
    finally:
        pool.shutdown(cancel_futures=True)
    return {
        product: [str(folder / file.path) for file in files]
        for product, files in by_product.items()
    }


def _copy(store: OutputStore, file: ReportFile, place: Path) -> None:
    digest = hashlib.sha256()
    with disk.translate_os_errors(place, "write"):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                store.open(file.path.as_posix()) as source,
                safe_open.create(place, private=True) as copy,
            ):
                for block in safe_open.read_blocks(source):
                    digest.update(block)
                    copy.write(block)
        except (FileNotFoundError, disk.RemoteError) as error:
            raise InputError(f"cannot read {file.url}: {error.strerror}; {REMEDY}") from error
    if digest.hexdigest() != file.sha256:
        raise InputError(f"{file.url} is not as it was collected; {REMEDY}")
