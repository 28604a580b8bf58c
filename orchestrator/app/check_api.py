"""What `check` says of the API: credentials, the connection, what the keys may ask for, callbacks.

Asks only what costs nothing.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

import anyio

from orchestrator.api.connection_errors import listen_words
from orchestrator.app.check_disk import Check, Level, failed
from orchestrator.app.setup import clock_of, open_sessions, output_of
from orchestrator.config import proxies_of, resolve_credentials
from orchestrator.core import clocks
from orchestrator.core.policy import ExitCode
from orchestrator.core.ports import Priority
from orchestrator.core.settings import Config, Credentials
from orchestrator.core.vonage import ALL_STATUSES
from orchestrator.engine.key_session import KeySession
from orchestrator.errors import ApiError, InputError, LedgerError, TransportError, Unauthorized
from orchestrator.ledger import lock_holder
from orchestrator.reporting.phrases import counted

_LOOK_BACK: Final = timedelta(hours=1)

_SHORT_HASH_KEY: Final = 16
"""Characters below which a key of hashes is found by trying, or is a slip such as `changeme`."""


# --- credentials ----------------------------------------------------------------------------------


def credentials(config: Config, names: Sequence[str]) -> tuple[dict[str, Credentials], list[Check]]:
    """The credentials that can be had, and a line for each name."""
    resolved: dict[str, Credentials] = {}
    checks = []
    for name in names:
        try:
            resolved |= resolve_credentials(config, [name], os.environ)
        except InputError as error:
            checks += [
                Check(Level.ERROR, "credentials", str(mistake), code=ExitCode.BAD_INPUT)
                for mistake in error.mistakes
            ]
        else:
            text = f"{name} is key {resolved[name].api_key}, and has a secret"
            checks.append(Check(Level.OK, "credentials", text))
    try:
        resolve_credentials(config, list(resolved), os.environ)
        key = output_of(config).hash_key
    except InputError as error:
        checks.append(failed("credentials", error))
    else:
        if key is not None and len(key.reveal()) < _SHORT_HASH_KEY:
            text = f"output.hash_key has fewer than {_SHORT_HASH_KEY} characters: it can be guessed"
            remedy = (
                "take what `openssl rand -hex 32` prints; the same values get other hashes then"
            )
            checks.append(Check(Level.WARNING, "credentials", text, remedy))
    return resolved, checks


# --- the way to the API ---------------------------------------------------------------------------


async def reach(config: Config) -> Check:
    """Proxy, name, connection and TLS, as a run has them; asked without a key.

    Raises:
        InputError: the config or the environment names a proxy that cannot be used.
    """
    from orchestrator import api  # noqa: PLC0415 - start-up time

    proxies = proxies_of(config, os.environ)
    base_url = config.api.base_url
    try:
        proxy = await api.reach(config.api, proxies)
    except TransportError as error:
        problem, _, remedy = str(error).removeprefix(f"{error.call}: ").rpartition("; ")
        return Check(Level.ERROR, "reach", problem or remedy, remedy if problem else "")
    way = f" by the proxy {proxy} ({proxy.source})" if proxy is not None else ""
    return Check(Level.OK, "reach", f"{base_url} takes connections{way}")


def variables() -> Iterator[Check]:
    """The variables by which TLS finds the authorities that the machine trusts."""
    for name, is_there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        value = os.environ.get(name)
        if value and not any(is_there(part) for part in value.split(os.pathsep)):
            text = f"the variable {name} names nothing that is there, and TLS goes without it"
            yield Check(Level.WARNING, "reach", text, f"mend or unset {name}")


async def rights(
    config: Config, credentials: Mapping[str, Credentials], accounts: Mapping[str, Sequence[str]]
) -> list[Check]:
    """One list call for each key and account, which costs nothing; and the clock."""
    checks: dict[str, list[Check]] = {key: [] for key in accounts}
    async with open_sessions(config, credentials, clock_of(None)) as sessions:
        by_key = {session.api_key: session for session in sessions.values()}
        async with anyio.create_task_group() as tasks:
            for key, wanted in accounts.items():
                tasks.start_soon(_rights_of_key, by_key[key], wanted, config, checks[key])
        ahead = [session.api.server_ahead for session in by_key.values()]
    every = [check for of_key in checks.values() for check in of_key]
    answered = any(check.subject == "rights" for check in every)
    return [*every, clock(max(ahead, key=abs), config.api.base_url)] if answered else every


async def _rights_of_key(
    session: KeySession, accounts: Sequence[str], config: Config, checks: list[Check]
) -> None:
    allowed = 0
    for account_id in accounts:
        try:
            await _list(session, account_id, config)
        except ApiError as error:
            checks.append(_refusal(session.api_key, account_id, error))
            if isinstance(error, TransportError):
                return
            if isinstance(error, Unauthorized) and error.status == 401:
                return
        else:
            allowed += 1
    if allowed:
        whose = f"account {accounts[0]}" if len(accounts) == 1 else counted(allowed, "account")
        text = f"key {session.api_key} may ask for the reports of {whose}"
        checks.insert(0, Check(Level.OK, "rights", text))


async def _list(session: KeySession, account_id: str, config: Config) -> None:
    since = clock_of(None).now() - _LOOK_BACK
    request = partial(session.api.list, account_id, ALL_STATUSES, since)
    try:
        # Throttled requests are sent again for ever; a check must come to an end.
        with anyio.fail_after(2 * config.api.timeout.total_seconds()):
            await session.turn(request, Priority.POLL)
    except TimeoutError:
        raise ApiError("the API kept throttling; another program may use the same key") from None


def _refusal(key: str, account_id: str, error: ApiError) -> Check:
    match error:
        case TransportError():
            return Check(Level.ERROR, "reach", str(error), "nothing more was asked with this key")
        case Unauthorized(status=401):
            text = f"the API does not accept key {key} ({_said(error)})"
            remedy = "check the key and its secret in the credentials"
            return Check(Level.ERROR, "rights", text, remedy)
        case Unauthorized():
            text = f"key {key} may not ask for account {account_id} ({_said(error)})"
            remedy = (
                "use the account's own credentials, or those of its primary account, and let the "
                "Reports API be enabled for it"
            )
            return Check(Level.ERROR, "rights", text, remedy)
        case _:
            # Its last words are its remedy.
            problem, _, remedy = str(error).rpartition("; ")
            text = f"key {key}, account {account_id}: {problem or remedy}"
            return Check(Level.WARNING, "rights", text, remedy if problem else "")


def _said(error: Unauthorized) -> str:
    return str(error.problem or f"HTTP {error.status} without words")


def clock(ahead: timedelta, base_url: str) -> Check:
    """How far the clock of the API at `base_url` is ahead of ours."""
    seconds = round(abs(ahead).total_seconds())
    if not clocks.is_off(ahead):
        return Check(Level.OK, "clock", f"within {counted(seconds, 'second')} of the API's")
    side = "behind" if ahead > timedelta() else "ahead of"
    text = f"this machine's clock is {counted(seconds, 'second')} {side} the API's"
    return Check(Level.WARNING, "clock", text, clocks.remedy(base_url))


def callbacks(config: Config) -> Iterator[Check]:
    """Whether a run could listen for callbacks; nothing where it is not to."""
    if config.callback is None:
        return
    listen = config.callback.listen
    host, port = config.callback.host_and_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if lock_holder(config.state) is not None:
            text = f"{listen} was not tried: a run is active, and may listen there"
            yield Check(Level.OK, "callbacks", text)
            return
        socket.create_server((host, port), family=family).close()
    except LedgerError:
        return  # what is wrong with the lock has a line of its own
    except (OSError, UnicodeError) as error:
        text = f"callback.listen {listen} cannot be listened on ({listen_words(error)})"
        yield Check(Level.WARNING, "callbacks", text, "change callback.listen; a run does without")
    else:
        text = f"a run can listen on {listen} for {config.callback.public_url}"
        yield Check(Level.OK, "callbacks", text)
