"""Makes a failing case small: drops deviations, faults, deeds and jobs while it still fails."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tests.opinion.cases import ConfigFile, draw
from tests.opinion.lives import play_case
from tests.simulation.lives import MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.opinion.cases import Case
    from tests.simulation.lives import Played


def shrink(seed: int, say: Callable[[str], None]) -> Played:
    """The smallest case found that breaks the same kind of promise as the seed's does."""
    case = draw(seed)
    played = _fresh(case)
    if not played.broken:
        return played
    kind = _kind(played)
    smaller = True
    while smaller:
        smaller = False
        for simpler in _simpler(case):
            tried = _fresh(simpler)
            if tried.broken and _kind(tried) == kind:
                case, played, smaller = simpler, tried, True
                say(f"smaller: {len(case.words())} lines")
                break
    return played


def _kind(played: Played) -> str:
    """The promise that was broken first: the words in capitals that it begins with."""
    return " ".join(word for word in played.broken[0].split()[:3] if word.isupper())


def _fresh(case: Case) -> Played:
    where = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="opinion-", dir=where) as folder:
        return play_case(case, Path(folder))


def _simpler(case: Case) -> Iterator[Case]:
    """The case without one thing each time, the most telling first."""
    for name in ("deeds", "deviations", "faults", "jobs"):
        parts = getattr(case, name)
        if len(parts) > 3:
            yield replace(case, **{name: parts[: len(parts) // 2]})
            yield replace(case, **{name: parts[len(parts) // 2 :]})
        for place in range(len(parts)):
            if len(parts) > 1 or name != "jobs":
                yield replace(case, **{name: parts[:place] + parts[place + 1 :]})
    for place, job in enumerate(case.jobs):
        for change in (
            {"products": job.products[:1]},
            {"windows": job.windows[:1]},
            {"chunk": "1 week"},
        ):
            if any(getattr(job, name) != value for name, value in change.items()):
                jobs = list(case.jobs)
                jobs[place] = replace(job, **change)
                yield replace(case, jobs=tuple(jobs))
    for place, one in enumerate(case.deviations):
        for plainer in (replace(one, share=1.0), replace(one, until=None)):
            if plainer != one:
                changed = list(case.deviations)
                changed[place] = plainer
                yield replace(case, deviations=tuple(changed))
    if case.config != ConfigFile():
        yield replace(case, config=ConfigFile())
    if abs(case.api_ahead) > timedelta(seconds=1):
        yield replace(case, api_ahead=timedelta(seconds=0.3))
