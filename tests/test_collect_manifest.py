"""The manifest: what is written is read back, and whatever was cut or changed is noticed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect import safe_open
from orchestrator.collect.manifest import Reading, survey
from orchestrator.collect.manifest_entries import (
    Entry,
    GivenUpEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    SeriesEntry,
)
from orchestrator.collect.manifest_reading import BadLine, parse_entry, parse_line
from orchestrator.collect.manifest_writing import (
    ManifestJournal,
    entry_body,
    sealed,
    write_manifest,
)
from orchestrator.collect.stores.folder import FolderStore
from orchestrator.core.intervals import Window
from orchestrator.core.ledger_records import from_ms
from orchestrator.core.lifecycle import State
from orchestrator.core.model import GivenUp, LedgerPoint, Report, Series
from orchestrator.errors import InputError, OutputError
from tests.kit.archives import JANUARY, SMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
VOICE = Series.of("ef567890", "VOICE-CALL", fields={"status": "completed", "to": "漢字\u2028"})

FILE = ReportEntry(
    Report(
        id=17,
        series=VOICE,
        window=JANUARY,
        state=State.COLLECTED,
        api_key="abcd1234",
        job="nightly",
        intended_at=from_ms(1_772_365_860_500),
        server_ahead=timedelta(milliseconds=-1250),
        request_id="ri3p58f-42d57cfd",
        submitted_at=from_ms(1_772_365_920_500),
        ready_at=from_ms(1_772_366_340_500),
        rows=6,
        size_bytes=1234,
        sha256="ab" * 32,
        target="report_account=ef567890/x.csv",
        changed_at=NOW,
    )
)
RESOLVED = ResolvedEntry("nightly", SMS, (JANUARY, Window.of_epoch(1800000000, 1800000001)))
MARK = MarkEntry("nightly", SMS, JANUARY.end)
ENTRIES: tuple[Entry, ...] = (FILE, RESOLVED, MARK)
POINT = LedgerPoint("0123456789abcdef" * 2, 1, 40, 17, "89abcdef")
LATER = LedgerPoint(POINT.ledger, 1, 41, 19, "01234567")
OPEN = Report(
    id=18,
    series=SMS,
    window=Window.of_epoch(1800000000, 1800000001),
    state=State.HELD,
    api_key="abcd1234",
    job="nightly",
    intended_at=NOW,
    server_ahead=timedelta(seconds=2),
    callback_url="https://hooks.example.com/1",
    reason="the list proves nothing",
    changed_at=NOW,
)

WINDOWS = st.integers(0, 2**32).flatmap(
    lambda start: st.builds(Window.of_epoch, st.just(start), st.integers(start + 1, 2**33))
)
TEXTS = st.text(min_size=1, max_size=9)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
SERIES = st.builds(
    Series.of,
    TEXTS,
    TEXTS,
    st.none() | TEXTS,
    st.dictionaries(
        TEXTS.filter(lambda name: name not in {"account_id", "product", "direction"}),
        TEXTS | st.booleans(),
        max_size=3,
    ),
)
COUNTS = st.integers(0, 2**62)
MILLISECONDS = st.integers(-(2**40), 2**42)
SPANS = st.timedeltas(timedelta(days=-9), timedelta(days=9))
REPORTS = st.builds(
    Report,
    id=COUNTS,
    series=SERIES,
    window=WINDOWS,
    state=st.sampled_from([state for state in State if state is not State.COLLECTED]),
    api_key=TEXTS,
    job=TEXTS,
    intended_at=MOMENTS,
    server_ahead=SPANS,
    request_id=TEXTS,
    submitted_at=st.none() | MOMENTS,
    ready_at=st.none() | MOMENTS,
    items_count=st.none() | COUNTS,
    rows=st.none() | COUNTS,
    size_bytes=st.none() | COUNTS,
    sha256=st.none() | st.just("0" * 64),
    target=st.none() | st.just("a/b.csv"),
    reason=st.just("") | TEXTS,
    changed_at=st.none() | MOMENTS,
    edition=st.integers(1, 9),
    replaces=st.none() | COUNTS,
)
FILES = st.builds(
    Report,
    id=COUNTS,
    series=SERIES,
    window=WINDOWS,
    state=st.just(State.COLLECTED),
    api_key=TEXTS,
    job=TEXTS,
    intended_at=MILLISECONDS.map(from_ms),
    server_ahead=MILLISECONDS.map(lambda number: timedelta(milliseconds=number)),
    request_id=TEXTS,
    submitted_at=st.none() | MILLISECONDS.map(from_ms),
    ready_at=st.none() | MILLISECONDS.map(from_ms),
    rows=COUNTS,
    size_bytes=COUNTS,
    sha256=st.just("0" * 64),
    target=st.just("a/b.csv"),
    changed_at=MOMENTS,
    edition=st.integers(1, 9),
    replaces=st.none() | COUNTS,
)
ANY_ENTRY = (
    st.builds(
        ReportEntry,
        FILES,
        foreign=st.dictionaries(TEXTS, COUNTS, max_size=2).map(lambda one: tuple(one.items())),
    )
    | st.builds(ReportEntry, REPORTS, st.none() | COUNTS)
    | st.builds(SeriesEntry, SERIES, COUNTS)
    | st.builds(GivenUpEntry, COUNTS, st.none())
    | st.builds(
        GivenUp,
        id=COUNTS,
        series=SERIES,
        window=WINDOWS,
        report_id=st.none() | COUNTS,
        reason=st.just("") | TEXTS,
        at=MOMENTS,
        acknowledged=st.booleans(),
    ).map(lambda one: GivenUpEntry(one.id, one))
    | st.builds(ResolvedEntry, TEXTS, SERIES, st.lists(WINDOWS, max_size=3).map(tuple))
    | st.builds(MarkEntry, TEXTS, SERIES, MOMENTS)
)


@given(ANY_ENTRY)
def test_every_entry_is_read_back_as_it_was_written(entry: Entry) -> None:
    line, _ = sealed(entry_body(entry), 0)
    assert line.count(b"\n") == 1
    assert parse_entry(parse_line(line)) == entry


def test_a_manifest_is_lines_of_json_that_other_programs_can_read(tmp_path: Path) -> None:
    written = write_manifest(FolderStore(tmp_path / "reports"), ENTRIES, NOW, POINT)
    path = tmp_path / "reports" / "manifest.jsonl"
    whole = path.read_bytes()
    assert (written.entries, written.size_bytes) == (3, len(whole))
    assert written.crc == zlib.crc32(whole)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    for line in lines:
        crc = line.pop("check")
        place = whole.index(f',"check":"{crc}"'.encode())
        assert crc == f"{zlib.crc32(whole[:place]):08x}"
    assert lines == [
        {
            "kind": "header",
            "version": 2,
            "made_at": "2026-03-01T12:00:00.500000Z",
            "ledger": "0123456789abcdef0123456789abcdef",
            "generation": 1,
            "changes": 40,
            "events": 17,
            "last_event": "89abcdef",
        },
        {
            "kind": "file",
            "account_id": "ef567890",
            "product": "VOICE-CALL",
            "direction": None,
            "filter": {"status": "completed", "to": "漢字\u2028"},
            "date_start": "2024-01-01T00:00:00Z",
            "date_end": "2024-02-01T00:00:00Z",
            "path": "report_account=ef567890/x.csv",
            "rows": 6,
            "size_bytes": 1234,
            "sha256": "ab" * 32,
            "request_id": "ri3p58f-42d57cfd",
            "api_key": "abcd1234",
            "job": "nightly",
            "collected_at": "2026-03-01T12:00:00.500000Z",
            "report": 17,
            "intended_ms": 1_772_365_860_500,
            "submitted_ms": 1_772_365_920_500,
            "ready_ms": 1_772_366_340_500,
            "ahead_ms": -1250,
            "body": {
                "account_id": "ef567890",
                "product": "VOICE-CALL",
                "include_subaccounts": False,
                "status": "completed",
                "to": "漢字\u2028",
            },
        },
        {
            "kind": "resolved",
            "job": "nightly",
            "windows": [
                ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"],
                ["2027-01-15T08:00:00Z", "2027-01-15T08:00:01Z"],
            ],
            "body": SMS.body,
        },
        {"kind": "mark", "job": "nightly", "mark": "2024-02-01T00:00:00Z", "body": SMS.body},
        {"kind": "end", "lines": 4},
    ]
    assert tuple(Reading(FolderStore(path.parent))) == ENTRIES
    assert sorted(found.name for found in (tmp_path / "reports").rglob("*")) == [
        ".partial",
        "manifest.jsonl",
    ]


def test_times_of_other_zones_are_written_in_utc() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert entry_body(MarkEntry("a", SMS, tokyo)) == entry_body(MarkEntry("a", SMS, NOW))


def test_a_time_without_an_offset_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        entry_body(MarkEntry("a", SMS, NOW.replace(tzinfo=None)))


def test_the_old_manifest_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    write_manifest(FolderStore(tmp_path), [MARK], NOW, POINT)

    def half() -> Iterator[Entry]:
        yield FILE
        raise RuntimeError("the ledger broke")

    with pytest.raises(RuntimeError):
        write_manifest(FolderStore(tmp_path), half(), NOW, POINT)
    assert list(Reading(FolderStore(tmp_path))) == [MARK]
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_full_disk_is_said_in_words_and_the_old_manifest_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(FolderStore(tmp_path), [MARK], NOW, POINT)

    def on_a_full_disk(_path: Path, **_options: Any) -> Any:
        return Path("/dev/full").open("wb")

    with monkeypatch.context() as patched:
        patched.setattr(safe_open, "create", on_a_full_disk)
        with pytest.raises(OutputError) as caught:
            write_manifest(FolderStore(tmp_path), ENTRIES, NOW, POINT)
    assert str(caught.value) == (
        f"cannot write {tmp_path}/manifest.jsonl: the disk is full; make room and run again,"
        " nothing collected so far is lost"
    )
    assert list(Reading(FolderStore(tmp_path))) == [MARK]


def test_many_entries_stream_through(tmp_path: Path) -> None:
    """Ten thousand files pass one by one: the source is never asked for more than it gave."""
    asked = 0

    def source() -> Iterator[Entry]:
        nonlocal asked
        for asked in range(1, 10_001):  # noqa: B007 - counted for the assertion
            yield FILE

    assert write_manifest(FolderStore(tmp_path), source(), NOW, POINT).entries == asked == 10_000
    entries = iter(Reading(FolderStore(tmp_path)))
    assert next(entries) == FILE
    assert sum(1 for _ in entries) == 9_999


REMEDY = (
    "restore manifest.jsonl from a backup; or, if the ledger beside it is the latest, move the "
    "manifest away: the next run writes it anew from the ledger"
)


def resealed(lines: list[bytes]) -> list[bytes]:
    """The lines as whoever wrote them would have sealed them."""
    made, crc = [], 0
    for line in lines:
        fields = json.loads(line)
        fields.pop("check", None)
        sealed_line, crc = sealed(json.dumps(fields).encode()[:-1], crc)
        made.append(sealed_line)
    return made


def changed(number: int, **fields: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Changes fields of a line; None takes them out."""

    def change(lines: list[bytes]) -> list[bytes]:
        line = {**json.loads(lines[number - 1]), **fields}
        kept = {name: value for name, value in line.items() if value is not None}
        lines[number - 1] = json.dumps(kept).encode() + b"\n"
        return resealed(lines)

    return change


def replaced(number: int, body: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """A line that never was an object, with a right check."""

    def change(lines: list[bytes]) -> list[bytes]:
        crc = zlib.crc32(b"".join(lines[: number - 1]))
        lines[number - 1], _ = sealed(body, crc)
        return lines

    return change


NOT_AS_WRITTEN = (
    "check: this is not the line that was written here: it was changed, or lines before it were "
    "lost or doubled"
)
BODY = {"account_id": "abcd1234", "product": "SMS"}
SPOILED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "empty": (lambda _: [], "1:1: the manifest is empty"),
    "cut between lines": (
        lambda lines: lines[:3],
        "4:1: the end line is missing: the manifest is cut off",
    ),
    "cut in a line": (
        lambda lines: [*lines[:3], lines[3][:9]],
        "4:1: the line is cut off or endless",
    ),
    "a line lost": (lambda lines: lines[:2] + lines[3:], f"3:1: {NOT_AS_WRITTEN}"),
    "a line twice": (lambda lines: lines[:2] + lines[1:], f"3:1: {NOT_AS_WRITTEN}"),
    "a digit": (
        lambda lines: [line.replace(b'"rows":6', b'"rows":7') for line in lines],
        f"2:1: {NOT_AS_WRITTEN}",
    ),
    "a digit of the header": (
        lambda lines: [line.replace(b'"changes":40', b'"changes":41') for line in lines],
        f"1:1: {NOT_AS_WRITTEN}",
    ),
    "another number of lines": (
        changed(5, lines=3),
        "5:1: lines: 3 lines were written, 4 are there",
    ),
    "a second end": (
        lambda lines: resealed([*lines, b'{"kind":"end","lines":5}\n']),
        "6:1: kind: a second end line",
    ),
    "an object without a check behind the end": (
        lambda lines: [*lines, b"{}\n"],
        f"6:1: {NOT_AS_WRITTEN}",
    ),
    "no header": (
        lambda lines: lines[1:],
        "1:1: kind: the first line is not a manifest's header",
    ),
    "a newer version": (
        changed(1, version=3),
        "1:1: version: this manifest has version 3, this program reads 1 and 2",
    ),
    "no ledger in the header": (changed(1, ledger=None), "1:1: ledger: missing"),
    "no generation in the header": (changed(1, generation=None), "1:1: generation: missing"),
    "no time in the header": (
        changed(1, made_at=None),
        "1:1: made_at: None is not a time in UTC such as 2024-01-31T00:00:00Z",
    ),
    "not JSON": (replaced(2, b"{,"), "2:1: not a line of JSON"),
    "not UTF-8": (replaced(2, b'{"a":"\xff"'), "2:1: not a line of JSON"),
    "NaN": (replaced(2, b'{"rows":NaN'), "2:1: not a line of JSON"),
    "too deep": (replaced(2, b"[" * 100_000), "2:1: not a line of JSON"),
    "unknown kind": (
        changed(2, kind="files"),
        (
            "2:1: kind: 'files' is no kind of line here; maybe a newer version of "
            "orchestrator wrote it"
        ),
    ),
    "a path that leads out": (
        changed(2, path="../x.csv"),
        "2:1: path: '../x.csv' does not stay in the output directory",
    ),
    "no path": (changed(2, path=None), "2:1: path: missing"),
    "a path that is no text": (changed(2, path=7), "2:1: path: 7 is not text"),
    "a hash that is none": (changed(2, sha256="AB"), "2:1: sha256: 'AB' is not 64 hex digits"),
    "rows as text": (changed(2, rows="6"), "2:1: rows: '6' is not a count"),
    "rows below zero": (changed(2, rows=-1), "2:1: rows: -1 is not a count"),
    "rows as a boolean": (changed(2, rows=True), "2:1: rows: True is not a count"),
    "no size": (changed(2, size_bytes=None), "2:1: size_bytes: missing"),
    "an account that is not the body's": (
        changed(2, account_id="other"),
        "2:1: account_id: 'other' is not what the body says, 'ef567890'",
    ),
    "a time with an offset": (
        changed(2, collected_at="2024-01-01T00:00:00+01:00"),
        (
            "2:1: collected_at: '2024-01-01T00:00:00+01:00' is not a time in UTC such as"
            " 2024-01-31T00:00:00Z"
        ),
    ),
    "a day that is none": (
        changed(2, date_end="2024-02-30T00:00:00Z"),
        "2:1: date_start: '2024-02-30T00:00:00Z' is not a time of the calendar",
    ),
    "a window that is empty": (
        changed(2, date_end="2024-01-01T00:00:00Z"),
        (
            "2:1: date_start: the window from 2024-01-01 00:00:00+00:00 to"
            " 2024-01-01 00:00:00+00:00 is empty"
        ),
    ),
    "no body": (changed(2, body=None), "2:1: body: not the body of a request"),
    "a body with a list in it": (
        changed(2, body={**BODY, "to": []}),
        "2:1: body: not the body of a request",
    ),
    "a body without an account": (
        changed(2, body={"product": "SMS"}),
        "2:1: body.account_id: missing",
    ),
    "a body whose direction is a boolean": (
        changed(2, body={**BODY, "direction": True}),
        "2:1: body.direction: True is not text",
    ),
    "windows that are none": (changed(3, windows={}), "3:1: windows: not a list"),
    "a window that is no pair": (
        changed(3, windows=[["2024-01-01T00:00:00Z"]]),
        "3:1: windows[0]: not a pair of times",
    ),
    "no mark": (
        changed(4, mark=None),
        "4:1: mark: None is not a time in UTC such as 2024-01-31T00:00:00Z",
    ),
    "an end without a number": (changed(5, lines=None), "5:1: lines: missing"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILED.values(), ids=SPOILED)
def test_whatever_was_cut_or_changed_is_named_with_its_line(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    write_manifest(FolderStore(tmp_path), ENTRIES, NOW, POINT)
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(InputError) as caught:
        list(Reading(FolderStore(path.parent)))
    assert str(caught.value) == f"{path}:{words}; {REMEDY}"


def test_a_missing_manifest_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(InputError) as caught:
        list(Reading(FolderStore(path.parent)))
    assert str(caught.value) == f"{path}: there is no manifest; {REMEDY}"


def test_a_manifest_that_is_a_folder_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(InputError, match=r": cannot be read \(Is a directory\); restore"):
        list(Reading(FolderStore(tmp_path)))


@given(st.binary(max_size=60) | st.text().map(str.encode))
def test_no_line_makes_anything_but_an_entry_or_a_mistake(raw: bytes) -> None:
    with pytest.raises(BadLine):
        parse_entry(parse_line(raw))


@given(
    st.dictionaries(
        st.sampled_from(["kind", "job", "body", "mark", "windows", "path", "rows", "date_start"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    ).filter(lambda fields: not isinstance(fields.get("body"), dict))
)
def test_no_object_makes_anything_but_an_entry_or_a_mistake(fields: dict[str, Any]) -> None:
    with pytest.raises(BadLine):
        parse_entry(fields)


@pytest.mark.parametrize("number", [-(10**14), 10**15, 1.5, "1", True])
def test_a_time_out_of_the_calendar_is_a_mistake(number: object) -> None:
    fields = {**json.loads(entry_body(FILE) + b"}"), "intended_ms": number}
    with pytest.raises(BadLine) as caught:
        parse_entry(fields)
    assert caught.value.key == "intended_ms"


# --- what is appended -----------------------------------------------------------------------------


def appended(directory: Path, *batches: tuple[tuple[Entry, ...], LedgerPoint]) -> Path:
    """A manifest that was appended to."""
    written = write_manifest(FolderStore(directory), ENTRIES, NOW, POINT)
    journal = ManifestJournal(FolderStore(directory), written.size_bytes, written.crc)
    for entries, point in batches:
        journal.append(map(entry_body, entries), point)
    journal.close()
    return directory / "manifest.jsonl"


def test_what_is_appended_is_read_after_the_rest(tmp_path: Path) -> None:
    path = appended(tmp_path, ((ReportEntry(OPEN),), LATER), ((MARK, FILE), POINT))
    reading = Reading(FolderStore(path.parent))
    found = [(reading.line, reading.is_appended, entry) for entry in reading]
    assert found == [
        (2, False, FILE),
        (3, False, RESOLVED),
        (4, False, MARK),
        (6, True, ReportEntry(OPEN)),
        (8, True, MARK),
        (9, True, FILE),
    ]


def test_a_survey_tells_how_far_the_ledger_had_got(tmp_path: Path) -> None:
    assert not survey(FolderStore(tmp_path / "nowhere")).exists
    path = appended(tmp_path)
    assert survey(FolderStore(tmp_path)).point == POINT
    assert survey(FolderStore(tmp_path)).appended == 0
    path = appended(tmp_path, ((ReportEntry(OPEN),), LATER))
    found = survey(FolderStore(tmp_path))
    assert (found.point, found.appended, found.problem) == (LATER, 2, None)
    assert (found.size_bytes, found.crc) == (path.stat().st_size, zlib.crc32(path.read_bytes()))


@pytest.mark.parametrize("noise", [b"", b"\0" * 700, b"\0\n\xff\n", b"{\n"])
@pytest.mark.parametrize("cut", [1, 30, 400])
def test_a_last_line_that_was_cut_is_no_line_and_is_written_over(
    tmp_path: Path, cut: int, noise: bytes
) -> None:
    path = appended(tmp_path, ((ReportEntry(OPEN),), LATER))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut] + noise)
    assert [type(entry) for entry in Reading(FolderStore(path.parent))][:3] == [
        type(one) for one in ENTRIES
    ]
    found = survey(FolderStore(tmp_path))
    assert (found.point, found.problem) == (POINT, None)
    journal = ManifestJournal(FolderStore(tmp_path), found.size_bytes, found.crc)
    journal.append([entry_body(ReportEntry(OPEN))], LATER)
    journal.close()
    assert survey(FolderStore(tmp_path)).point == LATER
    assert list(Reading(FolderStore(path.parent)))[-1] == ReportEntry(OPEN)


def test_a_digit_that_changed_in_what_was_appended_is_named_with_its_line(tmp_path: Path) -> None:
    path = appended(tmp_path, ((ReportEntry(OPEN),), LATER), ((MARK,), LATER))
    path.write_bytes(path.read_bytes().replace(b'"report":18', b'"report":19'))
    with pytest.raises(InputError) as caught:
        list(Reading(FolderStore(path.parent)))
    assert str(caught.value) == f"{path}:6:1: {NOT_AS_WRITTEN}; {REMEDY}"
    found = survey(FolderStore(tmp_path))
    assert found.point == LATER, "what is behind the change still tells how far the ledger was"
    assert found.problem is not None
    assert found.problem.line == 6


def test_a_disk_that_takes_no_more_leaves_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = appended(tmp_path, ((MARK,), LATER))
    whole = path.read_bytes()
    really_write = os.write

    def half(handle: int, block: bytes) -> int:
        if len(block) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really_write(handle, block[:50])

    journal = ManifestJournal(FolderStore(tmp_path), len(whole), zlib.crc32(whole))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(OutputError, match="the disk is full; make room and run again"):
            journal.append([entry_body(FILE)], LATER)
    assert path.read_bytes() == whole
    with pytest.raises(OutputError, match="could not be appended to; run again"):
        journal.append([entry_body(FILE)], LATER)
    journal.close()
    assert path.read_bytes() == whole


# --- version 1 ------------------------------------------------------------------------------------


def first_version(path: Path) -> list[bytes]:
    """A manifest as version 1 wrote it; its lines."""
    lines = [
        {
            "kind": "header",
            "version": 1,
            "made_at": "2026-03-01T12:00:00Z",
            "events": 17,
            "ledger": "cd" * 32,
        },
        *(json.loads(entry_body(entry) + b"}") for entry in ENTRIES),
    ]
    for name in ("report", "intended_ms", "submitted_ms", "ready_ms", "ahead_ms"):
        del lines[1][name]
    made = [json.dumps(line).encode() + b"\n" for line in lines]
    end = {"kind": "end", "lines": 4, "sha256": hashlib.sha256(b"".join(made)).hexdigest()}
    made.append(json.dumps(end).encode() + b"\n")
    path.write_bytes(b"".join(made))
    return made


def test_version_1_is_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    first_version(path)
    assert list(Reading(FolderStore(path.parent))) == [
        ReportEntry(
            replace(
                FILE.report,
                id=0,
                intended_at=NOW,
                server_ahead=timedelta(),
                submitted_at=None,
                ready_at=None,
            )
        ),
        RESOLVED,
        MARK,
    ]
    found = survey(FolderStore(tmp_path))
    assert found.header is not None
    assert (found.header.version, found.header.events) == (1, 17)
    assert (found.point, found.problem) == (None, None)


SPOILED_FIRST: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a digit": (
        lambda lines: [line.replace(b'"rows": 6', b'"rows": 7') for line in lines],
        "5:1: sha256: the lines above are not those that were written",
    ),
    "a line lost": (
        lambda lines: lines[:2] + lines[3:],
        "4:1: lines: 4 lines were written, 3 are there",
    ),
    "a line twice": (
        lambda lines: lines[:2] + lines[1:],
        "6:1: lines: 4 lines were written, 5 are there",
    ),
    "the end lost": (
        lambda lines: lines[:4],
        "5:1: the end line is missing: the manifest is cut off",
    ),
    "a line too many": (lambda lines: [*lines, b"\n"], "6:1: something follows the end line"),
}


@pytest.mark.parametrize(("spoil", "words"), SPOILED_FIRST.values(), ids=SPOILED_FIRST)
def test_whatever_was_changed_of_version_1_is_named_with_its_line(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], words: str
) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"".join(spoil(first_version(path))))
    with pytest.raises(InputError) as caught:
        list(Reading(FolderStore(path.parent)))
    assert str(caught.value) == f"{path}:{words}; {REMEDY}"
    assert survey(FolderStore(tmp_path)).problem == caught.value.mistakes[0]
