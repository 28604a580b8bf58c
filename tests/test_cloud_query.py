"""`query` over files in an object store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from orchestrator.app import query_copies
from orchestrator.cli.main import call
from orchestrator.collect.stores.cloud import cloud_store
from tests.kit.cli_worlds import Place, simulated
from tests.kit.object_stores import new_bucket, s3_environment
from tests.test_cli_query import JOB, ask, use

QUESTIONS = [
    "select * from sms order by all",
    "select report_direction, sum(total_price), currency from sms group by all order by all",
    "select typeof(date_received), count(*) from verify_api group by all",
    "select s.n, v.n m from (select count(*) n from SMS) s, (from verify_api select count(*) n) v",
]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the copies go."""
    pytest.importorskip("duckdb")
    for name, value in s3_environment().items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def collect_into(place: Place, output: str, *formats: str) -> None:
    """One month more in each format."""
    config = place.directory / "config.yaml"
    for month, form in enumerate(formats, start=2):
        use(place, form)
        text = config.read_text(encoding="utf-8").replace("directory: reports", output)
        config.write_text(text, encoding="utf-8")
        place.write_job(JOB.replace("FIRST", f"2026-0{month}-01"))
        assert place.run("-q") == 0


def collect(place: Place, *formats: str) -> str:
    """The same into a new bucket; its address."""
    url = new_bucket()
    collect_into(place, f"directory: '{url}'", *formats)
    return url


def refused(place: Place, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert call(["query", str(place.job), "select count(*) from verify_api"]) == 2
    return capsys.readouterr().err


def test_the_answers_are_those_of_the_same_files_on_a_disk(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ("csv", "parquet", "csv.zst")
    (tmp_path / "here").mkdir()
    with simulated(tmp_path) as remote:
        collect(remote, *formats)
        answers = [ask(remote, question, capsys) for question in QUESTIONS]
    with simulated(tmp_path / "here") as local:
        collect_into(local, "directory: reports", *formats)
        assert [ask(local, question, capsys) for question in QUESTIONS] == answers
    assert all(answers)
    assert len(answers[0]) > 100
    assert list(temporary.iterdir()) == []


def test_only_the_files_of_the_products_that_are_asked_for_are_read(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        url = collect(place, "csv")
        store = cloud_store(url, tmp_path / "work")
        for key in list(store.list("report_account=")):
            if "report_product=SMS/" in key:
                store.delete(key)
        assert ask(place, 'select count(*) n from "Verify_API"', capsys)[0]["n"] > 0
        capsys.readouterr()
        assert call(["query", str(place.job), "select count(*) from sms"]) == 2
    assert "orchestrator verify" in capsys.readouterr().err
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_is_not_as_it_was_collected_is_told(
    tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str], is_there: bool
) -> None:
    with simulated(tmp_path) as place:
        url = collect(place, "csv")
        store = cloud_store(url, tmp_path / "work")
        (key,) = store.list("report_account=abcd1234/report_product=VERIFY-API/")
        store.delete(key)
        if is_there:
            with store.replace(key) as file:
                file.write(b"another")
        told = refused(place, capsys)
    assert f"{url}/{key}" in told
    assert ("is not as it was collected" if is_there else "cannot read") in told
    assert "orchestrator verify" in told
    assert list(temporary.iterdir()) == []


def test_files_that_have_no_room_are_not_copied(
    tmp_path: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv")
        monkeypatch.setattr(query_copies, "_SPARE_BYTES", 10**18)
        told = " ".join(refused(place, capsys).split())
    assert f"query copies what it reads to {temporary}" in told
    assert "TMPDIR" in told
    assert list(temporary.iterdir()) == []
