"""Finds the forward proxy of the config or the environment. Its address may hold a password."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from orchestrator.config.credentials import look_up
from orchestrator.config.parsers import InvalidValue
from orchestrator.config.proxy_address import KEY, NO_PROXY, parse_proxy
from orchestrator.core.proxies import Proxies, Proxy
from orchestrator.core.settings import Config
from orchestrator.errors import InputError, Mistake

_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""The first that is set counts, as with curl; one that is set and empty means no proxy."""

_EXEMPTIONS: Final = ("no_proxy", "NO_PROXY")


def proxies_of(config: Config, env: Mapping[str, str]) -> Proxies:
    """How the API is reached: by `api.proxy`, else as the environment says.

    Raises:
        InputError: a proxy is named that cannot be used; never with its password.
    """
    reference = config.api.proxy
    if reference is not None:
        if reference.reveal() == NO_PROXY:
            return Proxies()
        file = str(config.path) if config.path else ""
        try:
            proxy = parse_proxy(look_up(reference.reveal(), env), KEY)
        except InvalidValue as wrong:
            raise InputError([Mistake(file, 0, 0, KEY, wrong.what, wrong.remedy)]) from None
        return Proxies(proxy, for_loopback=True)
    name, text = _first(_VARIABLES, env)
    if not text:
        return Proxies()
    _, exempt = _first(_EXEMPTIONS, env)
    exempted = tuple(re.split(r"[\s,]+", exempt)) if exempt else ()
    # Whether this API is asked through it is known before the proxy itself is looked at.
    probe = Proxies(Proxy("", name), exempted)
    base = urlsplit(config.api.base_url)
    if probe.towards(base.scheme, base.hostname or "", base.port) is None:
        return Proxies()
    try:
        return Proxies(parse_proxy(text, name), exempted)
    except InvalidValue as unfit:
        remedy = f"{unfit.remedy}; or set {KEY} in the config ({NO_PROXY}: connect directly)"
        raise InputError([Mistake("", 0, 0, f"the variable {name}", unfit.what, remedy)]) from None


def _first(names: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, str]:
    return next(((name, env[name].strip()) for name in names if name in env), ("", ""))
