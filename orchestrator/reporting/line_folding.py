"""Writes the first lines of each cause and counts the others, so that a log stays readable."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.core.events import Facts

MAX_ALIKE: Final = 3
"""Lines of one cause that are written one by one: enough to see what they have in common."""

_MAX_CAUSES: Final = 1000
"""Maximum number of causes that are told apart; later ones are counted together."""

_MAX_NAME: Final = 160  # Characters of a line that name the cause where similar lines are counted.

_PARTICULAR: Final = re.compile(r"(?<![\w.:/+%-])[\w.:/+%-]*\d[\w.:/+%-]*")
"""What differs between lines of one cause: numbers, dates, accounts, ids.

It begins where a word does, so that a long word without a digit is looked at once.
"""


_SERIES: Final = re.compile(
    r"\b[0-9A-Za-z]{8} [A-Z][A-Z0-9_-]+(?: (?:inbound|outbound))?(?: [a-z][a-z0-9_]*=[^\s,;()]*)*"
)
"""An account, its product, direction and filters, as a series is written in a line."""


def cause_of(text: str) -> str:
    """A text without what differs between lines of one cause."""
    return _PARTICULAR.sub("#", _SERIES.sub("#", text))


def folded(lines: Iterable[str]) -> Iterator[str]:
    """Lines in their order; of more than `MAX_ALIKE` of one cause the first, and a count."""
    lines = list(lines)
    numbers = Counter(map(cause_of, lines))
    for line in lines:
        number = numbers.get(cause_of(line), 0)
        if number > MAX_ALIKE:
            yield f"{line} (and {number - 1:,} more like this)"
            del numbers[cause_of(line)]
        elif number:
            yield line


@dataclass(slots=True)
class _Cause:
    """Lines that differ in particulars only."""

    level: str
    text: str  # the first of them
    type: object  # what they say; see docs/logs.md
    told: int = 0
    more: int = 0  # how many came beyond those that were told, and have not been counted aloud


class LineFolding:
    """Passes lines to `say`: of each cause the first few, and now and then how many others came."""

    def __init__(self, say: Callable[[str, str, Facts], None]) -> None:
        self._say = say
        self._causes: dict[str, _Cause] = {}

    def note(self, level: str, text: str, facts: Facts) -> None:
        """Takes a line; ``debug`` is for those who want every line, and goes no further."""
        if level == "debug":
            return
        key = f"{level} {cause_of(text)}"
        if len(self._causes) >= _MAX_CAUSES and key not in self._causes:
            key = level
        cause = self._causes.setdefault(key, _Cause(level, text, facts.get("type", "message")))
        if cause.told < MAX_ALIKE:
            cause.told += 1
            self._say(level, text, facts)
        else:
            cause.more += 1

    def count_aloud(self) -> None:
        """Says of each cause how many lines came that were not told; call it now and then."""
        for cause in self._causes.values():
            if cause.more:
                begin = cause.text if len(cause.text) <= _MAX_NAME else f"{cause.text[:_MAX_NAME]}…"
                facts = {"type": "folded", "folded": cause.more, "of": cause.type}
                self._say(cause.level, f"{cause.more:,} more like this: {begin}", facts)
                cause.more = 0
