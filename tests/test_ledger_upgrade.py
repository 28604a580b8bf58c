"""Ledgers and manifests that earlier code has written: they open without loss, and serve on."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.app.manifest_check import Stands, compare
from orchestrator.app.rebuild import rebuild_ledger
from orchestrator.cli.main import call
from orchestrator.collect.manifest import survey
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.config import load_inputs
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Report, Series
from orchestrator.core.settings import Credentials, Secret
from orchestrator.ledger import open_reader, schema
from orchestrator.ledger.rows import COLUMNS
from orchestrator.ledger.sqlite import connect, reading
from tests.kit.cli_worlds import SMALL, Place, simulated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.core.ports import LedgerReader

DATA = Path(__file__).parent / "data" / "version_2"
VERSION_3 = Path(__file__).parent / "data" / "version_3"
VERSION_4 = Path(__file__).parent / "data" / "version_4"
AT = ("--now", "2026-03-09T04:00:00Z")
COLUMNS_OF_4 = COLUMNS.removesuffix(", source_sha256, column_list")
OLD_COLUMNS = COLUMNS_OF_4.removesuffix(", finding, columns, collected_change, removed_change")
OTHER = Series.of("ef567890", "SMS", "inbound")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No config from outside."""
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


def put_ledger(path: Path, data: Path = DATA) -> None:
    """A ledger, of version 2 unless told otherwise, as it stood on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript((data / "ledger.sql").read_text("utf-8"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """What the older version has left, beside a simulator that would sell anything again."""
    settings = replace(SMALL, records_per_day=0.2)
    job = (DATA / "job.yaml").read_text("utf-8")
    with simulated(tmp_path, settings, job=job, now=datetime(2026, 3, 10, tzinfo=UTC)) as place:
        shutil.copytree(DATA / "reports", tmp_path / "reports")
        put_ledger(place.state)
        yield place


def rows(path: Path, table: str, columns: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3").fetchall()


def _without_links(reports: list[Any]) -> list[Any]:
    names = [name.strip() for name in COLUMNS.split(",")]
    links = {names.index("callback_url"), names.index("download_url")}
    return [[value for at, value in enumerate(one) if at not in links] for one in reports]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "report",
            f"{OLD_COLUMNS}, is_open, has_window",
        ),
        ("event", "id, report_id, at, kind, from_state, to_state, facts"),
        ("given_up", "*"),
        ("resolved", "*"),
        ("mark", "*"),
        ("series", "id, key, account_id, kind, body"),
    ],
)
def test_a_ledger_of_version_2_opens_without_loss(tmp_path: Path, table: str, columns: str) -> None:
    path = tmp_path / "ledger.db"
    put_ledger(path)
    before = rows(path, table, columns)
    assert before
    connect(path).close()
    after = rows(path, table, columns)
    if table == "report":  # links and addresses are forgotten of all that is settled
        after, before = _without_links(after), _without_links(before)
    assert after == before
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_links_and_addresses_of_what_is_settled_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    put_ledger(path)
    columns = "id, state, is_open, download_url"
    before = rows(path, "report", columns)
    connect(path).close()
    assert rows(path, "report", columns) == [
        (number, state, is_open, link if is_open or state == "disputed" else None)
        for number, state, is_open, link in before
    ]
    assert any(link for *_, link in before)


def test_it_has_an_identity_of_its_own(tmp_path: Path) -> None:
    points = []
    for name in ("one.db", "other.db"):
        put_ledger(tmp_path / name)
        connect(tmp_path / name).close()
        with reading(tmp_path / name) as store:
            points.append(store.point())
    assert points[0].ledger != points[1].ledger
    assert [(one.generation, one.changes, one.events) for one in points] == [(1, 0, 91)] * 2


def test_a_manifest_of_version_1_becomes_one_of_version_2(place: Place) -> None:
    assert survey(FolderStore(place.directory / "reports")).problem is None
    assert place.run("--quiet", *AT) == 0
    found = survey(FolderStore(place.directory / "reports"))
    assert found.header is not None
    assert (found.header.version, found.problem) == (2, None)
    with reading(place.state) as store:
        assert found.point == store.point()
    assert place.bill() == []
    assert call(["verify", str(place.job)]) == 0


def test_a_manifest_of_version_1_brings_its_files_back(place: Place) -> None:
    shutil.rmtree(place.state.parent)
    assert place.run("--quiet", *AT, "--rebuild-ledger") == 0
    assert place.run("--quiet", *AT) == 0
    assert place.bill() == []


@pytest.mark.parametrize("damaged", [False, True])
def test_a_manifest_of_version_1_is_another_ledgers_whose_files_this_one_does_not_know(
    place: Place, capsys: pytest.CaptureFixture[str], *, damaged: bool
) -> None:
    manifest = place.directory / "reports" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    shutil.rmtree(place.state.parent)
    shutil.move(place.directory / "reports", place.directory / "elsewhere")
    place.write_job(
        "name: nightly\naccounts: [abcd1234]\nproducts: [ASR]\n"
        "windows: [{from: 2025-06-01, to: 2025-09-01}]\n"
    )
    assert place.run("--quiet", *AT) == 0
    bought = len(place.bill())
    lines[0] = lines[0].replace(b'"events":91', b'"events":1')
    end = {"kind": "end", "lines": 12, "sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}
    if not damaged:
        lines[-1] = json.dumps(end).encode() + b"\n"
    manifest.write_bytes(b"".join(lines))
    capsys.readouterr()
    assert place.run("--quiet", *AT) == 2
    assert "belongs to another ledger than" in capsys.readouterr().err
    assert manifest.read_bytes() == b"".join(lines)
    assert len(place.bill()) == bought


STEPS_BACK = {State.READY: State.SUBMITTED, State.VERIFIED: State.SUBMITTED}


def known(store: LedgerReader) -> tuple[list[Report], Any]:
    """What must come back: every report, its link and what a download left apart."""
    reports = []
    for one in store.reports(OTHER):
        kept = replace(one, download_url=None, callback_url=None, items_count=None)
        if one.state in STEPS_BACK:
            kept = replace(kept, rows=None, size_bytes=None, sha256=None, target=None)
        if STEPS_BACK.get(one.state, one.state) is State.SUBMITTED:
            kept = replace(kept, reason="", changed_at=None)  # steps of a download are left out
        reports.append(replace(kept, state=STEPS_BACK.get(one.state, one.state)))
    return reports, [
        store.given_up(OTHER),
        store.failures(OTHER),
        store.had(OTHER),
        [store.resolution("nightly", series) for series in store.all_series()],
    ]


def test_a_rebuilt_ledger_knows_all_that_the_lost_one_knew(place: Place) -> None:
    """Every state, what was given up, what was waived, and how often what was tried."""
    assert place.run("--quiet", *AT) == 0
    with reading(place.state) as store:
        reports, rest = known(store)
        point = store.point()
    assert {one.state for one in reports} == set(State) - {
        State.READY,
        State.VERIFIED,
        State.ERASED,
    }
    shutil.rmtree(place.state.parent)
    assert place.run("--quiet", *AT, "--rebuild-ledger") == 0
    with reading(place.state) as store:
        again, rest_again = known(store)
        assert again == reports
        assert rest_again == rest
        assert (store.point().ledger, store.point().generation) == (point.ledger, 2)
        assert store.last_event() > point.events
    assert place.bill() == []


def test_the_manifest_has_no_link_to_a_file(place: Place) -> None:
    assert place.run("--quiet", *AT) == 0
    text = (place.directory / "reports" / "manifest.jsonl").read_text("utf-8")
    assert "/v3/media/" not in text
    kinds = {json.loads(line)["kind"] for line in text.splitlines()}
    assert kinds == {"header", "file", "report", "given_up", "series", "resolved", "mark", "end"}


# --- versions 3 and 4, with a manifest of version 2 -----------------------------------------------

LATEST_AT = ("--now", "2026-03-11T06:00:00Z")


@pytest.fixture(params=[VERSION_3, VERSION_4], ids=lambda data: data.name)
def latest(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    """What a killed run has left, beside a simulator that would sell anything again."""
    data: Path = request.param
    settings = replace(SMALL, records_per_day=0.2)
    job = (data / "job.yaml").read_text("utf-8")
    with simulated(tmp_path, settings, job=job, now=datetime(2026, 3, 12, tzinfo=UTC)) as place:
        shutil.copytree(data / "reports", tmp_path / "reports")
        put_ledger(place.state, data)
        connect(place.state).close()  # as the first run of a newer version does
        yield place


def everything(path: Path) -> Any:
    """All that a reader of a ledger can see."""
    with open_reader(path, whole=True) as reader:
        return [
            (
                series,
                [(one, reader.failure_event(one.id)) for one in reader.reports(series)],
                [reader.foreign_rows_of(one.id) for one in reader.reports(series)],
                reader.series_state("nightly", series),
                reader.retried(series),
            )
            for series in reader.all_series()
        ], list(reader.resolutions())


@pytest.mark.parametrize(
    ("data", "names", "size", "events"),
    [
        (VERSION_3, OLD_COLUMNS, (4, 31), 121),
        (VERSION_4, COLUMNS_OF_4, (3, 29), 119),
    ],
)
def test_a_ledger_opens_without_loss(
    tmp_path: Path, data: Path, names: str, size: tuple[int, int], events: int
) -> None:
    path = tmp_path / "ledger.db"
    put_ledger(path, data)
    tables = (
        "report",
        "event",
        "given_up",
        "resolved",
        "mark",
        "series",
        "foreign_rows",
        "identity",
    )
    columns = ["*"] * len(tables)
    columns[0] = f"{names}, is_open, has_window, failed"
    columns[-1] = "id, generation, changes"
    before = [rows(path, *one) for one in zip(tables, columns, strict=True)]
    assert [bool(one) for one in before] == [
        table != "foreign_rows" or data is VERSION_3 for table in tables
    ]
    connect(path).close()
    after = [rows(path, *one) for one in zip(tables, columns, strict=True)]
    assert after == before
    with open_reader(path, whole=True) as reader:
        assert reader.size() == size
        assert reader.point().events == events
        states = [one.state for series in reader.all_series() for one in reader.reports(series)]
    missing = {State.SUBMITTING, State.VERIFIED, State.HELD, State.CANCELLED, State.ERASED}
    assert set(states) >= set(State) - missing


@pytest.mark.parametrize(
    ("facts", "finding"),
    [
        pytest.param('{"reason": "one too few"}', "one too few", id="as it was disputed"),
        pytest.param('{"reason": "one', "accepted by a person", id="an event that is no JSON"),
    ],
)
def test_what_a_person_has_accepted_keeps_its_finding(
    tmp_path: Path, facts: str, finding: str
) -> None:
    path = tmp_path / "ledger.db"
    put_ledger(path, VERSION_3)
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute(
            "SELECT min(id) FROM report WHERE state = 'collected'"
        ).fetchone()
        connection.executemany(
            "INSERT INTO event (report_id, at, kind, to_state, facts) VALUES (?, 0, ?, '', ?)",
            [(number, "Disputed", facts), (number, "Accepted", "{}")],
        )
        connection.commit()
    connect(path).close()
    findings = [each for *_, each in rows(path, "report", "id, state, finding") if each]
    assert findings == [finding]


def test_a_manifest_of_version_2_is_the_ledgers_own_as_it_stands(latest: Place) -> None:
    manifest = latest.directory / "reports" / "manifest.jsonl"
    found = survey(FolderStore(manifest.parent))
    assert (found.problem, bool(found.appended)) == (None, True)
    with open_reader(latest.state) as reader:
        assert found.point == reader.point()
    before = everything(latest.state)
    config = load_inputs([latest.job], env={}).config
    with open_reader(latest.state) as reader:
        comparison = compare(config, reader)
    assert (comparison.stands, comparison.problem) == (Stands.AS_THE_LEDGER, "")
    assert call(["verify", str(latest.job)]) == 0
    assert call(["plan", str(latest.job), *LATEST_AT]) == 0
    assert everything(latest.state) == before
    assert latest.bill() == []


def test_a_manifest_of_version_2_brings_all_of_its_ledger_back(latest: Place) -> None:
    """Its appended part too; each report stands a step back where its file was not collected."""
    with open_reader(latest.state) as reader:
        reports, decisions = known(reader)
        point = reader.point()
    shutil.rmtree(latest.state.parent)
    inputs, now = load_inputs([latest.job], env={}), datetime(2026, 3, 11, 6, tzinfo=UTC)
    key = Credentials("default", "abcd1234", Secret("unused"))
    rebuild_ledger(inputs.config, inputs.jobs, dict.fromkeys(inputs.credential_names, key), now)
    with open_reader(latest.state) as reader:
        assert known(reader) == (reports, decisions)
        rebuilt = reader.point()
    assert (rebuilt.ledger, rebuilt.generation) == (point.ledger, point.generation + 1)
    assert rebuilt.events > point.events
