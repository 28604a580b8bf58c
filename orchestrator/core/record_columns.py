"""The columns of the records of each product, and the type of each.

Source: the vendor's Reports API reference (2021 definition and the pages of 2020 to 2026) and real
files. Columns grow over the years without notice: what this table does not know is text.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class ColumnType(Enum):
    """What the text of a column means."""

    TEXT = "text"
    TIMESTAMP = "timestamp"
    """A moment with its offset from UTC, in microseconds."""
    MONEY = "money"
    """A decimal number with at most 10 digits before the point and 8 behind it."""
    INTEGER = "integer"
    """A whole number of 64 bits, written without leading zeros."""


_TIMESTAMPS: Final = frozenset(
    "call_date_start creation_date date_end date_finalized date_finished date_received date_start"
    " date_started end_time event_time first_event_date last_event_date queued_time"
    " record_creation_time start_time".split()
)
_MONEY: Final = frozenset("estimated_price price total_price".split())
_INTEGERS: Final = frozenset(
    "duration email_event_count items_written latency length participants queue_duration size"
    " sms_event_count tts_event_count".split()
)
"""Counts, bytes, and lengths of time: seconds, but for `latency` and `queue_duration`, which are
milliseconds. Codes that look like numbers (`status_code`, `error_code`) are names, so text."""

_CALL: Final = (
    "account_id call_id direction from to network network_name country country_name date_start"
    " date_end duration status status_description"
)

_COLUMNS: Final[Mapping[str, str]] = {
    "SMS outbound": (
        "account_id message_id client_ref direction from to message_body network network_name"
        " country country_name date_received date_finalized latency status error_code"
        " error_code_description currency total_price account_ref changed_from concatenated dcs"
        " forced_from ip_address tier_volume udh validity_period workflow_id"
    ),
    "SMS inbound": (
        "account_id message_id direction from to message_body network network_name country"
        " country_name date_received currency total_price"
    ),
    "MESSAGES outbound": (
        "account_id message_id client_ref direction from to message_body country country_name"
        " provider network network_name session_type session_id date_received date_finalized"
        " latency status error_code currency estimated_price total_price id"
    ),
    "MESSAGES inbound": (
        "account_id message_id direction from to message_body provider date_received currency"
        " total_price"
    ),
    "VOICE-CALL": f"{_CALL} currency price total_price forced_from status_code tier_volume",
    "VOICE-FAILED": f"{_CALL} status_code",
    "ASR": (
        "account_id call_id direction from to call_date_start date_start date_end duration status"
        " status_description currency price total_price"
    ),
    "WEBSOCKET-CALL": (
        "account_id call_id date_start date_end duration status currency price total_price"
    ),
    "AMD": "account_id call_id amd_mode amd_result amd_substate start_time end_time total_price",
    "VOICE-TTS": (
        "account_id call_id creation_date start_time end_time duration language style length size"
        " premium tts_type trace_id price"
    ),
    "IN-APP-VOICE": (
        "account_id application_id client_ref conversation_id leg_id user_id date_start date_end"
        " duration status"
    ),
    "VERIFY-API": (
        "account_id request_id from to locale number_type network network_name country"
        " country_name date_received date_finalized first_event_date last_event_date verify_status"
        " sms_event_count tts_event_count currency pricing_model price estimated_price"
    ),
    "VERIFY-V2": (
        "account_id request_id channel client_ref parent_request_id pin_length if_fraud_check"
        " sms_event_count tts_event_count email_event_count to network network_name country"
        " country_name locale date_received status currency price total_price"
    ),
    "NUMBER-INSIGHT": (
        "account_id request_id product_type number date_received status response_code network"
        " network_name network_type country country_name valid ported reachable first_name"
        " last_name currency total_price"
    ),
    "NUMBER-INSIGHT-V2": (
        "account_id request_id request_type number date_received status risk swapped network"
        " network_name country country_name currency total_price"
    ),
    "CONVERSATION-EVENT": (
        "account_id id conversation_id creation_date request_id user_id type status"
    ),
    "CONVERSATION-MESSAGE": (
        "account_id conversation_id from_channel from_member_id from_message_id from_user_id"
        " other_ids trace_id creation_date"
    ),
    "CONVERSATIONS": (
        "account_id request_id application_id conversation_id user_id leg_id date_start date_end"
        " duration status currency price total_price"
    ),
    "VIDEO-API": (
        "account_id id application_id session_id meeting_id archive_id broadcast_id composer_id"
        " hls_id subscriber_id feature_name date_start date_end duration"
    ),
    "NETWORK-API-EVENT": (
        "account_id id msisdn product_name product_path request_type request_session_id"
        " correlation_id response_result network country event_time record_creation_time price"
        " currency"
    ),
    "SMS-TRAFFIC-CONTROL": "account_id message_id queue_duration queued_time status",
    "REPORTS-USAGE": (
        "account_id id acc master_account_id product_type request_product job_type request_params"
        " status is_charged items_written price tier_volume total_price currency date_received"
        " date_started date_finished"
    ),
}
"""By product, with the direction where it changes the columns; in the order of the files."""


DIRECTED: Final = frozenset(name.partition(" ")[0] for name in _COLUMNS if " " in name)
"""Products whose records have other columns in each direction."""


def column_type(name: str) -> ColumnType:
    """The type of a column. Columns of one name have one type in every product."""
    if name in _TIMESTAMPS:
        return ColumnType.TIMESTAMP
    if name in _MONEY:
        return ColumnType.MONEY
    return ColumnType.INTEGER if name in _INTEGERS else ColumnType.TEXT


def columns_of(product: str, direction: str | None = None) -> tuple[str, ...]:
    """The columns that files of a product are known to have; empty for an unknown product.

    Args:
        direction: None, or a direction that does not change the columns: those of all directions.
    """
    names = _COLUMNS.get(f"{product} {direction}") or _COLUMNS.get(product)
    if names is None:
        both = (_COLUMNS.get(f"{product} {way}", "") for way in ("outbound", "inbound"))
        names = " ".join(both)
    return tuple(dict.fromkeys(names.split()))
