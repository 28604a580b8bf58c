"""Whole commands whose files go into an object store."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.app.check import check_sync
from orchestrator.app.manifest_check import listings
from orchestrator.app.verify import verify
from orchestrator.cli.main import call
from orchestrator.collect.manifest_entries import MarkEntry
from orchestrator.collect.manifest_writing import write_manifest
from orchestrator.collect.stores import cloud_objects
from orchestrator.collect.stores.cloud import CloudStore, cloud_store
from orchestrator.collect.stores.cloud_objects import Head, Objects
from orchestrator.config import load_inputs
from orchestrator.core.model import LedgerPoint, Series
from orchestrator.errors import OutputError
from tests.kit.archives import a_report
from tests.kit.cli_worlds import REPORTS, Place, simulated
from tests.kit.object_stores import new_bucket, new_place, s3_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IS_CAMPAIGN = "KILLS" in os.environ  # Every step, which takes a minute.


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A config whose output is a prefix of a bucket."""
    for name, value in s3_environment().items():
        monkeypatch.setenv(name, value)
    with simulated(tmp_path) as made:
        write_output(made, new_bucket())
        yield made


def write_output(place: Place, url: str) -> None:
    place.write_config()
    path = place.directory / "config.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace("directory: reports", f"directory: '{url}'")
    path.write_text(text + "on_unknown: resubmit\n", encoding="utf-8")


def keys(place: Place) -> list[str]:
    """The collected files."""
    return sorted(store_of(place).list("report_account="))


def store_of(place: Place) -> CloudStore:
    text = (place.directory / "config.yaml").read_text(encoding="utf-8")
    url = text.rpartition("directory: '")[2].partition("'")[0]
    return cloud_store(url, place.directory / "state" / "ledger-work")


def work_area(place: Place) -> list[str]:
    """The local files that are left."""
    folder = place.directory / "state" / "ledger-work"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_collects_into_a_bucket(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert place.check() == 0
    assert "can be written, read and deleted in" in capsys.readouterr().out
    assert list(store_of(place).list("")) == [], "the check leaves nothing behind"
    assert place.run() == 0
    assert "s3://" in capsys.readouterr().out
    assert place.is_the_truth()
    assert place.bought() == REPORTS
    assert len(keys(place)) == REPORTS
    assert work_area(place) == []
    assert not (place.directory / "reports").exists()
    assert call(["verify", str(place.job)]) == 0
    capsys.readouterr()
    assert call(["files", str(place.job), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {file["path"].partition("/report_account=")[1] for file in listed} == {
        "/report_account="
    }
    assert all(file["path"].startswith("s3://bucket-") for file in listed)
    assert place.run() == 0
    assert place.bought() == REPORTS


def test_two_ledgers_in_one_folder_have_a_work_area_each(place: Place) -> None:
    """The number of a report means another one in each: what one is done with, the other keeps."""
    assert place.run() == 0
    kept = load_inputs([place.job], env={}).config.output.directory / ".aside" / "1_disputed.csv"
    kept.parent.mkdir(parents=True)
    kept.touch()
    write_output(place, new_bucket())
    config = place.directory / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("state/ledger.db", "state/ledger.sqlite"), encoding="utf-8")
    assert place.run() == 0
    assert kept.exists()


@pytest.mark.parametrize("kind", ["google", "azure"])
def test_a_run_collects_into_other_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    url = new_place(kind, monkeypatch)
    with simulated(tmp_path) as place:
        write_output(place, url)
        assert place.check() == 0
        assert list(store_of(place).list("")) == []
        for _ in range(2):
            assert place.run() == 0
            assert place.bought() == len(keys(place)) == REPORTS
        assert url in capsys.readouterr().out
        shutil.rmtree(place.directory / "state")
        assert place.run() == 2
        assert place.run("--rebuild-ledger") == 0
        assert place.bought() == REPORTS
        assert call(["verify", str(place.job)]) == 0
        assert place.is_the_truth()
        assert work_area(place) == []
        write_output(place, url.replace("://", "://no-such-"))
        assert call(["check", str(place.job)]) == 2
    assert "no such bucket or container" in "".join(capsys.readouterr())


@pytest.mark.parametrize("has_manifest", [True, False])
def test_a_lost_ledger_is_made_anew_from_the_bucket(place: Place, has_manifest: bool) -> None:
    assert place.run() == 0
    shutil.rmtree(place.directory / "state")
    if not has_manifest:
        store_of(place).delete("manifest.jsonl")
    assert place.run() == 2, "beginning anew would buy everything again"
    assert place.run("--rebuild-ledger") == 0
    assert place.bought() == REPORTS
    assert call(["verify", str(place.job)]) == 0
    assert place.is_the_truth()


def test_a_rebuild_lists_folders_and_asks_for_no_file_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run() == 0
    store_of(place).delete(keys(place)[0])
    shutil.rmtree(place.directory / "state")
    asked: list[str] = []
    head = Objects.head

    def noted(self: Objects, key: str) -> Head | None:
        asked.append(key)
        return head(self, key)

    monkeypatch.setattr(Objects, "head", noted)
    assert place.run("--rebuild-ledger") == 0
    assert "1 of which are not there" in capsys.readouterr().err
    assert {key for key in asked if "/" in key} == set()


def test_several_folders_of_a_store_are_listed_at_a_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = threading.Barrier(2, timeout=60)

    def listed_with_another(*_: object) -> Iterator[str]:
        several.wait()
        return iter(())

    monkeypatch.setattr(CloudStore, "list", listed_with_another)
    series = [Series.of(f"abcd123{number}", "SMS") for number in range(4)]
    config = load_inputs([place.job], env=os.environ).config
    found = [list(listed()) for _, listed in listings(config, ((one, None) for one in series))]
    assert found == [[]] * 4


def test_the_program_ends_with_0_each_time(place: Place) -> None:
    runs = 30 if _IS_CAMPAIGN else 6
    for number in range(runs):
        start = date(2025, 3, 1) + timedelta(days=number)
        window = f"windows: [{{from: {start}, to: {start + timedelta(days=1)}}}]"
        text = f"name: job\naccounts: [abcd1234]\nproducts: [VERIFY-API]\n{window}\n"
        place.write_job(text)
        process = place.process("run", str(place.job))
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert len(keys(place)) == place.bought() == runs


def test_killed_again_and_again_a_run_buys_nothing_twice(place: Place) -> None:
    kills = 40 if _IS_CAMPAIGN else 6
    for number in range(1, kills + 1):
        process = place.process("run", str(place.job))
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            if len(keys(place)) >= number * REPORTS // kills:
                break
            time.sleep(0.002 * number)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    process = place.process("run", str(place.job))
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert place.bought() == REPORTS
    assert place.is_the_truth()
    assert call(["verify", str(place.job)]) == 0
    assert work_area(place) == []


def test_killed_before_its_manifest_is_uploaded_a_run_goes_on_from_the_local_copy(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        original = cloud_objects.Objects.write_over
        writes = []

        def write_once(self: Any, *arguments: Any) -> Any:
            writes.append(arguments)
            return original(self, *arguments) if len(writes) == 1 else refuse()

        patched.setattr(cloud_objects.Objects, "write_over", write_once)
        assert place.run() != 0
    assert "manifest.jsonl" in work_area(place)
    capsys.readouterr()
    assert place.run() == 0
    assert "written anew" not in capsys.readouterr().err, "the copy is the manifest"
    assert place.bought() == REPORTS
    assert work_area(place) == []


# --- what is in the way ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bucket_that_does_not_exist_costs_nothing(
    place: Place, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    write_output(place, "s3://no-such-bucket/here")
    assert call([command, str(place.job)]) == 2
    assert "no such bucket" in "".join(capsys.readouterr())
    assert place.bought() == 0


class _Denying(http.server.BaseHTTPRequestHandler):
    def _deny(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _deny  # noqa: N815 - of the base class

    def log_message(self, *_: object) -> None:
        pass


class _Keeping(_Denying):
    """Lets write and read, and not delete, which S3 says in an answer 200."""

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        written = self.server.__dict__.setdefault("written", {})
        code, body = 200, b""
        if self.command == "PUT" and self.headers.get("If-None-Match") and self.path in written:
            code = 412
        elif self.command == "PUT":
            written[self.path] = content
        elif self.command == "POST":
            key = content.partition(b"<Key>")[2].partition(b"</Key>")[0]
            body = (
                b"<DeleteResult><Error><Key>%b</Key><Code>AccessDenied</Code>"
                b"<Message>Access Denied</Message></Error></DeleteResult>" % key
            )
        elif self.path in written:
            body = written[self.path]
        else:
            code = 404
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815 - of the base class


@contextmanager
def answering(
    handler: type[http.server.BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch
) -> Iterator[http.server.HTTPServer]:
    """A server that the environment names as the store."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_bucket_that_denies_costs_nothing(
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    with answering(_Denying, monkeypatch):
        assert call([command, str(place.job)]) == 2
    assert "may not write" in "".join(capsys.readouterr())
    assert place.bought() == 0


def test_without_the_right_to_delete_one_object_stays_and_is_named(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(_Keeping, monkeypatch) as server:
        for command in ("check", "run"):
            assert call([command, str(place.job)]) == 2
            text = " ".join("".join(capsys.readouterr()).split())
            assert "may write, but not delete there" in text
            assert "/in/here/.orchestrator-probe stays" in text
        (written,) = server.__dict__["written"]
    assert written.endswith("/in/here/.orchestrator-probe")
    assert place.bought() == 0


def test_erased_objects_are_gone_and_a_store_that_refuses_is_gone_on_with(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.run("--quiet") == 0
    erase = ["erase", str(place.job), "--before", "2026-03-01", "--yes"]

    def refuse(_store: CloudStore, key: str) -> bool:
        raise OutputError(f"{key}: denied")

    with monkeypatch.context() as patched:
        patched.setattr(CloudStore, "delete", refuse)
        assert call(erase) == 74
    assert len(keys(place)) == REPORTS
    assert call(erase) == 0
    assert len(keys(place)) == REPORTS // 2
    assert all("/20260101T" not in key and "/20260201T" not in key for key in keys(place))
    assert call(["verify", str(place.job)]) == 0
    for path in place.state.parent.glob("ledger.db*"):
        path.unlink()
    assert place.run("--quiet", "--rebuild-ledger") == 0
    assert place.bought() == REPORTS
    assert len(keys(place)) == REPORTS // 2


@pytest.mark.parametrize("command", ["run", "check"])
def test_without_the_library_nothing_is_sent(
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    write_output(place, new_bucket())
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    assert call([command, str(place.job)]) == 2
    assert "pip install 'obstore>=0.12'" in "".join(capsys.readouterr())
    assert place.bought() == 0


def test_a_store_that_fails_in_the_middle_ends_the_run_and_nothing_is_bought_again(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put = cloud_objects.Objects._put
    calls = []

    def fail_later(self: Any, *arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) > 5:
            raise self._errors.GenericError("503 Slow Down")
        put(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(cloud_objects.Objects, "_put", fail_later)
        assert place.run() in (74, 75)
    assert "503 Slow Down" in capsys.readouterr().err
    assert len(keys(place)) < 5
    assert place.run() == 0
    assert place.bought() == REPORTS
    assert place.is_the_truth()


@pytest.mark.parametrize("with_check", [False, True])
def test_the_manifest_of_another_run_is_not_overwritten(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_check: bool,
) -> None:
    upload = cloud_objects.Objects.upload
    theirs = LedgerPoint(ledger="ab" * 16, generation=1, changes=1, events=1, last_event="00")
    written: list[bool] = []

    def another_run_writes(self: Any, *arguments: Any) -> Any:
        if not written:
            written.append(True)
            other = cloud_store(self.url, place.directory / "other")
            now = datetime(2026, 3, 1, tzinfo=UTC)
            write_manifest(other, [MarkEntry("other", a_report().series, now)], now, theirs)
            if with_check:  # What others in this process see is nothing that the run has seen.
                inputs = load_inputs([place.job], env={})
                check_sync(inputs)
                verify(inputs)
        return upload(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(cloud_objects.Objects, "upload", another_run_writes)
        assert place.run() == 74
    assert "changed by somebody else" in capsys.readouterr().err
    with store_of(place).open("manifest.jsonl") as file:
        assert b"abababab" in file.read()
    bought = place.bought()
    assert place.run() == 2
    assert "belongs to another ledger" in capsys.readouterr().err
    assert place.bought() == bought


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://bucket/x", "AWS_ENDPOINT_URL_S3"),
        ("s3://bucket/x", "AWS_ENDPOINT_URL"),
        ("s3://bucket/x", "AWS_ENDPOINT"),
        ("az://container/x", "AZURE_STORAGE_ENDPOINT"),
        ("az://container/x", "AZURITE_BLOB_STORAGE_URL"),
        ("gs://bucket/x", "GOOGLE_BASE_URL"),
    ],
)
def test_nothing_is_sent_unencrypted_to_another_machine(
    place: Place,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    name: str,
) -> None:
    write_output(place, url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
    monkeypatch.setenv(name, "http://minio.example:9000")
    assert place.run() == 2
    assert f"{name} begins with http://" in capsys.readouterr().err


def test_a_variable_with_a_line_break_is_named(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "SECRET\n")
    assert place.run() == 2
    errors = capsys.readouterr().err
    assert "AWS_SESSION_TOKEN holds a line break" in errors
    assert "SECRET" not in errors


@pytest.mark.parametrize(
    "url",
    [
        *("https://bucket/x", "s3://", "s3://b/../x", "s3://b/x?y=1", "s3://key:secret@b/x"),
        *("s3:/bucket/x", "gs:bucket", "az:/container"),
    ],
)
def test_other_addresses_are_refused(
    place: Place, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    write_output(place, url)
    assert place.run() == 2
    assert "is no address of an object store" in capsys.readouterr().err
    assert place.bought() == 0


# --- killed at each request -----------------------------------------------------------------------

_KILLED = """
import os, signal, sys
from orchestrator.cli.main import call
from orchestrator.collect.stores import cloud_connection

library, last, after = cloud_connection.library(), int(sys.argv[1]), sys.argv[2] == "after"
made = 0


class Counted:
    exceptions, store = library.exceptions, library.store

    def __getattr__(self, name):
        def request(*arguments, **options):
            global made
            made += 1
            if made == last and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return getattr(library, name)(*arguments, **options)
            finally:
                if made == last:
                    os.kill(os.getpid(), signal.SIGKILL)
        return request


counted = Counted()
cloud_connection.library = lambda: counted
sys.exit(call(sys.argv[3:]))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_any_request_to_the_store_a_run_goes_on_and_buys_nothing_twice(
    place: Place, moment: str
) -> None:
    codes = []
    step = 1 if _IS_CAMPAIGN else 6
    for request in range(step, 60, step):
        url = new_bucket()
        write_output(place, url)
        shutil.rmtree(place.directory / "state", ignore_errors=True)
        # Another day each time: else the search for a lost create finds the report of before.
        start = date(2025, 3, 1) + timedelta(days=request)
        window = f"windows: [{{from: {start}, to: {start + timedelta(days=1)}}}]"
        place.write_job(f"name: job\naccounts: [abcd1234]\nproducts: [VERIFY-API]\n{window}\n")
        before = place.bought()
        command = [sys.executable, "-c", _KILLED, str(request), moment, "run", str(place.job)]
        killed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        codes.append(killed.returncode)
        if place.run() == 75:  # killed between intent and POST, which no list can prove
            config = str(place.directory / "config.yaml")
            assert call(["resolve", "1", "--resubmit", "--config", config]) == 0
            assert place.run() == 0, f"{codes} {killed.stderr}"
        assert place.bought() == before + 1
        assert call(["verify", str(place.job)]) == 0
        assert work_area(place) == []
        if killed.returncode == 0:
            break
    assert codes[-1] == 0
    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 2
