"""Is this report object the one we asked for? Checks of the echo, and the search for twins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from orchestrator.core.model import FieldValue, RemoteReport, Report

CLOCK_SLACK: Final = timedelta(minutes=10)
"""How far the server's clock may have strayed from what its ``Date`` header said."""

_NO_FILTER: Final = frozenset({"", "none", "any", "all", "false"})
"""How the API may write that a field does not filter (the 2021 definition has ``none``)."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

LIST_REACH: Final = timedelta(days=4)
"""How far back a list call for reconciling reaches: reports older than this answer 404."""


def sent(report: Report) -> dict[str, FieldValue | datetime]:
    """Every field that the create carried, the callback URL apart."""
    return {
        **report.series.body,
        "date_start": report.window.start,
        "date_end": report.window.end,
    }


def echoed(remote: RemoteReport) -> dict[str, FieldValue | datetime]:
    """Every field of the request that the API repeats."""
    fields: dict[str, FieldValue | datetime] = dict(remote.echo)
    if remote.date_start is not None:
        fields["date_start"] = remote.date_start
    if remote.date_end is not None:
        fields["date_end"] = remote.date_end
    return fields


def wrong_echo(report: Report, remote: RemoteReport) -> str | None:
    """How the echoed request differs from what we asked, in words; None if it does not.

    A field that the API leaves out is no difference. One that we did not send is, if it narrows:
    the file would lack records, and look complete.
    """
    asked = sent(report)
    for name, answer in echoed(remote).items():
        if name not in asked:
            if not _is_nothing(answer):
                return f"asked for any {name}, the API reports {_word(answer)}"
        elif answer != asked[name]:
            return f"asked for {name} {_word(asked[name])}, the API reports {_word(answer)}"
    return None


def _is_nothing(answer: FieldValue | datetime) -> bool:
    """Whether an echoed field that was not sent says that it does not filter."""
    return answer is False or (isinstance(answer, str) and answer.lower() in _NO_FILTER)


def _word(value: FieldValue | datetime) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else value.strftime("%Y-%m-%dT%H:%M:%SZ")


def candidates(
    intent: Report,
    listed: Sequence[RemoteReport],
    owned: Mapping[str, int],
    server_ahead: timedelta,
) -> tuple[RemoteReport, ...]:
    """The listed reports that the create of `intent` may have made, the likeliest first.

    Args:
        intent: a row whose create may have happened.
        listed: what the API lists.
        owned: ids that rows of ours have, and the rows.
        server_ahead: the server's clock less ours.
    """
    earliest = intent.intended_at + min(server_ahead, intent.server_ahead) - CLOCK_SLACK
    found = (
        remote
        for remote in listed
        if owned.get(remote.request_id, intent.id) == intent.id
        and (remote.received_at is None or remote.received_at >= earliest)
        and _may_be(intent, remote)
    )
    return tuple(
        sorted(
            found, key=lambda remote: (remote.received_at or intent.intended_at, remote.request_id)
        )
    )


def but_for_its_address(
    intent: Report,
    listed: Sequence[RemoteReport],
    owned: Mapping[str, int],
    server_ahead: timedelta,
) -> RemoteReport | None:
    """A listed report that only its callback URL tells from `intent`; None where there is none.

    It repeats every other field that was sent. It is not taken for the report of `intent`; but an
    API may write the URLs that it repeats in ways of its own, so neither does it show that `intent`
    has none. Arguments as for `candidates`.
    """
    no_address = [
        replace(remote, callback_url=None) for remote in listed if not omits(intent, remote)
    ]
    return next(iter(candidates(intent, no_address, owned, server_ahead)), None)


def is_another_s(remote: RemoteReport, rivals: Sequence[Report]) -> bool:
    """Whether a report may as well be that of another row whose create may have happened."""
    return any(_may_be(rival, remote) for rival in rivals)


def omits(intent: Report, remote: RemoteReport) -> bool:
    """Whether the API left out a field that we sent, so that twins cannot be told apart."""
    return not sent(intent).keys() <= echoed(remote).keys()


def _may_be(intent: Report, remote: RemoteReport) -> bool:
    """Whether nothing in a report contradicts that this row asked for it."""
    return wrong_echo(intent, remote) is None and (
        remote.callback_url is None or _same_address(remote.callback_url, intent.callback_url)
    )


def _same_address(echoed: str, asked: str | None) -> bool:
    """Whether two URLs are one, though they may be written in two ways (RFC 3986, section 6.2)."""
    return asked is not None and (echoed == asked or _plainly(echoed) == _plainly(asked))


def _plainly(address: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # no address at all
        return (address,)
    path = unquote(parts.path).rstrip("/")
    return parts.scheme, parts.hostname, port, path, unquote(parts.query)


def shows_another(intent: Report, listed: Sequence[RemoteReport], owned: Mapping[str, int]) -> bool:
    """Whether the list shows a report of the intent's account that another row of ours owns.

    Only then is it a list that works, and what it lacks is absent.
    """
    return any(
        owned.get(remote.request_id, intent.id) != intent.id
        and remote.echo.get("account_id", intent.series.account_id) == intent.series.account_id
        for remote in listed
    )
