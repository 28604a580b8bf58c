"""What is special about a store whose files are objects of a bucket."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from orchestrator.collect.cancellable_thread import run_cancellable
from orchestrator.collect.stores import cloud_appender
from orchestrator.collect.stores.cloud import CloudStore, cloud_store
from orchestrator.collect.stores.cloud_connection import request_seconds, told
from orchestrator.collect.stores.cloud_objects import Objects
from orchestrator.errors import InputError, NameTaken, OutputError
from tests.kit.object_stores import STORES, answer, new_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "a=1/x%2E.csv"
MANIFEST = "manifest.jsonl"
LARGE = bytes(range(256)) * 40_000  # Sent in parts, since it is larger than one.


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    return new_place("s3", monkeypatch)


@pytest.fixture(params=STORES)
def any_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of each kind of store."""
    return new_place(request.param, monkeypatch)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def machine(url: str, work: Path) -> CloudStore:
    """A store of a process of its own."""
    return cloud_store(url, work)


def write(store: CloudStore, content: bytes, key: str = MANIFEST) -> None:
    with store.replace(key) as file:
        file.write(content)


def read(store: CloudStore, key: str = MANIFEST) -> bytes:
    with store.open(key) as file:
        return file.read()


def local_file(work: Path, content: bytes) -> tuple[Path, str]:
    work.mkdir(exist_ok=True)
    path = work / "local"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def cut(store: CloudStore, key: str, sha256: str) -> None:
    """An object that another program has cut, with what was said of the whole one."""
    store._objects._put(key, b"cont", sha256, "overwrite")


def append_and_crash(store: CloudStore, block: bytes) -> None:
    """Appends behind `header`, and does no more."""
    end = store.append_to(MANIFEST, 7)
    end.append(block)
    assert end._file is not None
    end._file.close()


def unfinished_uploads(url: str) -> bool:
    bucket = url.split("/")[2]
    return b"<UploadId>" in answer(f"/{bucket}?uploads")


# --- put ------------------------------------------------------------------------------------------


def test_a_large_file_is_sent_in_parts_and_read_from_any_position(
    any_url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine(any_url, work)
    path, sha256 = local_file(work, LARGE)
    assert store.put(path, KEY, sha256)
    assert not path.exists()
    ranges = []
    read_range = Objects.read_range

    def counted(self: Any, *arguments: Any) -> bytes:
        ranges.append(arguments)
        return read_range(self, *arguments)

    monkeypatch.setattr(Objects, "read_range", counted)
    with store.open(KEY) as file:
        assert hashlib.sha256(file.read()).hexdigest() == sha256
        assert len(ranges) == 3
        file.seek(-300, 2)
        assert file.read() == LARGE[-300:]
    assert list(store.list("a=1/")) == [KEY]


def test_a_cancelled_upload_is_aborted_and_leaves_nothing(url: str, work: Path) -> None:
    store = machine(url, work)
    path, sha256 = local_file(work, LARGE)
    asked: list[None] = []

    def is_cancelled() -> bool:
        asked.append(None)
        return len(asked) > 9

    with pytest.raises(OutputError, match="aborted"):
        store.put(path, KEY, sha256, is_cancelled=is_cancelled)
    assert store.size(KEY) is None
    assert not unfinished_uploads(url)
    assert store.put(path, KEY, sha256), "the local file has stayed"


def test_what_is_not_there_as_it_was_written_does_not_count(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine(url, work)
    path, sha256 = local_file(work, b"content")
    put = Objects._put
    monkeypatch.setattr(
        Objects, "_put", lambda self, key, content, *rest: put(self, key, content[:-1], *rest)
    )
    with pytest.raises(OutputError, match="not there as it was written"):
        store.put(path, KEY, sha256)
    assert path.exists()


def test_an_object_without_a_hash_is_read(url: str, work: Path) -> None:
    store = machine(url, work)
    answer("/" + url.removeprefix("s3://") + "/copied", "PUT", b"content")
    path, sha256 = local_file(work, b"content")
    assert store.put(path, "copied", sha256)


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_an_object_that_appears_while_a_file_is_sent_stays(
    url: str, work: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = machine(url, work), machine(url, work)
    path, sha256 = local_file(work, content)
    upload = Objects.upload

    def after_theirs(self: Any, *arguments: Any) -> Any:
        write(theirs, b"theirs", KEY)
        return upload(self, *arguments)

    monkeypatch.setattr(Objects, "upload", after_theirs)
    with pytest.raises(NameTaken):
        ours.put(path, KEY, sha256)
    assert path.read_bytes() == content
    assert read(theirs, KEY) == b"theirs"
    assert not unfinished_uploads(url)


def test_an_object_of_another_size_is_not_the_file_whatever_its_hash_says(
    url: str, work: Path
) -> None:
    store = machine(url, work)
    path, sha256 = local_file(work, b"content")
    cut(store, KEY, sha256)
    with pytest.raises(NameTaken):
        store.put(path, KEY, sha256)
    assert path.read_bytes() == b"content"
    path.unlink()
    assert not store.put(path, KEY, sha256), "it is read, since the file is gone"


@pytest.mark.anyio
async def test_work_that_is_cancelled_is_told_and_waited_for() -> None:
    ended = threading.Event()

    def work(is_cancelled: Callable[[], bool]) -> None:
        while not is_cancelled():
            time.sleep(0.001)
        time.sleep(0.05)
        ended.set()

    with anyio.move_on_after(0.05) as scope:
        await run_cancellable(work)
    assert scope.cancelled_caught
    assert ended.is_set()
    assert await run_cancellable(lambda is_cancelled: is_cancelled()) is False
    with pytest.raises(ZeroDivisionError):
        await run_cancellable(lambda _: 1 // 0)


@pytest.mark.anyio
async def test_work_that_waits_for_a_thread_is_cancelled_without_a_wait() -> None:
    threads = to_thread.current_default_thread_limiter()
    total = threads.total_tokens
    threads.total_tokens = 1
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(to_thread.run_sync, time.sleep, 0.3)
            await anyio.sleep(0.05)
            with anyio.move_on_after(0.05) as scope:
                await run_cancellable(lambda _: pytest.fail("it was cancelled"))
            assert scope.cancelled_caught
    finally:
        threads.total_tokens = total


# --- two writers ----------------------------------------------------------------------------------


def test_a_manifest_that_another_writer_has_replaced_is_not_overwritten(
    any_url: str, work: Path, tmp_path: Path
) -> None:
    ours, theirs = machine(any_url, work), machine(any_url, tmp_path / "theirs")
    write(ours, b"ours\n")
    assert read(theirs) == b"ours\n"
    write(theirs, b"theirs\n")
    with pytest.raises(OutputError, match="changed by somebody else"):
        write(ours, b"ours again\n")
    assert read(theirs) == b"theirs\n"
    assert read(ours) == b"theirs\n"
    write(ours, b"ours again\n")


def test_two_writers_of_a_new_manifest_do_not_overwrite_each_other(
    any_url: str, work: Path, tmp_path: Path
) -> None:
    ours, theirs = machine(any_url, work), machine(any_url, tmp_path / "theirs")
    for store in (ours, theirs):
        assert store.size(MANIFEST) is None
    write(ours, b"ours\n")
    with pytest.raises(OutputError, match="changed by somebody else"):
        write(theirs, b"theirs\n")
    assert read(ours) == b"ours\n"


def test_what_is_appended_never_covers_the_work_of_another_writer(
    any_url: str, work: Path, tmp_path: Path
) -> None:
    ours, theirs = machine(any_url, work), machine(any_url, tmp_path / "theirs")
    write(ours, b"header\n")
    assert read(theirs) == b"header\n"
    end = ours.append_to(MANIFEST, 7)
    end.append(b"more\n")
    write(theirs, b"theirs\n")
    with pytest.raises(OutputError, match="changed by somebody else"):
        end.close()
    assert read(theirs) == b"theirs\n"


def test_a_manifest_that_was_replaced_before_the_first_line_is_not_appended_to(
    url: str, work: Path, tmp_path: Path
) -> None:
    ours, theirs = machine(url, work), machine(url, tmp_path / "theirs")
    write(ours, b"header\n")
    end = ours.append_to(MANIFEST, 7)
    assert read(theirs) == b"header\n"
    write(theirs, b"theirs, which is longer\n")
    with pytest.raises(OutputError):
        end.append(b"more\n")
        end.close()
    assert read(theirs) == b"theirs, which is longer\n"


# --- the local copy -------------------------------------------------------------------------------


def test_after_a_crash_the_local_copy_is_the_manifest(any_url: str, work: Path) -> None:
    store = machine(any_url, work)
    write(store, b"header\n")
    append_and_crash(store, b"bought\ntorn")
    again = machine(any_url, work)
    assert read(again) == b"header\nbought\ntorn"
    end = again.append_to(MANIFEST, len(b"header\nbought\n"))
    end.append(b"more\n")
    end.close()
    assert read(machine(any_url, work / "another")) == b"header\nbought\nmore\n"
    assert not (work / MANIFEST).exists()


def test_a_local_copy_of_another_manifest_is_not_read(url: str, work: Path, tmp_path: Path) -> None:
    store, other = machine(url, work), machine(url, tmp_path / "other")
    write(store, b"header\n")
    append_and_crash(store, b"bought\n")
    assert read(other) == b"header\n"
    write(other, b"other\n")
    assert read(machine(url, work)) == b"other\n"


_WRITES_MUCH = """
import sys, tracemalloc
from pathlib import Path
from orchestrator.collect.stores.cloud import cloud_store

store = cloud_store(sys.argv[1], Path(sys.argv[2]))
tracemalloc.start()
with store.replace("manifest.jsonl") as file:
    for _ in range(40):
        file.write(b"m" * 2**20)
end = store.append_to("manifest.jsonl", 40 * 2**20)
end.append(b"more")
end.close()
print(tracemalloc.get_traced_memory()[1])
"""


def test_a_large_manifest_is_sent_without_a_copy_of_it_in_memory(any_url: str, work: Path) -> None:
    command = [sys.executable, "-c", _WRITES_MUCH, any_url, str(work)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) < 16 * 2**20
    assert read(machine(any_url, work)) == b"m" * (40 * 2**20) + b"more"


def test_the_manifest_is_uploaded_at_intervals(
    url: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SECONDS", 0.0)
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SHARE", 0)
    store = machine(url, work)
    write(store, b"header\n")
    end = store.append_to(MANIFEST, 7)
    for number in range(3):
        end.append(b"%d\n" % number)
        end.settle()
    assert read(machine(url, tmp_path / "other")) == b"header\n0\n1\n2\n"
    end.close()
    assert read(machine(url, work)) == b"header\n0\n1\n2\n"


def test_an_upload_at_an_interval_holds_up_nobody(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SECONDS", 0.0)
    store = machine(url, work)
    write(store, b"header\n")
    end = store.append_to(MANIFEST, 7)
    answered = threading.Event()
    put = Objects._put

    def put_slowly(self: Any, *arguments: Any) -> None:
        assert answered.wait(20)
        put(self, *arguments)

    monkeypatch.setattr(Objects, "_put", put_slowly)
    for line in (b"1\n", b"2\n", b"3\n"):
        end.append(line)
    assert read(store) == b"header\n1\n2\n3\n", "from the copy"
    answered.set()
    end.close()
    assert read(machine(url, work / "another")) == b"header\n1\n2\n3\n"
    assert not (work / MANIFEST).exists()


def test_an_upload_at_an_interval_that_finds_another_writer_s_work_ends_this_one_s(
    url: str, work: Path, tmp_path: Path
) -> None:
    ours, theirs = machine(url, work), machine(url, tmp_path / "theirs")
    write(ours, b"header\n")
    end = ours.append_to(MANIFEST, 7)
    end.append(b"1\n")
    assert read(theirs) == b"header\n"
    write(theirs, b"theirs\n")
    end._upload_at = 0.0
    end.append(b"2\n")
    assert end._running is not None
    end._running.exception(timeout=20)
    with pytest.raises(OutputError, match="changed by somebody else"):
        end.append(b"3\n")
    with pytest.raises(OutputError, match="changed by somebody else"):
        end.close()
    with pytest.raises(OutputError, match="could not be appended to"):
        end.append(b"4\n")
    assert read(theirs) == b"theirs\n"


def test_an_upload_at_an_interval_that_fails_is_made_up_for(
    url: str, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SECONDS", 0.0)
    store = machine(url, work)
    write(store, b"header\n")
    end = store.append_to(MANIFEST, 7)
    with monkeypatch.context() as patched:

        def refuse(self: Any, *_: object) -> None:
            raise self._errors.GenericError("503")

        patched.setattr(Objects, "_put", refuse)
        end.append(b"1\n")
        end.settle()
        with pytest.raises(OutputError, match="503"):
            write(store, b"whole\n")
    end.append(b"2\n")
    end.close()
    assert read(machine(url, tmp_path / "other")) == b"header\n1\n2\n"


def test_an_upload_whose_answer_was_lost_is_our_own(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SECONDS", 0.0)
    monkeypatch.setattr(cloud_appender, "_UPLOAD_SHARE", 0)
    store = machine(url, work)
    write(store, b"header\n")
    end = store.append_to(MANIFEST, 7)
    put = Objects._put

    def put_without_answer(self: Any, *arguments: Any) -> None:
        put(self, *arguments)
        raise self._errors.GenericError("connection closed before message completed")

    with monkeypatch.context() as patched:
        patched.setattr(Objects, "_put", put_without_answer)
        end.append(b"1\n")
        end.settle()
    end.append(b"2\n")
    end.close()
    assert read(store) == b"header\n1\n2\n"


# --- whether it can be used -----------------------------------------------------------------------


def test_a_store_without_conditional_writes_is_refused(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = machine(url, work)
    store.probe()
    library = store._objects._library

    class Careless:
        exceptions = library.exceptions

        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

        def put(self, *arguments: Any, **options: Any) -> Any:
            return library.put(*arguments, **{**options, "mode": "overwrite"})

    monkeypatch.setattr(store._objects, "_library", Careless())
    with pytest.raises(InputError, match="takes no conditional writes"):
        store.probe()
    monkeypatch.undo()
    assert answer(f"/{url.split('/')[2]}?list-type=2").count(b"<Key>") == 0


def test_runs_that_begin_at_the_same_time_do_not_disturb_each_other(
    any_url: str, work: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for ended in [pool.submit(machine(any_url, work).probe) for _ in range(8)]:
            ended.result()
    assert machine(any_url, work)._objects.head(".orchestrator-probe") is None


def test_a_request_may_take_as_long_as_its_body_needs_on_a_slow_line() -> None:
    assert request_seconds(0) == 120
    assert request_seconds(8 * 1024 * 1024) == 180
    assert request_seconds(40 * 1024 * 1024) == 420


def test_no_secret_of_an_address_gets_into_an_error() -> None:
    error = OSError("Error performing PUT http://me:SECRET@host/c/x?sv=2024&sig=SECRET in 2 ms")
    assert told(error) == "Error performing PUT http://host/c/x in 2 ms"


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["AZURE_STORAGE_ACCOUNT_NAME"])
def test_an_address_without_what_it_needs_is_refused(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    assert url
    monkeypatch.delenv(key, raising=False)
    with pytest.raises(InputError, match="Account must be specified"):
        cloud_store("az://container/prefix", work)


def test_other_stores_are_opened_by_their_addresses(
    url: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert url
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert cloud_store("az://container/p", work).location("x") == "az://container/p/x"
    assert cloud_store("gs://bucket/p", work).location("x") == "gs://bucket/p/x"
