"""Makes callback URLs, and passes each call on to whoever waits for it. Does no input or output."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import anyio

_TOKEN_BYTES: Final = 24  # Random bytes of a token: 192 bits, which nobody guesses

_BURST: Final = 3
"""Calls of one address that are passed on at once: a forged one must not hide the true one."""

_REFILL_PER_SECOND: Final = 1.0  # Calls a second of one address that are passed on after that

_REMEMBERED: Final = 10_000
"""Maximum number of addresses that are remembered while nothing listens at them."""


class TokenBucket:
    """Allows `capacity` actions at once and `rate` a second in the long run. Full at first.

    Args:
        now: seconds of a monotonic clock; the same clock goes to `take`.
    """

    __slots__ = ("_capacity", "_filled_at", "_rate", "_tokens")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Takes a token; whether there was one."""
        grown = self._tokens + (now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._capacity, grown), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True, eq=False)
class _CallbackUrl:
    allowance: TokenBucket
    rings: list[Callable[[], None]] = field(default_factory=list)
    missed: bool = False
    """Called while nothing listened."""


class CallbackUrls:
    """The callback URLs under one public URL.

    A callback URL is ``public_url/TOKEN``. Only the token counts, since a reverse proxy may strip
    what stands before it. Tokens are looked up by their hash, so that the time of a look-up does
    not tell how much of a guess was right.

    Attributes:
        given: number of addresses that were given out.

    Args:
        public_url: what the addresses begin with.
        time: a monotonic clock, in seconds.
    """

    def __init__(self, public_url: str, *, time: Callable[[], float] = anyio.current_time) -> None:
        self.given = 0
        self._base = public_url.rstrip("/") + "/"
        self._time = time
        self._listened: dict[bytes, _CallbackUrl] = {}
        self._idle: OrderedDict[bytes, _CallbackUrl] = OrderedDict()

    def new_address(self) -> str:
        """An address that was never given out before."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.given += 1
        self._rest(_hash(token), self._address())
        return self._base + token

    @contextmanager
    def listen(self, callback_url: str, ring: Callable[[], None]) -> Iterator[None]:
        """While entered, `ring` is called when the address is; see `core.ports.Callbacks`.

        Any address under the public URL will do, also one of an earlier run; others never ring.
        """
        token = callback_url.removeprefix(self._base)
        if token == callback_url or not token or "/" in token:
            yield
            return
        key = _hash(token)
        address = self._listened.get(key)
        if address is None:
            address = self._idle.pop(key) if key in self._idle else self._address()
            self._listened[key] = address
        address.rings.append(ring)
        try:
            if address.missed:
                address.missed = False
                ring()
            yield
        finally:
            address.rings.remove(ring)
            if not address.rings:
                del self._listened[key]
                self._rest(key, address)

    def call(self, token: str) -> bool:
        """Passes a call to whoever listens at its address; whether the address is known."""
        key = _hash(token)
        address = self._listened.get(key)
        if address is None:
            address = self._idle.get(key)
            if address is None:
                return False
            address.missed = True
        elif address.allowance.take(self._time()):
            for ring in tuple(address.rings):
                ring()
        return True

    def _address(self) -> _CallbackUrl:
        return _CallbackUrl(TokenBucket(_REFILL_PER_SECOND, _BURST, self._time()))

    def _rest(self, key: bytes, address: _CallbackUrl) -> None:
        self._idle[key] = address
        if len(self._idle) > _REMEMBERED:
            self._idle.popitem(last=False)


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
