"""What every `OutputStore` promises, wherever its files are."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from orchestrator.collect import layout
from orchestrator.collect.collector import FileCollector
from orchestrator.collect.manifest import Reading, survey
from orchestrator.collect.manifest_entries import MarkEntry
from orchestrator.collect.manifest_writing import ManifestJournal, entry_body, write_manifest
from orchestrator.collect.stores.cloud import cloud_store
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.model import LedgerPoint
from orchestrator.core.settings import OutputSettings
from orchestrator.errors import NameTaken, OutputError
from tests.kit import object_stores
from tests.kit.archives import BytesDownload, a_report, csv_bytes, streamed_zip
from tests.kit.memory_store import MemoryStore
from tests.kit.object_stores import new_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.collect.stores.base import OutputStore

KEY = "a=1/b=2/x.csv"
CONTENT = b"the content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

STORES: dict[str, Callable[[Path], OutputStore]] = {
    "folder": lambda path: FolderStore(path / "out"),
    "memory": lambda path: MemoryStore(),
}


@pytest.fixture(params=[*STORES, *object_stores.STORES])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> OutputStore:
    """Each implementation, empty."""
    kind: str = request.param
    if kind in STORES:
        return STORES[kind](tmp_path)
    return cloud_store(new_place(kind, monkeypatch), tmp_path / "out")


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A file of the work area that waits for its name."""
    path = tmp_path / "out" / layout.PARTIAL / "17.verified.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return path


def read(store: OutputStore, key: str = KEY) -> bytes:
    with store.open(key) as file:
        return file.read()


def replace(store: OutputStore, content: bytes, key: str = KEY) -> None:
    with store.replace(key) as file:
        file.write(content)


# --- put ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hashed", [False, True])
def test_a_file_that_is_put_stands_and_is_gone_from_the_work_area(
    store: OutputStore, local: Path, hashed: bool
) -> None:
    assert store.put(local, KEY, SHA256, hashed=hashed)
    assert read(store) == CONTENT
    assert not local.exists()
    assert list(store.list("")) == [KEY]


def test_what_was_put_may_be_put_again(store: OutputStore, local: Path) -> None:
    assert store.put(local, KEY, SHA256)
    assert store.put(local, KEY, SHA256), "the local file is gone, and the file stands"
    local.write_bytes(CONTENT)
    assert store.put(local, KEY, SHA256), "as a crash between two steps may leave it"
    assert read(store) == CONTENT
    assert not local.exists()


def test_what_is_nowhere_does_not_stand(store: OutputStore, local: Path) -> None:
    local.unlink()
    assert not store.put(local, KEY, SHA256)
    assert not store.put(local, KEY, SHA256, hashed=True)
    assert list(store.list("")) == []


def test_a_local_file_that_a_power_cut_tore_is_thrown_away(store: OutputStore, local: Path) -> None:
    local.write_bytes(CONTENT[:-1])
    assert not store.put(local, KEY, SHA256)
    assert not local.exists()
    assert store.size(KEY) is None


def test_another_content_under_the_key_is_never_written_over(
    store: OutputStore, local: Path
) -> None:
    replace(store, b"another")
    with pytest.raises(NameTaken):
        store.put(local, KEY, SHA256)
    assert read(store) == b"another"
    assert local.read_bytes() == CONTENT


def test_a_file_whose_hash_is_known_is_not_hashed_again(
    store: OutputStore, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "sha256", None)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert store.put(local, KEY, SHA256, hashed=True)


# --- size, open, list, delete ---------------------------------------------------------------------


def test_a_file_has_a_size(store: OutputStore, local: Path) -> None:
    assert store.size(KEY) is None
    store.put(local, KEY, SHA256)
    assert store.size(KEY) == len(CONTENT)
    replace(store, CONTENT + b"more")
    assert store.size(KEY) == len(CONTENT) + len(b"more")


def test_a_file_that_is_not_there_cannot_be_opened(store: OutputStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.open(KEY)


def test_a_file_is_read_from_any_position(store: OutputStore) -> None:
    replace(store, CONTENT)
    with store.open(KEY) as file:
        assert file.seek(0, 2) == len(CONTENT)
        file.seek(4)
        assert file.read(3) == CONTENT[4:7]


@pytest.mark.parametrize(
    ("prefix", "keys"),
    [
        ("", ["a=1/b=2/x.csv", "a=1/b=2/y.csv", "a=1/b=3/x.csv", "a=2/b=2/x.csv", "top"]),
        ("a=1/", ["a=1/b=2/x.csv", "a=1/b=2/y.csv", "a=1/b=3/x.csv"]),
        ("a=1/b=2/", ["a=1/b=2/x.csv", "a=1/b=2/y.csv"]),
        ("a=1/b=2/x", ["a=1/b=2/x.csv"]),
        ("a", ["a=1/b=2/x.csv", "a=1/b=2/y.csv", "a=1/b=3/x.csv", "a=2/b=2/x.csv"]),
        ("nothing/of/this", []),
    ],
)
def test_keys_are_listed_by_how_they_begin(
    store: OutputStore, local: Path, prefix: str, keys: list[str]
) -> None:
    for key in ("a=1/b=2/x.csv", "a=1/b=2/y.csv", "a=1/b=3/x.csv", "a=2/b=2/x.csv", "top"):
        replace(store, CONTENT, key)
    assert local.exists(), "nothing of the work area is listed"
    assert sorted(store.list(prefix)) == keys


def test_a_file_is_deleted_once(store: OutputStore) -> None:
    replace(store, CONTENT)
    assert store.delete(KEY)
    assert not store.delete(KEY)
    assert store.size(KEY) is None


@pytest.mark.parametrize("key", ["../x.csv", "/etc/x.csv", "a/../../x.csv", ".partial/x.csv", ""])
def test_no_key_leads_out_of_the_store(store: OutputStore, local: Path, key: str) -> None:
    for use in (
        lambda: store.put(local, key, SHA256),
        lambda: store.size(key),
        lambda: store.open(key),
        lambda: store.delete(key),
        lambda: replace(store, CONTENT, key),
        lambda: store.append_to(key, 0),
    ):
        with pytest.raises(OutputError):
            use()
    assert local.exists()


@pytest.mark.parametrize(
    "account",
    [" ", "a b", "\u00fc\u00df", "..", ".", "%2E", "a/b", "a%2Fb", "a+b&c=d?#*", "a\n", "x" * 300],
)
def test_files_of_odd_accounts_stand_under_names_of_their_own(
    store: OutputStore, local: Path, account: str
) -> None:
    key = f"report_account={layout.safe(account)}/x.csv"
    assert store.put(local, key, SHA256)
    assert list(store.list("report_account=")) == [key]
    assert list(store.list(key.rpartition("/")[0] + "/")) == [key]
    assert read(store, key) == CONTENT
    assert store.delete(key)
    assert list(store.list("")) == []


# --- replace and append ---------------------------------------------------------------------------


def test_what_a_block_writes_stands_once_it_has_ended(store: OutputStore) -> None:
    with store.replace(KEY) as file:
        file.write(CONTENT)
        assert store.size(KEY) is None
    with store.replace(KEY) as file:
        file.write(b"newer")
        assert read(store) == CONTENT
    assert read(store) == b"newer"
    assert list(store.list("")) == [KEY]


def test_a_block_that_raises_changes_nothing(store: OutputStore) -> None:
    replace(store, CONTENT)
    with pytest.raises(ZeroDivisionError), store.replace(KEY) as file:
        file.write(b"half of")
        raise ZeroDivisionError
    assert read(store) == CONTENT
    assert list(store.list("")) == [KEY]


def test_what_is_appended_stands_behind_what_counts(store: OutputStore) -> None:
    replace(store, b"whole line\ntorn li")
    end = store.append_to(KEY, len(b"whole line\n"))
    assert read(store) == b"whole line\ntorn li", "nothing is cut before something is appended"
    end.append(b"second\n")
    end.append(b"third\n")
    end.close()
    end.close()
    assert read(store) == b"whole line\nsecond\nthird\n"


def test_an_end_to_which_nothing_is_appended_changes_nothing(store: OutputStore) -> None:
    store.append_to(KEY, 0).close()
    assert store.size(KEY) is None


# --- what is built on it --------------------------------------------------------------------------


def test_a_manifest_stands_in_any_store(store: OutputStore) -> None:
    point = LedgerPoint(ledger="ab" * 16, generation=1, changes=1, events=1, last_event="00")
    mark = MarkEntry("nightly", a_report().series, NOW)
    written = write_manifest(store, [mark], NOW, point)
    journal = ManifestJournal(store, written.size_bytes, written.crc)
    journal.append([entry_body(mark)], point)
    journal.close()
    assert list(Reading(store)) == [mark, mark]
    assert survey(store).problem is None


@pytest.mark.anyio
async def test_a_report_is_collected_into_any_store(store: OutputStore, tmp_path: Path) -> None:
    collector = FileCollector(OutputSettings(tmp_path / "out"), store=store)
    made = await collector.fetch(a_report(), BytesDownload(streamed_zip(csv_bytes())))
    report = a_report(target=made.target, sha256=made.sha256)
    assert await collector.publish(report)
    assert await collector.publish(report)
    assert read(store, made.target) == csv_bytes()
    (file,) = layout.published(store, report.series)
    assert (file.target, file.window) == (made.target, report.window)
    folder = layout.series_folder(report.series)
    assert layout.folders_with_files(store) == [(folder, 1)]
    await collector.withdraw(report)
    assert list(store.list("")) == []
