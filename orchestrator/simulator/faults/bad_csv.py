"""Writes CSV files that real reports never are: other line ends, stray bytes, missing records."""

import csv
import io
from collections.abc import Callable
from typing import Final

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def _header(content: bytes) -> bytes:
    return content[: content.index(b"\n") + 1]


def _rewritten(content: bytes, ends: str) -> bytes:
    """The same records with other line ends; breaks inside fields stay as they are."""
    rows = csv.reader(io.StringIO(content.decode(), newline=""))
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=ends).writerows(rows)
    return text.getvalue().encode()


def _into_last_record(content: bytes, piece: bytes) -> bytes:
    return content[:-2] + piece + content[-2:]


CSV_FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "crlf": lambda content: _rewritten(content, "\r\n"),
    "bom": lambda content: _BYTE_ORDER_MARK + content,
    "no_last_lf": lambda content: content.removesuffix(b"\n"),
    "blank_lines": lambda content: content + b"\n\n",
    "blank_crlf": lambda content: _rewritten(content, "\r\n") + b"\r\n" * 3,
    "no_last_lf_but_crlf": lambda content: content.removesuffix(b"\n") + b"\r\n\r\n",
    "nul": lambda content: _into_last_record(content, b"\0"),
    "lone_quote": lambda content: _into_last_record(content, b'"'),
    "binary": lambda content: _into_last_record(content, b"\xff\xfe\xc3"),
    "empty": lambda _content: b"",
    "header_only": _header,
}
"""Ways to write the CSV, by name. The first six change no record."""

HARMLESS: Final = frozenset(
    {"crlf", "bom", "no_last_lf", "blank_lines", "blank_crlf", "no_last_lf_but_crlf"}
)
"""The forms that hold the very same records."""
