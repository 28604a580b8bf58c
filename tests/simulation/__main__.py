"""``python -m tests.simulation --seeds 1:2000 --jobs 2``: many seeds, until one fails."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NoReturn

from tests.simulation.lives import MEMORY, Played, play

_PATIENCE_SECONDS = 600
"""A seed that takes longer is a finding."""

_AHEAD = 50
"""So many seeds a process are under way or waiting."""


def one(seed: int) -> Played:
    """Plays a seed in a directory of its own; whatever it raises is a finding."""
    where = MEMORY if MEMORY.is_dir() else None
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=where) as folder:
        try:
            signal.alarm(_PATIENCE_SECONDS)
            began = time.monotonic()
            played = play(seed, Path(folder))
            played.seconds = time.monotonic() - began
            return played  # noqa: TRY300 - the other way out is below
        except BaseException as error:  # noqa: BLE001 - a finding as any other
            words = "".join(traceback.format_exception(error))
            return Played(seed, broken=[f"it ended with {error!r}\n{words}"])
        finally:
            signal.alarm(0)


def _too_long(*_: object) -> NoReturn:
    raise TimeoutError(f"not ended after {_PATIENCE_SECONDS} s of real time")


def main() -> int:
    """Prints lives a second, and stops at the first seed that fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="1:200", help="FIRST:LAST, both included")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    options = parser.parse_args()
    first, _, last = options.seeds.partition(":")
    seeds = range(int(first), int(last or first) + 1)
    totals: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    began = time.monotonic()
    failed: list[int] = []
    slowest = Played(0)
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(one, seed) for seed in seeds[: options.jobs * _AHEAD]}
        rest = iter(seeds[options.jobs * _AHEAD :])
        while waiting:
            done = next(as_completed(waiting))
            waiting.discard(done)
            played = done.result()
            totals.update(seeds=1, lives=played.lives, runs=played.runs)
            endings.update(played.endings)
            struck.update(played.struck)
            slowest = max(slowest, played, key=lambda one: one.seconds)
            if played.broken:
                failed.append(played.seed)
                _tell(played)
                if not options.keep_going:
                    pool.shutdown(cancel_futures=True)
                    break
            following = next(rest, None)
            if following is not None:
                waiting.add(pool.submit(one, following))
            if totals["seeds"] % 50 == 0:
                _progress(totals, began)
    _progress(totals, began)
    _say("endings: " + ", ".join(f"{word} {number:,}" for word, number in endings.most_common()))
    _say("faults: " + ", ".join(f"{word} {number:,}" for word, number in struck.most_common()))
    _say(f"slowest: seed {slowest.seed}, {slowest.seconds:.0f} s for {slowest.lives:,} lives")
    if failed:
        _say(f"{len(failed)} seeds failed: {' '.join(map(str, sorted(failed)[:50]))}")
    return 1 if failed else 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a script


def _tell(played: Played) -> None:
    _say(f"seed {played.seed} fails:")
    for words in played.broken[:10]:
        _say(f"  {words}")
    _say(f"  again: python -m tests.simulation --seeds {played.seed}")


def _progress(totals: Counter[str], began: float) -> None:
    seconds = time.monotonic() - began
    _say(
        f"{totals['seeds']:,} seeds, {totals['runs']:,} runs, {totals['lives']:,} report lives in "
        f"{seconds:,.0f} s: {totals['lives'] / seconds:,.0f} lives a second",
    )


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets must not differ between two tries of one seed.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.exit(main())
