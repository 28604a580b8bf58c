"""Runs against an API whose files come encoded, from other hosts, slowly, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from orchestrator.core.model import Series, Span, Unit
from orchestrator.core.policy import ExitCode, exit_code
from orchestrator.engine.breaker import TRIPS_AFTER
from orchestrator.engine.run import run_jobs
from orchestrator.simulator import Fault, Settings
from tests.kit.stage import between, job, stage, with_faults

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.core.ports import Resume, Within

pytestmark = [pytest.mark.anyio, pytest.mark.virtual]

QUARTER = between("2025-11-01", "2026-02-01")
WEEK = between("2026-01-01", "2026-01-11")
DAILY = Span(1, Unit.DAYS)
SMALL = Settings(records_per_day=1.0)


# --- encoded --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "by"),
    [
        ("gzip", "gzip"),
        ("gzip", None),
        (None, "gzip"),
        ("identity, gzip", "gzip"),
        ("gzip, gzip", "gzip,gzip"),
        ("gzip", "gzip,gzip"),
        ("gzip", "members"),
        ("gzip", "padded"),
        ("deflate", "deflate"),
        ("deflate", "raw"),
        ("deflate, gzip", "raw,gzip"),
        ("deflate", None),
        ("br", None),
        ("zstd", "gzip"),
        ("aws-chunked", None),
    ],
)
async def test_encoded_bodies_cost_nothing_and_lose_nothing(
    tmp_path: Path, label: str | None, by: str | None
) -> None:
    """Before: refused for ever, expired, bought again. Answers in JSON likewise."""
    options = {name: value for name, value in (("label", label), ("by", by)) if value}
    faults = [
        Fault.of(at, "encoded", **options)
        for at in ("create", "status", "list", "download", "cancel")
    ]
    async with stage(tmp_path, with_faults(SMALL, *faults)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 3


@pytest.mark.parametrize("by", ["half", "bomb"])
async def test_a_file_whose_encoding_is_broken_now_and_then_is_fetched_again(
    tmp_path: Path, by: str
) -> None:
    fault = Fault.of("download", "encoded", label="gzip", by=by, first=4)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)


async def test_a_file_in_an_encoding_that_nobody_here_knows_is_kept_for_a_person(
    tmp_path: Path,
) -> None:
    """It is disputed, never expired, and nothing is bought again."""
    fault = Fault.of("download", "encoded", label="br", by="raw")
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        assert exit_code(end.remains) is ExitCode.FINDINGS, here.seen.notes
        assert here.states() == {"disputed": 1}
        assert len(list((here.output / ".aside").iterdir())) == 2
        assert len(here.sim.world.reports()) == 1


# --- elsewhere ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        "{other}/v3/media/{file}",
        "{other}/v3/media/{file}?sig=1",
        "https://files.invalid/v3/media/{file}",
        "http://files.invalid/v3/media/{file}",
        "https://a..b/v3/media/{file}",
        "https://user:word@files.invalid:99999/v3/media/{file}",
        "https://[fe80::1%25eth0]/v3/media/{file}",
        "https://b\u00fccher.invalid/below/v3/media/{file}/",
        "//files.invalid/v3/media/{file}",
        "  /v3/media/{file}  ",
        "v3/media/{file}",
        "{other}/_sim/file/{file}",
        "{own}/v3/media/../media/{file}",
    ],
)
async def test_wherever_a_link_points_the_file_is_had(tmp_path: Path, to: str) -> None:
    """Before, of a link of another host: 401 for ever, and the key's breaker opened."""
    async with stage(tmp_path, with_faults(SMALL, Fault.of("report", "link", to=to))) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert here.seen.notes == []


@pytest.mark.parametrize(
    "to",
    [
        "https://a..b/f",
        "https://files.test:99999/f",
        "https://[::1/f",
        "https://1.2.3.4.5/f",
        "http://127.0.0.1:9/f",
        "https://127.0.0.1:9/f",
        "ftp://files.test/f",
        "{own}/nothing/here",
        "{other}/nothing/here",
    ],
)
async def test_one_reports_odd_link_stays_with_that_report(tmp_path: Path, to: str) -> None:
    """Before: exit 70 for everything in every run; or the key's breaker opened."""
    odd = Fault.of("report", "link", to=to, nth=2)
    async with stage(tmp_path, with_faults(SMALL, odd)) as here:
        wanted = job(WEEK, chunk=DAILY)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert here.states() == {"collected": 9, "ready": 1}
        assert not any("does not answer requests" in note for note in here.seen.notes)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED
        assert len(here.sim.world.reports()) == 10


@pytest.mark.parametrize("to", ["http://127.0.0.1:9/f", "https://a..b/f", "{other}/nothing"])
async def test_a_download_host_that_fails_never_opens_the_keys_breaker(
    tmp_path: Path, to: str
) -> None:
    """All files of one account fail; reports of the other are bought and collected meanwhile."""
    odd = Fault.of("report", "link", to=to, account="ef567890")
    async with stage(tmp_path, with_faults(SMALL, odd)) as here:
        bad = job(WEEK, chunk=DAILY, name="bad", series=(Series.of("ef567890", "VERIFY-API"),))
        good = job(WEEK, chunk=DAILY, name="good")
        end = await here.run(bad, good)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        here.assert_all_is_well(good)
        assert here.states() == {"collected": 10, "ready": 10}
        assert TRIPS_AFTER < 10
        assert not any("does not answer requests" in note for note in here.seen.notes)
        assert not any("refused by the API" in note for note in here.seen.notes)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.of("download", "refuse", status=503),
        Fault.of("download", "reset"),
        Fault.of("download", "html", status=502),
        Fault.of("download", "refuse", status=401),
    ],
    ids=["503", "reset", "502", "401"],
)
async def test_a_media_endpoint_that_fails_alone_opens_no_breaker(
    tmp_path: Path, fault: Fault
) -> None:
    """All is bought and finished meanwhile, and the next run has the files."""
    async with stage(tmp_path, with_faults(SMALL, replace(fault, until=4 * 3600.0))) as here:
        wanted = job(WEEK, chunk=DAILY)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        assert here.states() == {"ready": 10}
        assert not any("does not answer requests" in note for note in here.seen.notes)
        await anyio.sleep(4 * 3600)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 10


@pytest.mark.parametrize("status", [200, 203, 204])
@pytest.mark.parametrize("rows", [0.0, 1.0], ids=["of no records", "of some"])
async def test_a_file_without_a_byte_is_that_of_no_records(
    tmp_path: Path, status: int, rows: float
) -> None:
    """Where there should be some, it is fetched again, and disputed in the end."""
    fault = Fault.of("download", "no_body", status=status)
    settings = with_faults(Settings(records_per_day=rows), fault)
    async with stage(tmp_path, settings) as here:
        end = await here.run(job(between("2026-01-01", "2026-02-01")))
        (report,) = here.reports()
        assert report.state.value == ("disputed" if rows else "collected"), here.seen.notes
        assert exit_code(end.remains) is (ExitCode.FINDINGS if rows else ExitCode.DONE)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_a_link_that_is_refused_leaves_account_and_key_alone(
    tmp_path: Path, status: int
) -> None:
    fault = Fault.of("download", "refuse", status=status, first=12)
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(QUARTER)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 3


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["headers", "provisional"])
@pytest.mark.parametrize("at", ["create", "status", "list", "download"])
async def test_a_head_without_end_is_a_lost_answer(tmp_path: Path, at: str, form: str) -> None:
    fault = Fault.of(at, "trickle", form=form, nth=[2])
    async with stage(tmp_path, with_faults(SMALL, fault)) as here:
        wanted = job(QUARTER)
        began = anyio.current_time()
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert anyio.current_time() - began < 3600


HOUR = 3600.0
DAY = between("2026-01-01", "2026-01-02")
LARGE = Settings(records_per_day=6000.0, ranges=True)
"""A file of half a megabyte."""


@pytest.mark.parametrize(
    ("rate", "ranges", "runs_for", "collected"),
    [
        pytest.param(100, True, (1.0, 1.5), True, id="slow, and there"),
        pytest.param(1, True, (1.3, 2.5), False, id="hopeless"),
        pytest.param(1, False, (1.3, 2.5), False, id="hopeless, and begun anew each time"),
        pytest.param(15, True, (6.0, 6.5), False, id="longer than a run waits"),
        pytest.param(15, False, (7.0, 9.0), True, id="longer, but it cannot go on later"),
    ],
)
async def test_a_slow_download_ends_in_bounded_time(
    tmp_path: Path, rate: int, ranges: bool, runs_for: tuple[float, float], collected: bool
) -> None:
    """Before: as long as it took, above a kilobyte a second; below, eight times ten minutes."""
    slow = Fault.of("download", "slow", rate=rate, until=48 * HOUR)
    async with stage(tmp_path, with_faults(replace(LARGE, ranges=ranges), slow)) as here:
        wanted = job(DAY)
        began = anyio.current_time()
        end = await here.run(wanted)
        least, most = runs_for
        assert least * HOUR < anyio.current_time() - began < most * HOUR, here.seen.notes
        assert exit_code(end.remains) is (ExitCode.DONE if collected else ExitCode.UNFINISHED)
        await anyio.sleep(48 * HOUR)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        assert len(here.sim.world.reports()) == 1


@pytest.mark.parametrize("rate", [1, 15], ids=["hopeless", "longer than a run waits"])
async def test_a_crawling_file_is_left_to_the_next_run_with_its_part(
    tmp_path: Path, rate: int
) -> None:
    slow = Fault.of("download", "slow", rate=rate, until=24 * HOUR)
    asked: list[int] = []
    async with stage(tmp_path, with_faults(LARGE, slow)) as here:
        wanted = job(DAY)
        end = await here.run(wanted)
        assert exit_code(end.remains) is ExitCode.UNFINISHED, here.seen.notes
        await anyio.sleep(24 * HOUR)
        async with here.world() as world:
            session = world.sessions["default"]
            really = session.api.download

            def watched(url: str, resume: Resume | None, within: Within):  # type: ignore[no-untyped-def] # noqa: ANN202 - as the client's
                asked.append(resume.offset if resume else 0)
                return really(url, resume, within)

            session.api.download = watched  # type: ignore[method-assign, assignment]
            end = await run_jobs(world, [wanted], here.clock.now())
        assert exit_code(end.remains) is ExitCode.DONE, here.seen.notes
        here.assert_all_is_well(wanted)
        (offset,) = asked
        assert offset > rate * HOUR
        assert len(here.sim.world.reports()) == 1
