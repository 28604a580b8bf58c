"""One report of 1 GB: as CSV against the least work there is, as Parquet against tools in a row.

The server, the archive and the run are those of `collect`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import collect
from benchmarks.big_archive import make_archive
from benchmarks.sections import Figure, Section, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.big_archive import Archive
    from benchmarks.collect import Cost
    from benchmarks.options import Options

GIGABYTES: Final = 1.0
PAIRS: Final = 5
OVER_FLOOR: Final = 1.6
OVER_TOOLS: Final = 1.5
MEGABYTES: Final = 200

UNPACKER: Final = """
import struct, sys, time
from orchestrator.collect import inflate
from orchestrator.collect.counting import RecordCounter

begun = time.perf_counter()
with open(sys.argv[1], "rb") as archive:
    head = archive.read(30)
    archive.read(sum(struct.unpack("<2H", head[26:30])))
    stream, counter = inflate.fastest().raw(), RecordCounter()
    while not stream.eof and (packed := archive.read(64 * 1024)):
        while packed and not stream.eof:
            counter.feed(stream.decompress(packed, 512 * 1024))
            packed = stream.unconsumed_tail
print(counter.finish(), time.perf_counter() - begun)
"""

WRITER: Final = """
import hashlib, random, sys, time

size = int(sys.argv[2])
block = random.Random(1).randbytes(512 * 1024)
begun = time.perf_counter()
hashed = hashlib.sha256()
with open(sys.argv[1], "wb", buffering=0) as file:
    for _ in range(size // len(block) + 1):
        hashed.update(block)
        file.write(block)
print(0, time.perf_counter() - begun)
"""

COPY: Final = """
import sys, duckdb

kinds = dict(date_received="TIMESTAMPTZ", date_finalized="TIMESTAMPTZ", latency="BIGINT",
             total_price="DECIMAL(18, 8)")
names = [row[0] for row in duckdb.sql(
    "DESCRIBE FROM read_csv('report.csv', header = true, all_varchar = true)").fetchall()]
columns = ", ".join(f'"{name}"::{kinds.get(name, "VARCHAR")} AS "{name}"' for name in names)
duckdb.sql("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
duckdb.sql(f"COPY (SELECT {columns} FROM read_csv('report.csv', header = true, all_varchar = true,"
           " quote = '\\"', escape = '\\"')) TO 'report.parquet'"
           " (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 50000)")
print(duckdb.sql("SELECT count(*) FROM 'report.parquet'").fetchall()[0][0])
"""

TOOLS: Final = 'curl -sS -o report.zip "$1" && unzip -q -p report.zip > report.csv && "$2" -c "$3"'


def measure(options: Options) -> Section:
    """Pairs of both kinds, in turns, on one archive."""
    size, pairs = (0.05, 1) if options.quick else (GIGABYTES, PAIRS)
    load = os.getloadavg()[0]
    with collect.folder_of(options.folder) as folder:
        archive = make_archive(folder, size)
        with collect.server(archive) as address:
            csv: list[tuple[Cost, float]] = []
            parquet: list[tuple[Cost, Cost]] = []
            for _ in range(pairs):
                csv.append(
                    (
                        collect.in_folder(collect.ours, address, archive, folder),
                        floor(archive, folder),
                    )
                )
                ours = partial(collect.ours, form="parquet")
                parquet.append(
                    (
                        collect.in_folder(ours, address, archive, folder),
                        collect.in_folder(_tools, address, archive, folder),
                    )
                )
        return _section(archive, csv, parquet, load)


def floor(archive: Archive, folder: Path) -> float:
    """Seconds that inflating and counting take, while hashing and writing go on beside them."""
    copy = folder / "floor.csv"
    commands = [[UNPACKER, str(archive.path)], [WRITER, str(copy), str(archive.csv_bytes)]]
    try:
        processes = [
            subprocess.Popen([sys.executable, "-c", *command], stdout=subprocess.PIPE, text=True)
            for command in commands
        ]
        said = [process.communicate()[0].split() for process in processes]
    finally:
        copy.unlink(missing_ok=True)
    assert int(said[0][0]) == archive.rows
    return max(float(seconds) for _, seconds in said)


def _tools(address: str, archive: Archive, folder: Path) -> Cost:
    said, cost = collect.timed(
        ["sh", "-c", TOOLS, "sh", f"{address}/v3/media/f1", sys.executable, COPY], folder
    )
    assert json.loads(said) == archive.rows
    return cost


def _section(
    archive: Archive,
    csv: list[tuple[Cost, float]],
    parquet: list[tuple[Cost, Cost]],
    load: float,
) -> Section:
    over_floor = statistics.median(ours.seconds / least for ours, least in csv)
    over_tools = statistics.median(theirs.seconds / ours.seconds for ours, theirs in parquet)
    resident = max(ours.megabytes for ours, _ in parquet)
    csv_rows = [
        {
            "pair": str(number),
            "orchestrator, s": ours.seconds,
            "bare work, s": least,
            "ratio": ours.seconds / least,
            "CPU, s": ours.cpu_seconds,
            "resident, MB": ours.megabytes,
        }
        for number, (ours, least) in enumerate(csv, 1)
    ]
    parquet_rows = [
        {
            "pair": str(number),
            "orchestrator, s": ours.seconds,
            "curl + unzip + DuckDB, s": theirs.seconds,
            "ratio": theirs.seconds / ours.seconds,
            "CPU, s": ours.cpu_seconds,
            "theirs, s": theirs.cpu_seconds,
            "resident, MB": ours.megabytes,
            "theirs, MB": theirs.megabytes,
        }
        for number, (ours, theirs) in enumerate(parquet, 1)
    ]
    return Section(
        title="One report of 1 GB, as CSV and as Parquet",
        about=(
            f"{archive.csv_bytes / 1e9:.2f} GB of CSV, {archive.rows:,} records, in"
            f" {archive.archive_bytes / 1e9:.2f} GB of ZIP. Ours is the whole run, from the"
            " process's start to its end, with the archive kept, checked and synced on the way;"
            " the server is on the same machine, and takes its part of the two cores. *Bare work*"
            " is two processes at the same time, without their start: one inflates the archive and"
            " counts its records by the functions that a run uses, the other hashes as many bytes"
            " and writes them, without a sync; the slower one counts. By hand: `curl`, `unzip` and"
            " DuckDB's `COPY` to the same types and compression, one after the other; nothing is"
            " verified or synced."
        ),
        tables=[
            table_of("CSV, pair by pair", csv_rows),
            table_of("Parquet, pair by pair", parquet_rows),
        ],
        figures=[
            Figure(
                "one archive to a verified, hashed, counted CSV",
                f"≤ {OVER_FLOOR:g} times the bare work",
                f"{over_floor:.2f} times (median)",
                over_floor <= OVER_FLOOR,
            ),
            Figure(
                "one archive to typed Parquet",
                f"≥ {OVER_TOOLS:g} times as fast as by hand",
                f"{over_tools:.2f} times (median)",
                over_tools >= OVER_TOOLS,
            ),
            Figure(
                "resident memory, Parquet",
                f"≤ {MEGABYTES} MB",
                f"{resident:.0f} MB",
                resident <= MEGABYTES,
            ),
        ],
        remarks=[
            f"Load average before: {load:.1f}. Where others work, bare work is slowed down, too."
        ],
    )
