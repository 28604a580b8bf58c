"""``python -m tests.torture --kills 300 --seed 1``, or ``make torture KILLS=300 SEED=1``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.torture.campaign import Campaign


def main() -> int:
    """Runs a campaign and prints one line of figures; the folder stays if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    outcome = Campaign(folder, options.kills, options.seed, _say).go()
    _say(f"seed {options.seed}: {outcome}")
    for words in outcome.wrong:
        _say(f"  wrong: {words}")
    _say(f"everything is in {folder}")
    return 0 if outcome.is_clean else 1


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a script


if __name__ == "__main__":
    sys.exit(main())
