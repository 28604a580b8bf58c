"""One large report: this program against curl, unzip, sha256sum and wc, pair by pair.

A small server in a process of its own answers for one finished report and sends its archive with
`sendfile`, to both. `python -m benchmarks.collect --gigabytes 5 --pairs 5 --folder /var/tmp/big`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.big_archive import make_archive
from benchmarks.sections import Figure, Section, show, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.big_archive import Archive
    from benchmarks.options import Options

RATIO: Final = 2.0
MEGABYTES: Final = 150

SERVER: Final = """
import asyncio
import sys
from aiohttp import web

path, rows = sys.argv[1], int(sys.argv[2])
made = {}

def finished(request):
    return {
        **made, "request_id": "r-1", "request_status": "SUCCESS", "items_count": rows,
        "receive_time": "2026-02-01T00:00:00+0000", "start_time": "2026-02-01T00:00:01+0000",
        "_links": {"download_report": {"href": f"http://{request.host}/v3/media/f1"}},
    }

async def create(request):
    made.update(await request.json())
    return web.json_response(finished(request))

async def status(request):
    return web.json_response(finished(request))

async def listed(request):
    reports = [finished(request)] if made else []
    return web.json_response({"items_count": len(reports), "reports": reports})

async def media(request):
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})

app = web.Application()
app.add_routes([
    web.post("/v2/reports", create), web.get("/v2/reports", listed),
    web.get("/v2/reports/{id}", status), web.get("/v3/media/f1", media),
])

async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

BY_HAND: Final = (
    'curl -sS -o report.zip "$1" && unzip -q report.zip && sha256sum report_*.csv'
    " && wc -l report_*.csv"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of collecting took."""

    seconds: float
    cpu_seconds: float
    megabytes: float


def measure(options: Options) -> Section:
    """Pairs of both ways, on one archive."""
    size, pairs = (0.05, 1) if options.quick else (5.0, 5)
    with folder_of(options.folder) as folder:
        return compare(make_archive(folder, size), pairs, folder)


def compare(archive: Archive, pairs: int, folder: Path) -> Section:
    """Collects the archive in turns; the files of each turn are gone before the next."""
    both: list[tuple[Cost, Cost]] = []
    with server(archive) as address:
        for number in range(pairs):
            ways = (ours, _by_hand) if number % 2 == 0 else (_by_hand, ours)
            costs = {way: in_folder(way, address, archive, folder) for way in ways}
            both.append((costs[ours], costs[_by_hand]))
    return _section(archive, both)


def _section(archive: Archive, both: Sequence[tuple[Cost, Cost]]) -> Section:
    rows = [
        {
            "pair": str(number),
            "orchestrator, s": ours.seconds,
            "curl + unzip + sha256sum + wc, s": by_hand.seconds,
            "ratio": by_hand.seconds / ours.seconds,
            "CPU, s": ours.cpu_seconds,
            "theirs, s": by_hand.cpu_seconds,
            "resident, MB": ours.megabytes,
            "CSV, GB/s": archive.csv_bytes / ours.seconds / 1e9,
        }
        for number, (ours, by_hand) in enumerate(both, 1)
    ]
    ratio = statistics.median(by_hand.seconds / ours.seconds for ours, by_hand in both)
    resident = max(ours.megabytes for ours, _ in both)
    return Section(
        title="One large report, collected",
        about=(
            f"An archive of {archive.archive_bytes / 1e9:.2f} GB holds"
            f" {archive.csv_bytes / 1e9:.2f} GB of CSV, {archive.rows:,} records; the server is on"
            " the same machine. Ours is the whole run, from the process's start to its end: the"
            " file is verified, hashed, counted, synced to the disk and in its place. By hand"
            " nothing is synced or checked but the archive's checksum, and wc counts lines."
        ),
        tables=[table_of("pair by pair, in turns", rows)],
        figures=[
            Figure(
                "one archive to a verified, hashed, counted CSV",
                f"≥ {RATIO:g} times as fast",
                f"{ratio:.2f} times (median)",
                ratio >= RATIO,
            ),
            Figure(
                "resident memory", f"≤ {MEGABYTES} MB", f"{resident:.0f} MB", resident <= MEGABYTES
            ),
        ],
    )


def in_folder(
    way: Callable[[str, Archive, Path], Cost], address: str, archive: Archive, folder: Path
) -> Cost:
    """What one way takes in a folder of its own, which is gone afterwards."""
    os.sync()  # what the one before has left to write is not for this one to wait for
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return way(address, archive, Path(place))


def ours(
    address: str, archive: Archive, folder: Path, output: str = "reports", form: str = "csv"
) -> Cost:
    """A whole run that collects the archive."""
    Path(folder, "config.yaml").write_text(
        f"api: {{base_url: '{address}', requests_per_second: 50}}\n"
        "poll: {interval_initial: 10ms, interval_max: 1s}\n"
        "credentials: {default: {api_key: abcd1234, api_secret: '${SECRET}'}}\n"
        f"output: {{directory: '{output}', format: {form}}}\n",
        encoding="utf-8",
    )
    job = folder / "job.yaml"
    job.write_text(
        "accounts: [abcd1234]\n"
        "products: [{product: SMS, direction: outbound, include_message: true}]\n"
        "windows: [{from: 2026-01-01, to: 2026-02-01}]\n",
        encoding="utf-8",
    )
    said, cost = timed(
        [sys.executable, "-m", "orchestrator", "run", str(job), "--json", "--quiet"], folder
    )
    collected = json.loads(said)["collected"]
    assert collected["rows"] == archive.rows, said
    assert collected["bytes"] == archive.csv_bytes or form != "csv", said
    return cost


def _by_hand(address: str, archive: Archive, folder: Path) -> Cost:
    said, cost = timed(["sh", "-c", BY_HAND, "sh", f"{address}/v3/media/f1"], folder)
    assert int(said.splitlines()[-1].split()[0]) > archive.rows, said
    return cost


def timed(command: list[str], folder: Path) -> tuple[str, Cost]:
    """What a command says, and what it takes."""
    environment = {**os.environ, "SECRET": "nobody-asks"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every start compiles everything
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said
    return said, Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@contextmanager
def server(archive: Archive) -> Iterator[str]:
    """Answers for one finished report, and sends its archive; the address."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(archive.path), str(archive.rows)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


@contextmanager
def folder_of(kept: Path | None) -> Iterator[Path]:
    """The folder that is kept, or a temporary one."""
    folder = kept or Path(tempfile.mkdtemp(prefix="collect-"))
    try:
        yield folder
    finally:
        if kept is None:
            shutil.rmtree(folder)


def main() -> None:
    """Runs the benchmark by itself, at any size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=5.0, help="of CSV")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keeps the archive for the next time")
    options = parser.parse_args()
    from rich.console import Console  # noqa: PLC0415 - only to print

    with folder_of(options.folder) as folder:
        archive = make_archive(folder, options.gigabytes)
        show(compare(archive, options.pairs, folder), Console(width=140))


if __name__ == "__main__":
    main()
