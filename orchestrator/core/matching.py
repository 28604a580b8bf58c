"""Decides whether a listed report is the one that an unanswered create made. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from orchestrator.core.commands import typed
from orchestrator.core.coverage import CLOCK_SLACK, Moment
from orchestrator.core.echo import echoed, same_value, sent, wrong_echo
from orchestrator.core.model import RemoteReport, Report

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def candidates(
    intent: Report, listed: Sequence[RemoteReport], owned: Mapping[str, int]
) -> tuple[RemoteReport, ...]:
    """The listed reports that the create of `intent` may have made, by their times.

    What time the API gives a report rules out none: it may be hours off, or cannot be read.

    Args:
        owned: ids that rows of ours have, and the rows.
    """
    matching = (
        remote
        for remote in listed
        if owned.get(remote.request_id, intent.id) == intent.id and _may_be(intent, remote)
    )
    return tuple(
        sorted(
            matching,
            key=lambda remote: (remote.received_at or intent.intended_at, remote.request_id),
        )
    )


def choose(
    intent: Report,
    likely: Sequence[RemoteReport],
    unresolved_creates: Sequence[Report],
    moment: Moment,
    *,
    has_own_address: bool,
) -> RemoteReport | str | None:
    """Which of its `candidates` is the report of `intent`.

    Args:
        likely: the candidates, told of as fully as the API tells.
        unresolved_creates: other rows whose creates may have happened.
        has_own_address: no other report was asked for with the callback URL of `intent`.

    Returns:
        The report; or in words why a person has to say whether one of them is it; None where
        there is none.
    """
    if not likely:
        return None
    if has_own_address:
        for remote in likely:
            if _same_address(remote.callback_url or "", intent.callback_url):
                return remote
    mine = [
        remote
        for remote in likely
        if not any(_may_be(rival, remote) for rival in unresolved_creates)
    ]
    if not mine:
        return f"{likely[0].request_id} there may be this one, or another of ours"
    dated = [remote for remote in mine if remote.date_start and remote.date_end]
    if not dated:
        return _ask_a_person(intent, mine, "does not repeat its dates")
    return _by_time(intent, dated, moment)


def _by_time(intent: Report, dated: Sequence[RemoteReport], moment: Moment) -> RemoteReport | str:
    # We ask for nothing before its end: an earlier report is another's, and lacks records.
    over = [remote for remote in dated if _is_since(remote, intent.window.end)]
    if not over:
        return _ask_a_person(intent, dated, "was asked for before the end of its time")
    in_time = [remote for remote in over if _is_since(remote, moment.earliest - CLOCK_SLACK)]
    if in_time or len(over) == 1:
        return (in_time or over)[0]
    return _ask_a_person(intent, over, "is as like it, and older than it should be")


def _is_since(remote: RemoteReport, moment: datetime) -> bool:
    """Whether the API may have taken a report since then; where it gives no time it may have."""
    return remote.received_at is None or remote.received_at >= moment


def _ask_a_person(intent: Report, reports: Sequence[RemoteReport], but: str) -> str:
    more = f" and {len(reports) - 1} more" if len(reports) > 1 else ""
    request_id = reports[0].request_id
    return (
        f"{request_id}{more} there is like it, but {but}: "
        f"{typed('resolve', intent.id, '--adopt', request_id)} takes it"
    )


def differs_only_in_callback_url(
    intent: Report, listed: Sequence[RemoteReport], owned: Mapping[str, int]
) -> RemoteReport | None:
    """A listed report that only its callback URL tells from `intent`; None where there is none.

    It repeats every other field that was sent. It is not taken for the report of `intent`; but an
    API may write the URLs that it repeats in ways of its own, so neither does it show that `intent`
    has none. Arguments as for `candidates`.
    """
    no_address = [
        replace(remote, callback_url=None)
        for remote in listed
        if not lacks_sent_fields(intent, remote)
    ]
    return next(iter(candidates(intent, no_address, owned)), None)


def lacks_sent_fields(intent: Report, remote: RemoteReport) -> bool:
    """Whether the API left out a field that we sent, so that twins cannot be told apart."""
    return not sent(intent).keys() <= echoed(remote).keys()


def _may_be(intent: Report, remote: RemoteReport) -> bool:
    """Whether nothing in a report contradicts that this row asked for it."""
    return wrong_echo(intent, remote) is None and (
        remote.callback_url is None or _same_address(remote.callback_url, intent.callback_url)
    )


def _same_address(echoed: str, asked: str | None) -> bool:
    """Whether two URLs are one, though they may be written in two ways (RFC 3986, section 6.2)."""
    return asked is not None and (
        echoed == asked or _normalised_url(echoed) == _normalised_url(asked)
    )


def _normalised_url(address: str) -> tuple[object, ...]:
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # no address at all
        return (address,)
    path = unquote(parts.path).rstrip("/")
    return parts.scheme, parts.hostname, port, path, unquote(parts.query)


def is_of_account(intent: Report, remote: RemoteReport, asked: str) -> bool:
    """Whether a report that the list of account `asked` shows is of the intent's account."""
    account = intent.series.account_id
    return same_value("account_id", account, remote.echo.get("account_id", asked))
