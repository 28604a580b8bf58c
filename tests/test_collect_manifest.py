"""The manifest: what is written is read back, and whatever was cut or changed is noticed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.collect.manifest import (
    Entry,
    FileEntry,
    MarkEntry,
    ReportEntry,
    ResolvedEntry,
    is_current,
    read_manifest,
    write_manifest,
)
from orchestrator.collect.manifest_lines import BadLine, entry_line, parse_entry, parse_line
from orchestrator.core.intervals import Window
from orchestrator.core.lifecycle import State
from orchestrator.core.model import Identity, Series
from orchestrator.errors import InputError, OutputError
from tests.kit.archives import JANUARY, SMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)
VOICE = Series.of("ef567890", "VOICE-CALL", fields={"status": "completed", "to": "漢字\u2028"})

FILE = FileEntry(
    series=VOICE,
    window=JANUARY,
    path="report_account=ef567890/x.csv",
    rows=6,
    size_bytes=1234,
    sha256="ab" * 32,
    request_id="ri3p58f-42d57cfd",
    api_key="abcd1234",
    job="nightly",
    collected_at=NOW,
    report=17,
)
LEDGER = Identity("aa" * 16, 3, 17)
RESOLVED = ResolvedEntry("nightly", SMS, (JANUARY, Window.of_epoch(1800000000, 1800000001)))
MARK = MarkEntry("nightly", SMS, JANUARY.end)
ENTRIES: tuple[Entry, ...] = (FILE, RESOLVED, MARK)


def entries_of(path: Path) -> list[Entry]:
    return [entry for _, entry in read_manifest(path)]


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
ANY_ENTRY = (
    st.builds(
        FileEntry,
        SERIES,
        WINDOWS,
        st.just("a/b.csv"),
        st.integers(0),
        st.integers(0),
        st.just("0" * 64),
        TEXTS,
        TEXTS,
        TEXTS,
        MOMENTS,
        st.integers(0, 2**40),
    )
    | st.builds(
        ReportEntry,
        st.integers(1, 2**40),
        SERIES,
        WINDOWS,
        st.sampled_from(State),
        st.none() | TEXTS,
        TEXTS,
        TEXTS,
        MOMENTS,
        st.text(max_size=9),
        st.integers(1, 9),
        st.none() | st.integers(1, 9),
    )
    | st.builds(ResolvedEntry, TEXTS, SERIES, st.lists(WINDOWS, max_size=3).map(tuple))
    | st.builds(MarkEntry, TEXTS, SERIES, MOMENTS)
)


@given(ANY_ENTRY)
def test_every_entry_is_read_back_as_it_was_written(entry: Entry) -> None:
    line = entry_line(entry)
    assert line.count(b"\n") == 1
    assert parse_entry(parse_line(line)) == entry


def test_a_manifest_is_lines_of_json_that_other_programs_can_read(tmp_path: Path) -> None:
    assert write_manifest(tmp_path / "reports", ENTRIES, NOW, LEDGER, "cd" * 32) == 3
    path = tmp_path / "reports" / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    whole = path.read_bytes()
    before_the_end = whole[: whole.rindex(b"{")]
    assert lines == [
        {
            "kind": "header",
            "version": 2,
            "made_at": "2026-03-01T12:00:00.500000Z",
            "ledger_id": "aa" * 16,
            "generation": 3,
            "events": 17,
            "replaces": "",
            "ledger": "cd" * 32,
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
        {"kind": "end", "lines": 4, "sha256": hashlib.sha256(before_the_end).hexdigest()},
    ]
    assert tuple(entries_of(path)) == ENTRIES
    assert sorted(found.name for found in (tmp_path / "reports").rglob("*")) == [
        ".partial",
        "manifest.jsonl",
    ]


def test_times_of_other_zones_are_written_in_utc() -> None:
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert entry_line(MarkEntry("a", SMS, tokyo)) == entry_line(MarkEntry("a", SMS, NOW))


def test_a_time_without_an_offset_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has no offset"):
        entry_line(MarkEntry("a", SMS, NOW.replace(tzinfo=None)))


def test_the_old_manifest_stands_until_the_new_one_is_complete(tmp_path: Path) -> None:
    write_manifest(tmp_path, [MARK], NOW, LEDGER)

    def half() -> Iterator[Entry]:
        yield FILE
        raise RuntimeError("the ledger broke")

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path, half(), NOW, LEDGER)
    assert entries_of(tmp_path / "manifest.jsonl") == [MARK]
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_full_disk_is_said_in_words_and_the_old_manifest_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, [MARK], NOW, LEDGER)
    really_open = Path.open

    def on_a_full_disk(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        return really_open(Path("/dev/full") if mode == "wb" else path, mode, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", on_a_full_disk)
        with pytest.raises(OutputError) as caught:
            write_manifest(tmp_path, ENTRIES, NOW, LEDGER)
    assert str(caught.value) == (
        f"cannot write {tmp_path}/manifest.jsonl: the disk is full; make room and run again,"
        " nothing collected so far is lost"
    )
    assert entries_of(tmp_path / "manifest.jsonl") == [MARK]


def test_many_entries_stream_through(tmp_path: Path) -> None:
    """Ten thousand files pass one by one: the source is never asked for more than it gave."""
    asked = 0

    def source() -> Iterator[Entry]:
        nonlocal asked
        for asked in range(1, 10_001):  # noqa: B007 - counted for the assertion
            yield FILE

    assert write_manifest(tmp_path, source(), NOW, LEDGER) == asked == 10_000
    entries = read_manifest(tmp_path / "manifest.jsonl")
    assert next(entries) == (2, FILE)
    assert sum(1 for _ in entries) == 9_999


REMEDY = (
    "restore manifest.jsonl from a backup; or, where the ledger is there, move it away, and a run "
    "writes it anew"
)


def changed(number: int, **fields: Any) -> Callable[[list[bytes]], list[bytes]]:
    """Changes fields of a line; None takes them out."""

    def change(lines: list[bytes]) -> list[bytes]:
        line = {**json.loads(lines[number - 1]), **fields}
        kept = {name: value for name, value in line.items() if value is not None}
        lines[number - 1] = json.dumps(kept).encode() + b"\n"
        return lines

    return change


def replaced(number: int, line: bytes) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        lines[number - 1] = line
        return lines

    return change


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
    "a line lost": (
        lambda lines: lines[:2] + lines[3:],
        "4:1: lines: 4 lines were written, 3 are there",
    ),
    "a line too many": (lambda lines: [*lines, b"\n"], "6:1: not a line of JSON"),
    "no header": (
        lambda lines: lines[1:],
        "1:1: kind: the first line is not a manifest's header",
    ),
    "a newer version": (
        changed(1, version=3),
        "1:1: version: this manifest has version 3, this program reads 1 and 2",
    ),
    "no time in the header": (
        changed(1, made_at=None),
        "1:1: made_at: None is not a time in UTC such as 2024-01-31T00:00:00Z",
    ),
    "not JSON": (replaced(2, b"{,}\n"), "2:1: not a line of JSON"),
    "not UTF-8": (replaced(2, b'{"a":"\xff"}\n'), "2:1: not a line of JSON"),
    "NaN": (replaced(2, b'{"rows":NaN}\n'), "2:1: not a line of JSON"),
    "too deep": (replaced(2, b"[" * 100_000 + b"\n"), "2:1: not a line of JSON"),
    "not an object": (replaced(2, b"[1]\n"), "2:1: not a JSON object"),
    "unknown kind": (changed(2, kind="files"), "2:1: kind: 'files' is no kind of line"),
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
    write_manifest(tmp_path, ENTRIES, NOW, LEDGER)
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"".join(spoil(path.read_bytes().splitlines(keepends=True))))
    with pytest.raises(InputError) as caught:
        list(read_manifest(path))
    assert str(caught.value) == f"{path}:{words}; {REMEDY}"


def test_a_missing_manifest_is_said_in_words(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    with pytest.raises(InputError) as caught:
        list(read_manifest(path))
    assert str(caught.value) == f"{path}: there is no manifest; {REMEDY}"


def test_a_manifest_that_is_a_folder_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r": cannot be read \(Is a directory\); restore"):
        list(read_manifest(tmp_path))


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


# --- whether it has to be written anew ------------------------------------------------------------


def test_a_manifest_of_the_ledger_as_it_is_is_current(tmp_path: Path) -> None:
    write_manifest(tmp_path, ENTRIES, NOW, LEDGER, "one")
    assert is_current(tmp_path, "one")
    assert not is_current(tmp_path, "another")
    assert not is_current(tmp_path / "elsewhere", "one")


def flipped(text: bytes) -> bytes:
    return text.replace(b'"rows":6', b'"rows":7')


def without_a_line(text: bytes) -> bytes:
    lines = text.splitlines(keepends=True)
    return b"".join(lines[:1] + lines[2:])


CHANGED_SINCE: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "half": lambda text: text[: len(text) // 2],
    "no end": lambda text: b"".join(text.splitlines(keepends=True)[:-1]),
    "a cut end": lambda text: text[:-9],
    "a line more": lambda text: text + b"{}\n",
    "a line less": without_a_line,
    "a digit": flipped,
    "only a header": lambda text: text.splitlines(keepends=True)[0],
    "no header": lambda text: b"".join(text.splitlines(keepends=True)[1:]),
    "noise": lambda text: bytes(reversed(text)),
}


@pytest.mark.parametrize("spoil", CHANGED_SINCE.values(), ids=CHANGED_SINCE)
def test_a_manifest_that_was_changed_is_not_current(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    write_manifest(tmp_path, ENTRIES, NOW, LEDGER, "one")
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(spoil(path.read_bytes()))
    assert not is_current(tmp_path, "one")
