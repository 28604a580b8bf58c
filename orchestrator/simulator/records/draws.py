"""The random draw behind one record, and the pure functions that make columns of it."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from orchestrator.simulator.records.bodies import REFERENCES


class Draw:
    """Everything that decides a record: its account, its moment, and random numbers."""

    __slots__ = ("account", "bodies", "c", "d", "direction", "time", "uid")

    def __init__(  # noqa: PLR0917 - by position, since millions are made
        self,
        account: str,
        direction: str,
        time: int,
        uid: str,
        c: int,
        d: int,
        bodies: tuple[str, ...],
    ) -> None:
        self.account = account
        self.direction = direction  # empty for products without one
        self.time = time  # whole seconds since 1970, on the product's natural time column
        self.uid = uid  # the record's unique id
        # c, d: random numbers of 64 bits
        self.c = c
        self.d = d
        self.bodies = bodies  # the texts from which message bodies are picked


Column = Callable[[Draw], str]


@lru_cache(maxsize=1024)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86400, UTC).strftime("%Y-%m-%dT")


def stamp(seconds: int) -> str:
    """A moment as records write it: whole seconds, ``+0000``."""
    day, rest = divmod(seconds, 86400)
    return f"{_day(day)}{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}+0000"


def pick(shift: int, *pool: str) -> Column:
    """One of the words of `pool`, by the bits of `d` from `shift` on."""
    size = len(pool)
    return lambda draw: pool[(draw.d >> shift) % size]


def constant(text: str) -> Column:
    """The same for every record."""
    return lambda _: text


def number_below(shift: int, limit: int) -> Column:
    """A whole number, in digits."""
    return lambda draw: str((draw.d >> shift) % limit)


def money(shift: int) -> Column:
    """A price such as ``0.0421``."""
    return lambda draw: f"0.{(draw.d >> shift) % 900 + 100:04}"


def tagged(prefix: str, shift: int, count: int) -> Column:
    """One of `count` ids that begin with `prefix`; several records share an id."""
    return lambda draw: f"{prefix}{(draw.d >> shift) % count:08x}"


def own_uuid(salt: int) -> Column:
    """Another UUID of the record; each `salt` gives another one."""
    mask = 0x9E3779B97F4A7C15 * (salt + 1) & 0xFFFFFFFFFFFFFFFF

    def column(draw: Draw) -> str:
        high, low = f"{draw.c ^ mask:016x}", f"{draw.d ^ mask:016x}"
        return f"{high[:8]}-{high[8:12]}-{high[12:]}-{low[:4]}-{low[4:]}"

    return column


def after(shift: int, limit: int) -> Column:
    """A moment less than `limit` seconds after the record's."""
    return lambda draw: stamp(draw.time + (draw.d >> shift) % limit)


def uid(draw: Draw) -> str:
    """The record's unique id."""
    return draw.uid


def time(draw: Draw) -> str:
    """The record's own moment."""
    return stamp(draw.time)


_SENDERS: Final = ("447700900001", "447700900002", "12015550101", "ACME", "33700000101")


def ours(draw: Draw) -> str:
    """One of the account's own numbers."""
    return _SENDERS[(draw.d >> 3) % len(_SENDERS)]


def theirs(draw: Draw) -> str:
    """One of ten thousand numbers of customers."""
    return f"44770095{(draw.d >> 7) % 10_000:04}"


def sender(draw: Draw) -> str:
    """``from``: the customer's number where the message came in."""
    return theirs(draw) if draw.direction == "inbound" else ours(draw)


def receiver(draw: Draw) -> str:
    """``to``: the other side of `sender`."""
    return ours(draw) if draw.direction == "inbound" else theirs(draw)


_NETWORKS: Final = (
    ("23415", "Vodafone Limited", "GB", "United Kingdom"),
    ("23430", "EE, Limited", "GB", "United Kingdom"),
    ("20801", "Orange", "FR", "France"),
    ("20820", "Bouygues Télécom", "FR", "France"),
    ("26201", "Telekom Deutschland", "DE", "Germany"),
    ("310260", 'T-Mobile "US"', "US", "United States of America"),
    ("24201", "Telenor", "NO", "Norway"),
    ("40445", "Airtel", "IN", "India"),
)
_SMS_RESULTS: Final = (
    *[("delivered", "0", "Delivered")] * 10,
    ("expired", "3", "Expired"),
    ("failed", "1", "Unknown"),
    ("rejected", "9", 'Rejected, "spam"'),
    ("accepted", "0", "Accepted"),
    ("buffered", "0", "Buffered"),
    ("submitted", "0", "Submitted"),
)
_CALL_RESULTS: Final = (
    *[("completed", "200", "The call was successful.")] * 6,
    ("busy", "486", "Busy here"),
    ("failed", "503", "Service unavailable"),
    ("rejected", "603", "Declined"),
    ("timeout", "408", "No answer, timed out"),
    ("cancelled", "487", "Cancelled"),
)


def _of(table: tuple[tuple[str, ...], ...], shift: int, index: int) -> Column:
    size = len(table)
    return lambda draw: table[(draw.d >> shift) % size][index]


COLUMNS: Final[dict[str, Column]] = {
    "account_id": lambda draw: draw.account,
    "direction": lambda draw: draw.direction,
    "from": sender,
    "to": receiver,
    "number": theirs,
    "msisdn": theirs,
    "message_body": lambda draw: draw.bodies[(draw.c >> 20) % len(draw.bodies)],
    "client_ref": lambda draw: REFERENCES[(draw.d >> 41) % len(REFERENCES)],
    "account_ref": pick(37, "", "north", "south"),
    "network": _of(_NETWORKS, 17, 0),
    "network_name": _of(_NETWORKS, 17, 1),
    "country": _of(_NETWORKS, 17, 2),
    "country_name": _of(_NETWORKS, 17, 3),
    "status": _of(_SMS_RESULTS, 23, 0),
    "error_code": _of(_SMS_RESULTS, 23, 1),
    "error_code_description": _of(_SMS_RESULTS, 23, 2),
    "latency": number_below(29, 9000),
    "date_finalized": after(29, 60),
    "date_end": after(31, 600),
    "end_time": after(31, 600),
    "duration": number_below(31, 600),
    "currency": constant("EUR"),
    "price": money(33),
    "total_price": money(33),
    "estimated_price": money(33),
    "tier_volume": number_below(13, 100_000),
    "provider": pick(
        19, "whatsapp", "sms", "mms", "messenger", "viber_service_msg", "instagram", "rcs"
    ),
    "locale": pick(9, "en-gb", "fr-fr", "de-de", "es-mx"),
    "number_type": pick(11, "MOBILE", "LANDLINE", "VIRTUAL"),
    "conversation_id": tagged("CON-", 15, 64),
    "session_id": tagged("SES-", 15, 32),
    "meeting_id": tagged("MEET-", 15, 16),
    "application_id": tagged("APP-", 27, 4),
    "user_id": tagged("USR-", 21, 128),
    "trace_id": own_uuid(5),
    "changed_from": constant(""),
    "forced_from": constant(""),
    "concatenated": constant(""),
    "dcs": pick(8, "0", "8"),
    "ip_address": pick(10, "192.0.2.10", "198.51.100.7", "2001:db8::1"),
    "udh": constant(""),
    "validity_period": constant("259200"),
    "workflow_id": constant(""),
}
"""Columns that mean the same in every product."""

CALL_COLUMNS: Final[dict[str, Column]] = {
    "status": _of(_CALL_RESULTS, 23, 0),
    "status_code": _of(_CALL_RESULTS, 23, 1),
    "status_description": _of(_CALL_RESULTS, 23, 2),
}

MAY_HOLD_QUOTES: Final = frozenset(
    {"message_body", "client_ref", "network_name", "error_code_description", "request_params"}
)
"""Columns whose text may hold a double quote; the others never do."""
