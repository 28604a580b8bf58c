"""The texts of message bodies and references: ordinary, hard to parse, and large."""

from functools import lru_cache
from hashlib import shake_128
from typing import Final

NASTY: Final = (
    "",
    " ",
    '"',
    '""',
    '","',
    'She said "yes", then left',
    "commas, and, more, commas",
    "two\nlines",
    "two\r\nlines of Windows",
    "\nbegins and ends with a break\n",
    'a "quoted\nbreak", then more',
    "=SUM(A1:A9)",
    "+44 7700 900123",
    "-1",
    "@here",
    "'apostrophe",
    "\ttab",
    "Grüße aus Köln, ß and Ÿ",
    "Привет, как дела?",
    "こんにちは、世界",
    "مرحبا بالعالم",
    "שלום",
    "👍🏽 family 👨\u200d👩\u200d👧\u200d👦",
    "e\u0301 combined, \u00e9 composed",
    "\u2028 line separator, \x85 next line",
    "\ufeff a mark in the middle",
    "back\\slash \\n",
    "semi;colon|pipe",
    'ends with a quote"',
    '"starts with a quote',
    "null",
    "NaN",
)
"""Bodies that a careless CSV reader misreads; none holds a NUL."""

PLAIN: Final = tuple(
    f"Your code is {100003 * number % 900000 + 100000}. It is valid for {number % 9 + 1} minutes."
    for number in range(1, 97)
)

BODIES: Final = NASTY + PLAIN

REFERENCES: Final = (
    "", "", "", "order-1", "order-2", "campaign=spring", 'ref "7"', "a,b", "Übung", "=1+1",
)  # fmt: skip
"""Client references: the customer's own text, so it may be hard to parse too."""

_WORDS: Final = (
    "the and of to in is you that it he was for on are as with his they I at be this have from "
    'or one had by word but not what all were we when your can said there "use" an each which '
    "she do how their if will up other about out many then them, these so some her would make "
    "like him into time has look two more write go see number no way could people my than "
    "first water been call who oil its now find long down day did get come made may part\n"
).split(" ")


_PHRASES: Final = tuple(
    " ".join(_WORDS[draw % len(_WORDS)] for draw in shake_128(b"phrase %d" % number).digest(6))
    for number in range(256)
)


@lru_cache(maxsize=4)
def large_bodies(size: int) -> tuple[str, ...]:
    """64 different texts of `size` characters each, with quotes and line breaks in them."""
    bodies = []
    for number in range(64):
        draws = shake_128(b"large body %d" % number).digest(size // 8 + 8)
        text = " ".join(_PHRASES[draw] for draw in draws)
        bodies.append((text * (size // len(text) + 1))[:size])
    return tuple(bodies)
