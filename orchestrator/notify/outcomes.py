"""Says whether a run is a success, unfinished or a failure, and remembers it for the next run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from orchestrator.core.policy import ExitCode
from orchestrator.core.settings import NotificationTarget, NotifyOn, Outcome
from orchestrator.texts import utc_text

_UNFINISHED: Final = frozenset({ExitCode.UNFINISHED, ExitCode.INTERRUPTED, ExitCode.TERMINATED})


def outcome_of(code: ExitCode) -> Outcome:
    """What an exit code says of a run: success, unfinished (it goes on by itself), or failure."""
    if code is ExitCode.DONE:
        return Outcome.SUCCESS
    return Outcome.UNFINISHED if code in _UNFINISHED else Outcome.FAILURE


@dataclass(frozen=True, slots=True)
class Ending:
    """How one run ended."""

    code: ExitCode  # its exit code
    at: datetime  # when it ended, in UTC
    # the answer of `run --json`; of a run that did not begin, what is known
    summary: Mapping[str, Any]
    lines: tuple[str, ...]  # the summary for people

    @property
    def outcome(self) -> Outcome:
        """In one word."""
        return outcome_of(self.code)


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of the runs before this one."""

    outcome: Outcome | None = None  # of the last that succeeded or failed; None before the first
    last_success: datetime | None = None  # when a run last ended with 0; None if none did
    # by name of a target that could not be told of the last change: the outcome before
    untold: Mapping[str, Outcome | None] = field(default_factory=dict)

    def before(self, target: str) -> Outcome | None:
        """The outcome that a target of that name takes for the last one."""
        return self.untold.get(target, self.outcome)

    def after(self, ending: Ending, untold: Iterable[str] = ()) -> Past:
        """What is remembered once a run has ended. An unfinished one changes nothing.

        Args:
            untold: names of the targets that should have heard of it and could not be told.
        """
        behind = {name: self.before(name) for name in untold}
        match ending.outcome:
            case Outcome.SUCCESS:
                return Past(Outcome.SUCCESS, ending.at, behind)
            case Outcome.FAILURE:
                return Past(Outcome.FAILURE, self.last_success, behind)
            case Outcome.UNFINISHED:
                return self


def by_name(targets: Sequence[NotificationTarget]) -> dict[str, NotificationTarget]:
    """The targets of a config by the names that people read: ``notify[0]``."""
    return {f"notify[{number}]": target for number, target in enumerate(targets)}


def wanted(
    targets: Mapping[str, NotificationTarget], ending: Ending, past: Past
) -> dict[str, NotificationTarget]:
    """The targets that hear of this ending, by name."""
    told = {NotifyOn.ALWAYS, NotifyOn(ending.outcome.value)}
    return {
        name: target
        for name, target in targets.items()
        if told.intersection(target.on)
        or (NotifyOn.CHANGED in target.on and _is_change(ending.outcome, past.before(name)))
    }


def _is_change(outcome: Outcome, before: Outcome | None) -> bool:
    """Whether it is the first failure after successes, or the first success after failures."""
    match outcome:
        case Outcome.FAILURE:
            return before is not Outcome.FAILURE
        case Outcome.SUCCESS:
            return before is Outcome.FAILURE
        case Outcome.UNFINISHED:
            return False


# --- the file -------------------------------------------------------------------------------------


def file_of(state: Path) -> Path:
    """Where the past is remembered: beside the ledger. It may be removed at any time."""
    return state.with_name(f"{state.name}.outcome.json")


def read_past(state: Path) -> Past:
    """The past; an empty one where nothing readable is remembered."""
    try:
        content = json.loads(file_of(state).read_bytes())
        success = content["last_success"]
        return Past(
            _outcome(content["outcome"]),
            None if success is None else datetime.fromisoformat(success).astimezone(UTC),
            {name: _outcome(before) for name, before in content.get("untold", {}).items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Past()


def _outcome(text: str | None) -> Outcome | None:
    return None if text is None else Outcome(text)


def write_past(state: Path, past: Past) -> None:
    """Remembers the past, whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    content = {
        "outcome": past.outcome and past.outcome.value,
        "last_success": None if past.last_success is None else utc_text(past.last_success),
        "untold": {name: before and before.value for name, before in past.untold.items()},
    }
    replace_file(file_of(state), json.dumps(content) + "\n", 0o600)


def replace_file(path: Path, text: str, mode: int) -> None:
    """Writes a small file under a name of its own and renames it.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    try:
        descriptor = os.open(part, flags, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
