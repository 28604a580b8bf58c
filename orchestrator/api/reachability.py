"""Whether the API's address takes requests, asked as a run asks, without a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import ClientTimeout

from orchestrator.api import urls
from orchestrator.api.client import CONNECT_MAX
from orchestrator.api.transport import (
    BELOW_HTTP,
    open_session,
    send_once,
    through,
    transport_error,
)

if TYPE_CHECKING:
    from orchestrator.core.proxies import Proxies, Proxy
    from orchestrator.core.settings import ApiSettings

_CALL: Final = "HEAD"


async def reach(api: ApiSettings, proxies: Proxies) -> Proxy | None:
    """The proxy by which the address was reached; None: directly. Any answer will do.

    Raises:
        TransportError: no answer came, in the words of a run.
        InputError: the address is none.
    """
    base = urls.parse_base(api.base_url)
    proxy = urls.proxy_towards(proxies, base)
    most = ClientTimeout(
        total=api.timeout.total_seconds(),
        connect=min(api.timeout / 2, CONNECT_MAX).total_seconds(),
    )
    try:
        async with (
            open_session(api.authorities) as session,
            session.head(
                base,
                timeout=most,
                allow_redirects=False,
                auto_decompress=False,
                middlewares=(send_once,),
                **through(proxy),
            ),
        ):
            return proxy
    except BELOW_HTTP as error:
        failure = transport_error(error, _CALL, proxy=proxy)
        raise failure from failure.__cause__
