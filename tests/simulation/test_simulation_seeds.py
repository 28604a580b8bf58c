"""A few dozen seeds of the simulation; ``python -m tests.simulation`` plays thousands."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.cases import draw
from tests.simulation.lives import MEMORY, play
from tests.simulation.weather import LASTING, PASSING, weather

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = int(os.environ.get("SIMULATION_SEED", "1"))
"""Where the seeds begin: CI may look at new ones each time."""

SEEDS = range(FIRST, FIRST + 16)

REGRESSIONS: tuple[int, ...] = ()
"""Seeds that failed once."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A new directory, in memory where the machine has such: a sync costs nothing there."""
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=MEMORY) as name:
        yield Path(name)


@pytest.mark.parametrize("seed", [*REGRESSIONS, *SEEDS])
def test_nothing_is_lost_and_nothing_paid_twice(folder: Path, seed: int) -> None:
    assert play(seed, folder).broken == []


def test_a_seed_always_makes_the_same_case() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_fault_of_the_table_is_drawn_and_is_one_that_the_simulator_knows() -> None:
    drawn: Counter[tuple[str, str]] = Counter()
    for seed in range(600):
        faults = weather(random.Random(seed), 1000.0)
        drawn.update((fault.at, fault.do) for fault in faults.faults)
    table = {(at, do) for _, at, do, _ in (*PASSING, *LASTING)}
    assert table <= drawn.keys()
    rare = {("server", "restart"), ("server", "clock"), ("list", "lacks"), ("list", "hides")}
    assert rare <= drawn.keys()
