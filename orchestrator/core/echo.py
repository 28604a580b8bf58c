"""Compares what a report object repeats of the request (the echo) with what was asked for.

An API may write rightly what we wrote otherwise: another case, a plus before a number, a list in
another order. What remains is a difference; only the file itself can refute it
(`collect.echo_check`).
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orchestrator.core import products
from orchestrator.core.model import RemoteReport, Report
from orchestrator.texts import field_text, short, utc_text

EchoValue = str | bool | datetime
"""A value of the request: of a field, or one of its two dates."""

_NO_FILTER: Final = frozenset({"", "none", "any", "all", "false", "null", "*"})
"""How the API may write that a field does not filter (the 2021 definition has ``none``)."""

_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
"""How the API may write a boolean, lower case."""

_PHONE_FIELDS: Final = frozenset({"from", "to", "number"})
_PHONE_LIKE: Final = re.compile(r"\+?[\d\s().-]{5,}", re.ASCII)
_NOT_A_DIGIT: Final = re.compile(r"\D", re.ASCII)


@dataclass(frozen=True, slots=True)
class EchoDifference:
    """A field of the request that the API repeats with another value."""

    field: str  # its name; ``date_start`` and ``date_end`` among them
    asked: EchoValue | None  # what we sent; None where we sent nothing
    answered: EchoValue  # what the API says that we sent

    def __str__(self) -> str:
        """For people."""
        if self.asked is None:
            return f"asked for any {self.field}, the API reports {_text(self.answered)}"
        return f"asked for {self.field} {_text(self.asked)}, the API reports {_text(self.answered)}"


def sent(report: Report) -> dict[str, EchoValue]:
    """Every field that the create carried, the callback URL apart."""
    return {
        **report.series.body,
        "date_start": report.window.start,
        "date_end": report.window.end,
    }


def echoed(remote: RemoteReport) -> dict[str, EchoValue]:
    """Every field of the request that the API repeats."""
    fields: dict[str, EchoValue] = dict(remote.echo)
    if remote.date_start is not None:
        fields["date_start"] = remote.date_start
    if remote.date_end is not None:
        fields["date_end"] = remote.date_end
    return fields


def differences(report: Report, remote: RemoteReport) -> tuple[EchoDifference, ...]:
    """How the echoed request differs from what we asked; empty where it does not.

    A field that the API leaves out is no difference. One that we did not send is, if it narrows:
    the file would lack records, and look complete.
    """
    asked = sent(report)
    differing = []
    for name, answer in echoed(remote).items():
        if name not in asked:
            if not filters_nothing(answer):
                differing.append(EchoDifference(name, None, answer))
        elif answer != asked[name] and not same_value(name, asked[name], answer):
            differing.append(EchoDifference(name, asked[name], answer))
    return tuple(differing)


def wrong_echo(report: Report, remote: RemoteReport) -> str | None:
    """The first of the `differences`, in words; None where there is none."""
    return next(map(str, differences(report, remote)), None)


def same_value(field: str, asked: EchoValue, answered: EchoValue) -> bool:
    """Whether two values of a field mean the same, though they may be written in two ways."""
    if asked == answered:
        return True
    if isinstance(asked, datetime) or isinstance(answered, datetime):
        return False
    if isinstance(asked, bool) or isinstance(answered, bool):
        return truth(asked) is not None and truth(asked) == truth(answered)
    if field == "product":
        return _product(asked) == _product(answered)
    return _members(field, asked) == _members(field, answered)


def filters_nothing(answer: EchoValue) -> bool:
    """Whether the value of an echoed field says that it does not filter."""
    return answer is False or (isinstance(answer, str) and answer.strip().lower() in _NO_FILTER)


def truth(value: EchoValue) -> bool | None:
    """What a boolean says, however it is written; None where it is none."""
    if isinstance(value, datetime):
        return None
    return value if isinstance(value, bool) else _TRUTHS.get(value.strip().lower())


def _product(name: str) -> str:
    return products.canonical_name(name.strip().upper().replace("_", "-"))


def _members(field: str, value: str) -> frozenset[str]:
    """The values of a list such as ``delivered,failed``, whatever its order; mostly just one."""
    return frozenset(_plain(field, member) for member in value.split(","))


def _plain(field: str, value: str) -> str:
    text = value.strip()
    if field in _PHONE_FIELDS and _PHONE_LIKE.fullmatch(text):
        return _NOT_A_DIGIT.sub("", text).removeprefix("00")
    return text.casefold()


def _text(value: EchoValue) -> str:
    return utc_text(value) if isinstance(value, datetime) else short(field_text(value))
