"""Is a listed report the one that an unknown create made? The search for twins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from orchestrator.core.echo import echoed, sent, wrong_echo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.model import RemoteReport, Report

CLOCK_SLACK: Final = timedelta(minutes=10)
"""How far the server's clock may have strayed from what its ``Date`` header said."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

LIST_REACH: Final = timedelta(days=4)
"""How far back a list call for reconciling reaches: reports older than this answer 404."""


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
