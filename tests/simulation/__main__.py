"""``python -m tests.simulation --seeds 1:2000 --jobs 2``: many seeds, until one fails.

``--kind opinion`` plays the second opinion (`tests.opinion`) instead of the lives of reports, and
``--shrink`` makes the case of a seed that fails as small as it still fails.
"""

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

from tests.opinion import lives as opinion
from tests.opinion.shrink import shrink
from tests.simulation import lives
from tests.simulation.lives import MEMORY, Played

_PATIENCE_SECONDS = 600
"""A seed that takes longer is a finding."""

_AHEAD = 50
"""So many seeds a process are under way or waiting."""


def one(kind: str, seed: int) -> Played:
    """Plays a seed in a directory of its own; whatever it raises is a finding."""
    play = opinion.play if kind == "opinion" else lives.play
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
    parser.add_argument("--kind", choices=("lives", "opinion"), default="lives")
    parser.add_argument("--shrink", action="store_true", help="with --kind opinion: one seed")
    options = parser.parse_args()
    first, _, last = options.seeds.partition(":")
    seeds = range(int(first), int(last or first) + 1)
    if options.shrink:
        played = shrink(int(first), _say)
        _tell(played, options.kind)
        return 1 if played.broken else 0
    totals: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    began = time.monotonic()
    failed: list[int] = []
    slowest = Played(0)
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(one, options.kind, seed) for seed in seeds[: options.jobs * _AHEAD]}
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
                _tell(played, options.kind)
                if not options.keep_going:
                    pool.shutdown(cancel_futures=True)
                    break
            following = next(rest, None)
            if following is not None:
                waiting.add(pool.submit(one, options.kind, following))
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


def _tell(played: Played, kind: str) -> None:
    _say(f"seed {played.seed} {'fails' if played.broken else 'holds'}:")
    for words in (*played.words, *(f"> {step}" for step in played.story)):
        _say(f"  {words}")
    for words in played.broken[:10]:
        _say(f"  !! {words}")
    _say(f"  again: python -m tests.simulation --kind {kind} --seeds {played.seed}")


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
