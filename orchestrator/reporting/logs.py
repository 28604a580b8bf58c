"""Writes lines to standard error, as text or JSON, without secrets."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from orchestrator.texts import printable, utc_text

if TYPE_CHECKING:
    from orchestrator.core.events import Facts

_NO_FACTS: Final[Facts] = {}


def json_line(now: datetime, level: str, text: str, facts: Facts) -> str:
    """A line in JSON, in ASCII; see docs/logs.md. What JSON does not know stands as its `repr`."""
    rest = dict(facts)
    kind = rest.pop("type", "message")
    first = {"time": utc_text(now), "level": level, "type": kind, "event": text}
    return json.dumps({**first, **rest}, default=repr)


class Log:
    """Where lines go.

    Args:
        stream: takes them; each is flushed.
        as_json: JSON Lines with the facts; else the time and the text, which has the facts already.
        quiet: nothing below warnings.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        as_json: bool,
        mask: Callable[[str], str],
        now: Callable[[], datetime],
        quiet: bool = False,
    ) -> None:
        self._stream = stream
        self._as_json = as_json
        self._mask = mask
        self._now = now
        self._quiet = quiet

    def write(self, level: str, text: str, facts: Facts = _NO_FACTS) -> None:
        """Writes a line; `level` is ``info``, ``warning`` or ``error``."""
        if self._quiet and level not in ("warning", "error"):
            return
        now, text = self._now(), self._mask(text)
        if self._as_json:
            line = json_line(now, level, text, _masked(facts, self._mask))
        else:
            before = "" if level == "info" else f"{level}: "
            line = f"{utc_text(now)} {before}{printable(text)}"
        self._stream.write(f"{line}\n")
        self._stream.flush()


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    match value:
        case str():
            return mask(value)
        case Mapping():
            return {key: _masked(part, mask) for key, part in value.items()}
        case list() | tuple():
            return [_masked(part, mask) for part in value]
        case _:
            return value


class LibraryLines(logging.Handler):
    """Writes what libraries log, from warnings on, as lines of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one line."""
        facts = {"type": "library", "source": record.name}
        if record.exc_info:
            facts["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        self._log.write("warning", record.getMessage(), facts)
