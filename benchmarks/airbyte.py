"""A rival on the wall clock: Airbyte's CDK, with a declarative asynchronous retriever.

The CDK is no dependency of ours, and heavy: it gets a virtual environment of its own,
`.venv/airbyte`, made here where it is missing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import commands
from benchmarks.bound import quantile
from benchmarks.outcomes import outcome
from benchmarks.sections import Section, Table
from benchmarks.simulator import ROOT, simulator
from benchmarks.worlds import DIRECTION, PRODUCT, rate_bound
from orchestrator.simulator import RecordDigest, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.options import Options
    from benchmarks.outcomes import Outcome
    from benchmarks.simulator import Process
    from benchmarks.worlds import Case

SIZE: Final = 100
HOME: Final = ROOT / ".venv" / "airbyte"
MANIFEST: Final = Path(__file__).with_name("airbyte_manifest.yaml")
_LONGEST_SECONDS: Final = 1800

ABOUT: Final = """\
The rate-bound case of *Makespan* on the wall clock, one client after the other against a simulator
of its own: `orchestrator run`, and Airbyte's CDK with a declarative manifest
([airbyte_manifest.yaml](airbyte_manifest.yaml)): an `AsyncRetriever` with a partition for each
report, a budget of five calls a second, a hundred jobs at once, ZIP and CSV decoders. Both times
are of whole processes. The CDK writes records to standard output, where they are counted; we write
verified files and a ledger."""


class NotThere(Exception):
    """The CDK is not installed, and cannot be; why, in words."""


def measure(options: Options) -> Section:
    """Runs both."""
    (size,) = options.sizes or ((5,) if options.quick else (SIZE,))
    case = rate_bound(size)
    with tempfile.TemporaryDirectory() as folder, simulator(case) as server:
        own = commands.ours(case, server, Path(folder))
    rows, remarks = [_row("orchestrator", own)], []
    try:
        version = install()
        with tempfile.TemporaryDirectory() as folder, simulator(case) as server:
            other, words = airbyte(case, server, Path(folder))
    except NotThere as missing:
        remarks.append(f"Airbyte's CDK was not run: {missing}")
    else:
        rows.append(_row(f"airbyte-cdk {version}", other))
        remarks.append(
            f"The CDK took {other.makespan / own.makespan:.1f} times as long"
            + (f"; it ended with {words}" if words else "")
            + ". Its budget and its interval of 5 s between rounds of polls are its own; a round "
            "asks for every open job one after the other."
        )
    columns = (
        *("client", "reports", "makespan", "over the bound", "creates", "downloads", "looks"),
        *("waits median", "429", "records right", "paid twice"),
    )
    return Section(
        title="Airbyte's CDK",
        about=ABOUT,
        tables=(Table("on the wall clock", columns, tuple(rows)),),
        remarks=remarks,
    )


def install() -> str:
    """Makes the environment where it is missing; the CDK's version.

    Raises:
        NotThere: it cannot be had.
    """
    python = HOME / "bin" / "python"
    if not (HOME / "bin" / "source-declarative-manifest").exists():
        _call(sys.executable, "-m", "venv", str(HOME))
        _call(str(python), "-m", "pip", "install", "--quiet", "airbyte-cdk")
    asked = "import importlib.metadata as m; print(m.version('airbyte-cdk'))"
    return _call(str(python), "-c", asked).strip()


def _call(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        words = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise NotThere(f"`{' '.join(command)}`: {words[-1] if words else error}") from error
    return done.stdout


def airbyte(case: Case, server: Process, folder: Path) -> tuple[Outcome, str]:
    """Reads the stream `reports`; what came of it, and how it ended if not well, in words."""
    command = [
        str(HOME / "bin" / "source-declarative-manifest"),
        *("read", "--config", str(folder / "config.json")),
        *("--catalog", str(folder / "catalog.json")),
        *("--manifest-path", str(MANIFEST)),
    ]
    (folder / "config.json").write_text(json.dumps(config(case, server)), encoding="utf-8")
    (folder / "catalog.json").write_text(json.dumps(catalog()), encoding="utf-8")
    begun = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS, cwd=folder
    )
    seconds = time.perf_counter() - begun
    body = {"account_id": server.api_key, "product": PRODUCT, "direction": DIRECTION}
    columns = Truth(case.settings(), body, *next(case.windows())).columns
    is_right = record_digest(records(done.stdout.splitlines()), columns) == case.truth()
    found = outcome(case, server.seen(), makespan=seconds, is_right=is_right, seconds=seconds)
    return found, f"exit code {done.returncode}" if done.returncode else ""


def config(case: Case, server: Process) -> dict[str, Any]:
    """The connector's config: where, who, and every window."""
    return {
        "base_url": server.base_url,
        "api_key": server.api_key,
        "api_secret": server.api_secret,
        "windows": [f"{start.isoformat()}|{end.isoformat()}" for start, end in case.windows()],
    }


def catalog() -> dict[str, Any]:
    """All of the one stream."""
    stream = {
        "name": "reports",
        "json_schema": {"type": "object"},
        "supported_sync_modes": ["full_refresh"],
    }
    modes = {"sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
    return {"streams": [{"stream": stream, **modes}]}


def records(lines: Iterable[str]) -> Iterable[dict[str, Any]]:
    """The records among the messages that a connector prints."""
    for line in lines:
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("type") == "RECORD":
            yield message["record"]["data"]


def record_digest(found: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> RecordDigest:
    """Count and digest; what is no text was changed on the way, and shows."""
    return RecordDigest().add_all(
        [str("" if record.get(name) is None else record[name]) for name in columns]
        for record in found
    )


def _row(client: str, found: Outcome) -> tuple[str, ...]:
    return (
        client,
        f"{found.case.reports:,}",
        f"{found.makespan:,.1f} s",
        f"{found.ratio:.2f}",
        f"{found.calls['create']:,}",
        f"{found.calls['download']:,}",
        f"{found.looks:,}",
        f"{quantile(found.waits, 0.5):.2f} s",
        f"{found.throttled:,}",
        "yes" if found.is_right else "NO",
        f"{found.paid_twice:,}",
    )
