"""What a plausible API does otherwise than its documents say, as data: `front.KINDS`.

None of it lies in a way that nobody could see through: a list keeps a report back for less than
the ten minutes that a lost create is sought for, or visibly does not cover it, and is not cut to
fewer than five entries; a file is whole, or can be seen not to be. Each kind is a few lines around
one call; its options are drawn from the values in its declaration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.opinion.deviations import creates, ends, files, lists, spelling
from tests.opinion.front import KINDS, Deviation

if TYPE_CHECKING:
    from random import Random


_THEMES: Final = (
    ((), 4),
    ((creates, lists), 3),
    ((creates, spelling), 1),
    ((ends, files), 2),
    ((ends, lists), 1),
)
"""Modules whose kinds are drawn together, as faults that need two are of neighbours mostly."""


def draw(random: Random) -> tuple[Deviation, ...]:
    """Some deviations, mostly few: a fault that needs many is rare, and hard to read."""
    number = random.choice([0, 1, 1, 2, 2, 3, 4, 6])
    (theme,) = random.choices([one for one, _ in _THEMES], [weight for _, weight in _THEMES])
    names = {module.__name__ for module in theme}
    kinds = [one for one in KINDS.values() if not names or one.act.__module__ in names]
    chosen = random.choices(kinds, [one.weight for one in kinds], k=number)
    return tuple(
        Deviation(
            one.name,
            tuple((name, random.choice(list(values))) for name, values in one.options.items()),
            share=random.choice(list(one.shares)),
            until=random.choice([None, None, 100.0, 1000.0, 20_000.0]),
        )
        for one in {one.name: one for one in chosen}.values()
    )


__all__ = ["creates", "draw", "ends", "files", "lists", "spelling"]
