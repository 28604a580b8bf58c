"""Texts that others wrote, as they are repeated: short, printable, and without our secrets.

A server's words, the names in an archive and the fields of a report may be as long as an answer,
and hold whatever moves a cursor, breaks a line in two or turns the direction of what follows.
Whoever puts such a text into a message, a reason or a line of a log takes it through here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST: Final = 200
"""Characters of a text of the API that are repeated: enough to recognise it."""

MOST_OF_A_REASON: Final = 2_000
"""Characters of a sentence of ours in which others' texts stand; none of ours is that long."""

MASK: Final = "***"

_UNFIT: Final = re.compile(
    "[^\t\x20-\x7e\xa0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]"
)
"""Control characters, ends of lines, marks that turn the direction of text, halves of pairs."""


def printable(text: str) -> str:
    r"""The text in one line, with all escaped that would move a cursor or turn what follows.

    ``\u202e`` for the mark that turns the direction, ``\n`` for the end of a line.
    """
    return _UNFIT.sub(_escaped, text)


def _escaped(unfit: re.Match[str]) -> str:
    return unfit[0].encode("unicode_escape", "surrogatepass").decode()


def short(text: str, most: int = MOST) -> str:
    """The beginning of the `printable` text: at most so many characters, and an ellipsis."""
    shown = printable(text[: most + 1])
    return shown if len(shown) <= most else f"{shown[:most]}…"


def hider(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of these secrets in a text by ``***``, whatever its case.

    A host, for one, is shown in lower case however it was written.
    """
    # The longest first: one secret may be the beginning of another.
    known = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    if not known:
        return str
    pattern = re.compile("|".join(map(re.escape, known)), re.IGNORECASE)
    return lambda text: pattern.sub(MASK, text)
