"""A simulator as a process of its own, for clients that are timed on the wall clock.

``python -m benchmarks.simulator CASE`` takes a `Case` as JSON, prints where it listens, and answers
every line on standard input with what it has seen so far, in one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from benchmarks.outcomes import Watch
from benchmarks.worlds import Case
from orchestrator.simulator import WorldClock, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Process:
    """A simulator that runs beside us."""

    base_url: str
    api_key: str
    api_secret: str
    process: subprocess.Popen[str]

    def seen(self) -> dict[str, Any]:
        """What it has seen: the part of an `Outcome` that it knows."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return _line(self.process)


@contextmanager
def simulator(case: Case) -> Iterator[Process]:
    """One that lasts as long as the context."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.simulator", json.dumps(asdict(case))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        ready = _line(process)
        yield Process(ready["base_url"], ready["api_key"], ready["api_secret"], process)
    finally:
        process.terminate()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


async def _serve(case: Case) -> None:
    async with serve(case.settings(), clock=WorldClock(datetime.now(UTC))) as running:
        watch = Watch(case, running)
        ready = {
            "base_url": running.base_url,
            "api_key": running.api_key,
            "api_secret": running.api_secret,
        }
        print(json.dumps(ready), flush=True)
        while await to_thread.run_sync(sys.stdin.readline):
            print(json.dumps(watch.seen()), flush=True)


if __name__ == "__main__":
    words = json.loads(sys.argv[1])
    anyio.run(_serve, Case(**{**words, "processing": tuple(words["processing"])}))
