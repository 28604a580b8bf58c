"""The same runs into a bucket of S3 and into a folder, pair by pair.

The store is moto's server, in this process. What it takes itself shows in a bare upload of the same
bytes by the same library.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import collect, commands
from benchmarks.big_archive import make_archive
from benchmarks.sections import Figure, Section, table_of
from benchmarks.simulator import simulator
from benchmarks.worlds import rate_bound
from tests.kit.object_stores import new_bucket, s3_environment

if TYPE_CHECKING:
    from benchmarks.big_archive import Archive
    from benchmarks.options import Options

RATIO: Final = 1.3
PAIRS: Final = 3
REPORTS: Final = 100
GIGABYTES: Final = 0.5

BARE: Final = """
import sys
from pathlib import Path
import obstore
from obstore.store import from_url

store = from_url(sys.argv[1], client_options={"allow_http": True, "timeout": "600s"})
(path,) = Path().rglob("*.csv")
obstore.put(store, "bare.csv", path, chunk_size=8 * 1024 * 1024, max_concurrency=4)
"""

ABOUT: Final = """\
`orchestrator run` into a folder and into a bucket of S3, one after the other, as whole processes
that verify, hash and count; into S3 size and SHA-256 are read back. *Reports at the API's rate* are
the rate-bound case of *Makespan*. *One large report* is downloaded from this machine as fast as it
can be read, and is sent when it is verified; beside it stands a bare upload of its CSV by obstore,
in a process of its own, without a look at what it sends."""


class Turn(NamedTuple):
    """Seconds into a folder, into S3, and of a bare upload where there is one."""

    local: float
    s3: float
    bare: float = 0.0

    @property
    def ratio(self) -> float:
        """Into S3 over into a folder."""
        return self.s3 / self.local

    @property
    def over_floor(self) -> float:
        """Into S3 over a folder and a bare upload one after the other."""
        return self.s3 / (self.local + self.bare)


def measure(options: Options) -> Section:
    """Both cases."""
    os.environ.update(s3_environment())
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    reports = _many((options.sizes or ((5,) if options.quick else (REPORTS,)))[0])
    size, pairs = (0.02, 1) if options.quick else (GIGABYTES, PAIRS)
    with collect.folder_of(options.folder) as folder:
        archive = make_archive(folder, size)
        with collect.server(archive) as address:
            large = [_large(address, archive, folder) for _ in range(pairs)]
    return section(reports, archive, large)


def section(reports: Turn, archive: Archive, large: list[Turn]) -> Section:
    """What was measured, in words."""
    rows = [("reports at the API's rate", reports), *(("one large report", turn) for turn in large)]
    ratio = statistics.median(turn.ratio for turn in large)
    floor = statistics.median(turn.over_floor for turn in large)
    remark = (
        f"One large report took {ratio:.2f} times as long into S3 as into the folder (median); the"
        " store, which is written in Python and shares the two cores, is the bottleneck there: the"
        " bare upload says how much of that is its own."
    )
    return Section(
        title="Into an object store",
        about=ABOUT,
        tables=[
            table_of(
                "pair by pair",
                [
                    {
                        "case": case,
                        "folder, s": turn.local,
                        "S3, s": turn.s3,
                        "ratio": turn.ratio,
                        "bare upload, s": turn.bare or "",
                        "over folder + bare upload": turn.over_floor if turn.bare else "",
                    }
                    for case, turn in rows
                ],
            )
        ],
        figures=[
            Figure(
                "reports at the API's rate: S3 over folder",
                f"≤ {RATIO:g}",
                f"{reports.ratio:.2f}",
                reports.ratio <= RATIO,
            ),
            Figure(
                f"one report of {archive.csv_bytes / 1e9:.1f} GB: S3 over folder and a bare upload",
                f"≤ {RATIO:g}",
                f"{floor:.2f} (median)",
                floor <= RATIO,
            ),
        ],
        remarks=[remark],
    )


def _many(number: int) -> Turn:
    case = rate_bound(number)
    seconds = []
    for output in ("reports", new_bucket()):
        with tempfile.TemporaryDirectory() as folder, simulator(case) as server:
            job = commands.prepare(case, server, Path(folder), output)
            ended = commands.run(job, {commands.SECRET: server.api_secret})
        assert ended.answer["collected"]["reports"] == number, ended
        seconds.append(ended.seconds)
    return Turn(*seconds)


def _large(address: str, archive: Archive, kept: Path) -> Turn:
    os.sync()
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        local = collect.ours(address, archive, Path(folder))
        _, bare = collect.timed([sys.executable, "-c", BARE, new_bucket()], Path(folder))
    os.sync()
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        s3 = collect.ours(address, archive, Path(folder), new_bucket())
    return Turn(local.seconds, s3.seconds, bare.seconds)
