"""Decides which part of a file answers a Range header, rightly or in one of several wrong ways."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

WRONG: Final = {
    "ignored": "the whole file, with a 200",
    "refused": "416, though the part is there",
    "changed": "206 with the validator of another file",
    "unproved": "206 without any validator",
    "weak": "a weak validator in every answer",
    "moved": "206 with a later part of the file than was asked for",
    "resized": "206 of a file of another length",
    "unmarked": "206 without Content-Range",
}
"""The wrong answers to a Range request that a fault can ask for."""

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a file from `start` up to `end`, with status and headers of the answer."""

    start: int
    end: int
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(asked: Mapping[str, str], size: int, etag: str, wrong: str | None) -> Part:
    """The part that the headers ask for; the whole file if they name no part or another file.

    With one of `WRONG` the answer is wrong in that way.
    """
    whole = Part(0, size, headers={"ETag": f"W/{etag}"} if wrong == "weak" else {})
    matched = _RANGE.fullmatch(asked.get("Range", ""))
    if not matched or asked.get("If-Range", etag) != etag or wrong in {"ignored", "weak"}:
        return whole
    start = int(matched[1])
    end = min(size, int(matched[2]) + 1) if matched[2] else size
    if start >= end or wrong == "refused":
        return Part(0, 0, 416, {"Content-Range": f"bytes */{size}"})
    if wrong == "moved":
        start = (start + end) // 2
    stated = size + 1 if wrong == "resized" else size
    headers = {"Content-Range": f"bytes {start}-{end - 1}/{stated}"}
    if wrong == "changed":
        headers["ETag"] = '"another"'
    if wrong == "unproved":
        headers["ETag"] = ""
    if wrong == "unmarked":
        del headers["Content-Range"]
    return Part(start, end, 206, headers)
