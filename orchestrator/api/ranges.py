"""Asks for the rest of a file, and checks that the answer is that rest (RFC 9110, 13 and 14).

Range requests are not documented for the API. So the rest is asked for only where an earlier answer
for this file had a strong validator, and with ``If-Range``: a server that does not support this,
or whose file has changed, sends the whole file.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from orchestrator.api.problems import read_date
from orchestrator.core.ports import Resume

_STRONG: Final = re.compile(r'"[\x21\x23-\x7e]*"')
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.IGNORECASE)

_SETTLED: Final = timedelta(seconds=60)
"""A date of change so far before the answer cannot hide a second change (RFC 9110, 8.8.2.2)."""


def validator(headers: Mapping[str, str]) -> str | None:
    """What tells this file from any other: a strong ETag, or a date of change long enough ago."""
    etag = headers.get("ETag", "").strip()
    if etag:
        return etag if _STRONG.fullmatch(etag) else None
    changed = headers.get("Last-Modified", "").strip()
    then, now = read_date(changed), read_date(headers.get("Date"))
    if then is None or now is None or now - then < _SETTLED or not changed.isascii():
        return None
    return changed


def asking(resume: Resume | None) -> dict[str, str]:
    """The headers that ask for the rest of a file."""
    if resume is None:
        return {}
    return {"Range": f"bytes={resume.offset}-", "If-Range": resume.validator}


def partial_response_problem(status: int, headers: Mapping[str, str], resume: Resume) -> str:
    """Why an answer 206 or 416 is not the rest that was asked for; empty where it is."""
    if status != 206:
        return f"the server refuses to go on at byte {resume.offset:,} (HTTP {status})"
    given = headers.get("ETag") or headers.get("Last-Modified") or ""
    if given.strip() != resume.validator:
        return "the server goes on with a file that it does not show to be the same"
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    wanted = (resume.offset, resume.length - 1, resume.length)
    length = headers.get("Content-Length", "")
    if (
        match is None
        or tuple(map(int, match.groups())) != wanted
        or (length.isdecimal() and int(length) != resume.length - resume.offset)
    ):
        return "the server sends another part of the file than was asked for"
    return ""
