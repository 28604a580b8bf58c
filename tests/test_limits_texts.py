"""What others write is repeated in a few plain words: in ledger, log, notes and on the screen."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.echo import EchoDifference
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.errors import CorruptArchive, ServerFault
from orchestrator.reporting.logs import Log
from orchestrator.simulator import Fault, Settings
from orchestrator.texts import MAX_QUOTE, MAX_REASON, hider, printable, short
from tests.kit.meddling import Answer, meddling
from tests.kit.stage import NOW, Stage, between, job, stage, with_faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


pytestmark = [pytest.mark.anyio]

MONTH = between("2026-01-01", "2026-02-01")
SMALL = Settings(records_per_day=1.0)
SECRET = SMALL.keys[0].api_secret
MANY = "\u202eabc\x85\u2028\u2066" * (1 << 17)
"""A megabyte that turns directions, breaks lines and moves cursors."""

STEERING = [*range(0x09), *range(0x0A, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
STEERING += [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xD800]


@pytest.mark.parametrize("number", STEERING, ids=hex)
def test_what_steers_a_terminal_or_breaks_a_line_is_escaped(number: int) -> None:
    shown = printable(f"a{chr(number)}b")
    assert shown.startswith("a\\")
    assert len(shown.splitlines()) == 1


@given(st.text())
def test_short_texts_are_bounded_and_stay_as_they_are_shown(text: str) -> None:
    shown = short(text)
    assert len(shown) <= MAX_QUOTE + 1
    assert printable(shown) == shown
    assert short(f"{text}{'x' * 1000}").endswith("…")


def test_a_secret_is_hidden_whatever_its_case() -> None:
    hide = hider(["AbCdEf", "abc", ""])
    assert hide("abcdef ABCDEF abC [x") == "*** *** *** [x"
    assert hider([])("text") == "text"


def test_errors_are_bounded_however_long_a_server_talks() -> None:
    assert len(str(ServerFault(MANY))) == MAX_REASON + 1
    assert len(str(CorruptArchive(MANY))) == MAX_REASON + 1
    difference = str(EchoDifference("status", "delivered", MANY))
    assert len(difference) < MAX_QUOTE + 100
    assert difference.isprintable()


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_line_of_the_log_is_one_line(as_json: bool) -> None:
    stream = io.StringIO()
    log = Log(stream, as_json=as_json, mask=str, now=lambda: NOW)
    log.write("warning", "one\x85two\u2028three\u202efour\nfive", {"fact": "six\u2029"})
    (line,) = stream.getvalue().splitlines()
    assert line.isprintable()
    if as_json:
        assert json.loads(line)["event"] == "one\x85two\u2028three\u202efour\nfive"


def _refusal(said: Answer) -> None:
    if said.method == "POST":
        said.status, said.content_type = 422, "application/problem+json"
        pairs = [{"name": MANY, "reason": MANY}] * 2
        problem = {"type": MANY, "title": MANY, "detail": MANY, "invalid_parameters": pairs}
        said.body = json.dumps(problem, ensure_ascii=False).encode()


def _edited(edit: Callable[[dict[str, object]], None]) -> Callable[[Answer], None]:
    def change(said: Answer) -> None:
        if "json" in said.content_type:
            answer = json.loads(said.body)
            for report in answer.get("reports", [answer]):
                edit(report)
            said.body = json.dumps(answer, ensure_ascii=False).encode()

    return change


ANSWERS = {
    "a problem": _refusal,
    "the echo of a field": _edited(lambda report: report.update(direction=MANY)),
    "the echo of a date": _edited(lambda report: report.update(date_start=MANY)),
    "a status": _edited(lambda report: report.update(request_status=MANY)),
    "a callback": _edited(lambda report: report.update(callback_url=f"https://x/{MANY}")),
    "a link": _edited(lambda report: report.update(_links={"download_report": {"href": MANY}})),
}


@pytest.mark.virtual
@pytest.mark.parametrize("change", ANSWERS.values(), ids=ANSWERS)
async def test_a_megabyte_of_the_api_stays_out_of_ledger_log_and_notes(
    tmp_path: Path, change: Callable[[Answer], None]
) -> None:
    async with stage(tmp_path, SMALL) as here, meddling(here.sim.base_url, change) as url:
        here.config = replace(here.config, api=replace(here.config.api, base_url=url))
        await here.run(job(MONTH))
        _assert_little_is_kept(here, tmp_path)


def _assert_little_is_kept(here: Stage, folder: Path) -> None:
    assert max(map(len, here.seen.notes), default=0) < 2_500
    assert all(note.isprintable() for note in here.seen.notes)
    assert all(one.reason.isprintable() for one in here.reports())
    kept = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert kept < 500_000


# --- what is no archive, and where redirects lead -----------------------------------------------


PERSONAL = b"+4915112345678 says: your code is 123456"


@pytest.mark.virtual
@pytest.mark.parametrize("body", [PERSONAL, b"<p>" + PERSONAL, b'{"to": "' + PERSONAL + b'"}'])
async def test_nothing_of_a_body_that_is_no_archive_is_repeated(
    tmp_path: Path, body: bytes
) -> None:
    """It may be anybody's message. The body itself is kept aside for a person, and only that."""

    def change(said: Answer) -> None:
        if "media" in said.path:
            said.body = body

    async with stage(tmp_path, SMALL) as here, meddling(here.sim.base_url, change) as url:
        here.config = replace(here.config, api=replace(here.config.api, base_url=url))
        end = await here.run(job(MONTH))
        assert exit_code(end.remains) is ExitCode.FINDINGS
        (report,) = here.reports()
        assert "not a ZIP archive but" in report.reason
        told = "".join(here.seen.notes) + _written(tmp_path)
        assert "promised" in told
        for part in ("4915112345678", "123456", "your code"):
            assert part not in told


def _written(folder: Path) -> str:
    """All that stands in files, the archives that are kept aside apart."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".zip"]
    return "".join(path.read_bytes().decode("latin-1") for path in files)


@pytest.mark.virtual
@pytest.mark.parametrize("written", [SECRET, SECRET.upper(), SECRET.lower()], ids=repr)
@pytest.mark.parametrize(
    "to", ["http://{}.example/", "https://{}.invalid/x", "/v3/media/{}", "/v3/media/%{:x}{}"]
)
async def test_a_secret_in_a_redirect_is_told_in_no_way(
    tmp_path: Path, written: str, to: str
) -> None:
    escaped = to.format(written) if "{:x}" not in to else to.format(ord(written[0]), written[1:])
    fault = Fault.of("download", "redirect", to=escaped)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        await here.run(job(MONTH))
        assert here.seen.notes
        told = "".join((*here.seen.notes, *(one.reason for one in here.reports()))).lower()
        assert SECRET.lower() not in told
        assert SECRET.lower()[1:] not in told
        assert SECRET.lower().encode() not in here.config.state.read_bytes().lower()
