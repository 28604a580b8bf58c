"""Texts that stand in messages, logs and requests: short, printable, without our secrets.

A server's texts, the names in an archive and the fields of a report may be as long as an answer,
and hold whatever moves a cursor, breaks a line in two or turns the direction of what follows.
Whoever puts such a text into a message, a reason or a line of a log takes it through `short` or
`printable`.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

MAX_QUOTE: Final = 200
"""Maximum number of characters that are repeated of a text of the API: enough to recognise it."""

MAX_REASON: Final = 2_000
"""Maximum number of characters of a sentence of ours that repeats others' texts.

None of our own sentences is that long.
"""

MASK: Final = "***"
"""Stands where a secret stood."""

_UNPRINTABLE: Final = re.compile(
    "[^\t\x20-\x7e\xa0-\u061b\u061d-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\U0010ffff]"
)
"""Control characters, line breaks, marks that turn the direction of text, lone surrogates."""


def utc_text(moment: datetime) -> str:
    """A moment in UTC, to the second, as the API and our JSON have it: ``2026-03-01T04:05:00Z``."""
    return f"{moment.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"


def field_text(value: str | bool) -> str:
    """The value of a field of a request: ``true``, ``false``, or the text itself."""
    return str(value).lower() if isinstance(value, bool) else value


def printable(text: str) -> str:
    r"""The text in one line, with everything escaped that would move a cursor or turn what follows.

    ``\u202e`` for the mark that turns the direction, ``\n`` for the end of a line.
    """
    return _UNPRINTABLE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()


def short(text: str, limit: int = MAX_QUOTE) -> str:
    """The first `limit` characters of the `printable` text, and an ellipsis if there are more."""
    beginning = printable(text[: limit + 1])
    return beginning if len(beginning) <= limit else f"{beginning[:limit]}…"


def hider(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of these secrets in a text by ``***``, whatever its case.

    Upper and lower case count as the same, because a host is shown in lower case however it was
    written.
    """
    # The longest first: one secret may be the beginning of another.
    longest_first = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
    if not longest_first:
        return str
    pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
    return lambda text: pattern.sub(MASK, text)
