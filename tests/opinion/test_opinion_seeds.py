"""A few seeds of the second opinion; ``--kind opinion`` of `tests.simulation` plays thousands."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.opinion import deviations
from tests.opinion.cases import draw
from tests.opinion.front import KINDS
from tests.opinion.lives import play
from tests.simulation.lives import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = int(os.environ.get("SIMULATION_SEED", "1"))
"""Where the seeds begin: CI may look at new ones each time."""

SEEDS = range(FIRST, FIRST + 24)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A new directory, in memory where the machine has such: a sync costs nothing there."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="opinion-", dir=MEMORY) as name:
        yield Path(name)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(folder: Path, seed: int) -> None:
    played = play(seed, folder)
    assert played.broken == [], "\n".join([*played.words, *played.story])


def test_a_seed_always_makes_the_same_case() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_deviation_is_drawn() -> None:
    drawn: Counter[str] = Counter()
    for seed in range(1500):
        drawn.update(one.kind for one in deviations.draw(random.Random(seed)))
    assert drawn.keys() == KINDS.keys()
