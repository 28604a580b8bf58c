"""The products of the Reports API: which fields each accepts, and how long its records are kept.

Source: the vendor's Reports API reference (2021 definition and the pages of 2020 to 2026). New
products and values appear there without notice, so what this table does not know is a warning for
the user, never a wall.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from orchestrator.core import vonage


class DirectionRule(Enum):
    """Whether a product's request carries ``direction``."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    INVALID = "invalid"


DIRECTIONS: Final = ("inbound", "outbound")

ALIASES: Final[Mapping[str, str]] = {"VOICE": "VOICE-CALL"}
"""Older names of products that the API still takes."""

BOOLEAN_FIELDS: Final = frozenset({"include_message", "include_subaccounts", "show_concatenated"})
"""Fields whose value is a boolean; every other filter is text."""

COMMON_FIELDS: Final = frozenset({"include_subaccounts"})
"""Fields that every product accepts beside its own (dates and callback_url apart)."""


@dataclass(frozen=True, slots=True)
class Product:
    """What the API accepts for one product."""

    name: str
    direction: DirectionRule  # whether ``direction`` must, may or must not be given
    fields: frozenset[str]  # the filters it accepts, direction and the common fields apart
    # those of `fields` that only ``direction: outbound`` accepts
    outbound_only: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()  # those of `fields` that must be given
    # how long records are kept; None means `vonage.RETENTION_MONTHS` calendar months
    retention: timedelta | None = None
    free: bool = False
    note: str = ""  # a hint for people, such as what to use instead; may be empty

    def accepts(self, field: str) -> bool:
        """Whether the request may carry this field at all, whatever the direction."""
        return field in self.fields or field in COMMON_FIELDS

    def defaults(self, direction: str | None) -> dict[str, bool]:
        """The optional fields that the API fills in when they are left out, with their values."""
        filled = {"include_subaccounts": False}
        for field in ("include_message", "show_concatenated"):
            if field in self.fields and not (
                field in self.outbound_only and direction != "outbound"
            ):
                filled[field] = False
        return filled


def _product(name: str, direction: DirectionRule, fields: str = "", **more: Any) -> Product:
    return Product(name, direction, frozenset(fields.split()), **more)


_REQUIRED, _OPTIONAL, _INVALID = (
    DirectionRule.REQUIRED,
    DirectionRule.OPTIONAL,
    DirectionRule.INVALID,
)

PRODUCTS: Final[Mapping[str, Product]] = {
    product.name: product
    for product in (
        _product(
            "SMS",
            _REQUIRED,
            "status from to country network client_ref account_ref include_message"
            " show_concatenated",
            outbound_only=frozenset({"show_concatenated"}),
        ),
        _product("MESSAGES", _REQUIRED, "status from to country provider include_message"),
        _product("VOICE-CALL", _OPTIONAL, "status from to country network call_id"),
        _product("VOICE-FAILED", _OPTIONAL, "from to country network call_id"),
        _product("ASR", _OPTIONAL, "status from to country network call_id"),
        _product("WEBSOCKET-CALL", _INVALID, "status call_id"),
        _product("AMD", _INVALID, "call_id"),
        _product("VOICE-TTS", _INVALID),
        _product("IN-APP-VOICE", _INVALID, "status leg_id conversation_id"),
        _product("VERIFY-API", _INVALID, "to country network locale number_type"),
        _product(
            "VERIFY-V2", _INVALID, "status to country network locale channel parent_request_id"
        ),
        _product("NUMBER-INSIGHT", _INVALID, "number country network"),
        _product(
            "NUMBER-INSIGHT-V2",
            _INVALID,
            "status number country network request_type risk swapped",
        ),
        _product("CONVERSATION-EVENT", _INVALID, "status type conversation_id"),
        _product("CONVERSATION-MESSAGE", _INVALID, "conversation_id"),
        _product(
            "CONVERSATIONS",
            _INVALID,
            "type status conversation_id",
            required=frozenset({"type"}),
            note="deprecated by the vendor in favour of CONVERSATION-EVENT",
        ),
        _product("VIDEO-API", _INVALID, "session_id meeting_id", retention=vonage.VIDEO_RETENTION),
        _product(
            "NETWORK-API-EVENT",
            _INVALID,
            "country network request_type product_name request_session_id product_path"
            " correlation_id",
        ),
        _product("SMS-TRAFFIC-CONTROL", _INVALID),
        _product("REPORTS-USAGE", _INVALID, free=True),
        _product("MEETINGS", _INVALID),
    )
}

STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "SMS": frozenset(
        "delivered expired failed rejected accepted buffered unknown deleted submitted".split()
    ),
    "VOICE-CALL": frozenset(
        "started ringing answered machine completed timeout failed rejected cancelled busy".split()
    ),
    "ASR": frozenset({"ok", "error"}),
}
"""Values of the ``status`` filter that the documents name, where they name them all."""

PROVIDERS: Final = frozenset("whatsapp sms mms messenger viber_service_msg instagram rcs".split())
"""Values of the ``provider`` filter of `MESSAGES` that the documents name."""


def defaults(product: str, direction: str | None) -> dict[str, bool]:
    """As `Product.defaults`; of a product that is not known, those that every product has."""
    entry = PRODUCTS.get(product)
    return entry.defaults(direction) if entry else {"include_subaccounts": False}


def canonical_name(product: str) -> str:
    """The product's name as the API's newer documents spell it (``VOICE`` is ``VOICE-CALL``)."""
    return ALIASES.get(product, product)
