"""The columns of every product and direction, in order, and the functions that fill them.

Source: the vendor's 2021 definition, its reference pages of 2020 to 2026, and real archives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from orchestrator.simulator.records import draws
from orchestrator.simulator.records.draws import (
    CALL_COLUMNS,
    COLUMNS,
    Column,
    constant,
    number_below,
    own_uuid,
    pick,
)


@dataclass(frozen=True)
class Schema:
    """The columns of one product's records in one direction."""

    names: tuple[str, ...]  # the columns, in order
    columns: tuple[Column, ...]  # the function that fills each of `names`
    time_column: str  # the column by which windows select
    id_column: str  # the column that identifies a record
    quoted: tuple[int, ...]  # positions of the columns that may hold a double quote
    # the function whose value a filter of that name is compared with; it need not be a visible
    # column
    selectable: Mapping[str, Column]


@dataclass(frozen=True)
class _Table:
    """`id_and_time` names two of the columns: what identifies a record, and what windows select."""

    id_and_time: str
    names: str
    special: Mapping[str, Column] = field(default_factory=dict)


_STATUS_OF_HTTP: Final = pick(23, "200", "200", "200", "404", "503")

_TABLES: Final[dict[str, _Table]] = {
    "SMS outbound": _Table(
        "message_id date_received",
        "account_id message_id client_ref direction from to message_body network network_name"
        " country country_name date_received date_finalized latency status error_code"
        " error_code_description currency total_price account_ref changed_from concatenated dcs"
        " forced_from ip_address tier_volume udh validity_period workflow_id",
    ),
    "SMS inbound": _Table(
        "message_id date_received",
        "account_id message_id direction from to message_body network network_name country"
        " country_name date_received currency total_price",
    ),
    "MESSAGES outbound": _Table(
        "message_id date_received",
        "account_id message_id client_ref direction from to message_body country country_name"
        " provider network network_name session_type session_id date_received date_finalized"
        " latency status error_code currency estimated_price total_price id",
        {
            "id": own_uuid(1),
            "session_type": pick(12, "", "service"),
            "status": pick(23, "submitted", "delivered", "delivered", "read", "rejected"),
            "error_code": pick(23, "", "", "", "", "1300"),
        },
    ),
    "MESSAGES inbound": _Table(
        "message_id date_received",
        "account_id message_id direction from to message_body provider date_received currency"
        " total_price",
    ),
    "VOICE-CALL": _Table(
        "call_id date_start",
        "account_id call_id direction from to network network_name country country_name"
        " date_start date_end duration status status_description currency price total_price"
        " forced_from status_code tier_volume",
        CALL_COLUMNS,
    ),
    "VOICE-FAILED": _Table(
        "call_id date_start",
        "account_id call_id direction from to network network_name country country_name"
        " date_start date_end duration status status_description status_code",
        {
            **CALL_COLUMNS,
            "status": constant("failed"),
            "status_code": pick(23, "403", "404", "480", "503"),
            "status_description": constant("The call failed."),
        },
    ),
    "ASR": _Table(
        "call_id date_start",
        "account_id call_id direction from to call_date_start date_start date_end duration status"
        " status_description currency price total_price",
        {
            "call_date_start": draws.time,
            "status": pick(23, "ok", "ok", "ok", "error"),
            "status_description": constant(""),
        },
    ),
    "WEBSOCKET-CALL": _Table(
        "call_id date_start",
        "account_id call_id date_start date_end duration status currency price total_price",
        {"status": _STATUS_OF_HTTP},
    ),
    "AMD": _Table(
        "call_id start_time",
        "account_id call_id amd_mode amd_result amd_substate start_time end_time total_price",
        {
            "amd_mode": pick(9, "default", "detect", "detect_beep"),
            "amd_result": pick(23, "human", "machine"),
            "amd_substate": pick(25, "", "beep_start", "beep_timeout"),
        },
    ),
    "VOICE-TTS": _Table(
        "call_id creation_date",
        "account_id call_id creation_date start_time end_time duration language style length size"
        " premium tts_type trace_id price",
        {
            "start_time": draws.after(31, 5),
            "language": pick(9, "en-GB", "fr-FR", "nb-NO"),
            "style": number_below(11, 6),
            "length": number_below(13, 1500),
            "size": number_below(15, 90_000),
            "premium": pick(19, "false", "true"),
            "tts_type": pick(21, "text", "ssml"),
        },
    ),
    "IN-APP-VOICE": _Table(
        "leg_id date_start",
        "account_id application_id client_ref conversation_id leg_id user_id date_start date_end"
        " duration status",
        {"status": CALL_COLUMNS["status"]},
    ),
    "VERIFY-API": _Table(
        "request_id date_received",
        "account_id request_id from to locale number_type network network_name country"
        " country_name date_received date_finalized first_event_date last_event_date verify_status"
        " sms_event_count tts_event_count currency pricing_model price estimated_price",
        {
            "first_event_date": draws.after(5, 5),
            "last_event_date": draws.after(29, 60),
            "verify_status": pick(23, "SUCCESS", "SUCCESS", "EXPIRED", "FAILED"),
            "sms_event_count": number_below(25, 3),
            "tts_event_count": number_below(27, 2),
            "pricing_model": constant("0"),
        },
    ),
    "VERIFY-V2": _Table(
        "request_id date_received",
        "account_id request_id channel client_ref parent_request_id pin_length if_fraud_check"
        " sms_event_count tts_event_count email_event_count to network network_name country"
        " country_name locale date_received status currency price total_price",
        {
            "channel": pick(21, "v2", "sms", "email", "silent_auth", "whatsapp"),
            "parent_request_id": draws.tagged("PAR-", 15, 64),
            "pin_length": pick(11, "4", "6"),
            "if_fraud_check": pick(13, "true", "false"),
            "sms_event_count": number_below(25, 3),
            "tts_event_count": number_below(27, 2),
            "email_event_count": number_below(28, 2),
            "status": pick(23, "completed", "completed", "expired", "failed"),
        },
    ),
    "NUMBER-INSIGHT": _Table(
        "request_id date_received",
        "account_id request_id product_type number date_received status response_code network"
        " network_name network_type country country_name valid ported reachable first_name"
        " last_name currency total_price",
        {
            "product_type": pick(9, "HLR-LOOKUP", "CNAM"),
            "status": pick(23, "Success", "Success", "Failed"),
            "response_code": pick(23, "0", "0", "43"),
            "network_type": pick(11, "mobile", "landline"),
            "valid": pick(13, "valid", "unknown", "not_valid"),
            "ported": pick(15, "ported", "not_ported"),
            "reachable": pick(19, "reachable", "unreachable"),
            "first_name": pick(21, "", "Zoë", "O'Brien"),
            "last_name": pick(21, "", "Núñez, Jr.", "D'Arcy"),
        },
    ),
    "NUMBER-INSIGHT-V2": _Table(
        "request_id date_received",
        "account_id request_id request_type number date_received status risk swapped network"
        " network_name country country_name currency total_price",
        {
            "request_type": pick(9, "fraud_score", "sim_swap"),
            "status": pick(23, "completed", "completed", "failed"),
            "risk": pick(11, "low", "medium", "high"),
            "swapped": pick(13, "false", "true"),
        },
    ),
    "CONVERSATION-EVENT": _Table(
        "id creation_date",
        "account_id id conversation_id creation_date request_id user_id type status",
        {
            "request_id": own_uuid(2),
            "type": pick(9, "cs-custom-event", "ip-voice", "message"),
            "status": pick(23, "created", "deleted"),
        },
    ),
    "CONVERSATION-MESSAGE": _Table(
        "from_message_id creation_date",
        "account_id conversation_id from_channel from_member_id from_message_id from_user_id"
        " other_ids trace_id creation_date",
        {
            "from_channel": pick(9, "app", "sms", "whatsapp"),
            "from_member_id": draws.tagged("MEM-", 21, 128),
            "from_user_id": COLUMNS["user_id"],
            "other_ids": pick(25, "", "[1, 2]", "[3]"),
        },
    ),
    "CONVERSATIONS": _Table(
        "request_id date_start",
        "account_id request_id application_id conversation_id user_id leg_id date_start date_end"
        " duration status currency price total_price",
        {
            "leg_id": own_uuid(3),
            "type": pick(9, "ip-voice", "cs-custom-event"),
            "status": pick(23, "0", "0", "1"),
        },
    ),
    "VIDEO-API": _Table(
        "id date_start",
        "account_id id application_id session_id meeting_id archive_id broadcast_id composer_id"
        " hls_id subscriber_id feature_name date_start date_end duration",
        {
            "archive_id": pick(9, "", "archive-1"),
            "broadcast_id": pick(11, "", "broadcast-1"),
            "composer_id": constant(""),
            "hls_id": constant(""),
            "subscriber_id": own_uuid(4),
            "feature_name": pick(13, "STREAM", "ARCHIVE", "BROADCAST"),
        },
    ),
    "NETWORK-API-EVENT": _Table(
        "id event_time",
        "account_id id msisdn product_name product_path request_type request_session_id"
        " correlation_id response_result network country event_time record_creation_time price"
        " currency",
        {
            "product_name": pick(9, "sim-swap", "number-verification"),
            "product_path": pick(9, "/check", "/verify"),
            "request_type": pick(11, "check", "retrieve-date"),
            "request_session_id": draws.tagged("RS-", 15, 64),
            "correlation_id": draws.tagged("COR-", 17, 64),
            "response_result": pick(23, "true", "false"),
            "record_creation_time": draws.after(29, 60),
        },
    ),
    "SMS-TRAFFIC-CONTROL": _Table(
        "message_id queued_time",
        "account_id message_id queue_duration queued_time status",
        {"queue_duration": number_below(29, 9000), "status": pick(23, "sent", "sent", "expired")},
    ),
    "MEETINGS": _Table(
        "id date_start",
        "account_id id meeting_id session_id date_start date_end duration participants"
        " total_price currency",
        {"participants": number_below(9, 40)},
    ),
    "": _Table("id date_received", "account_id id date_received status total_price"),
}
"""By product, with the direction where it changes the columns; the last is for the unknown."""

USAGE_COLUMNS: Final = (
    "account_id id acc master_account_id product_type request_product job_type request_params"
    " status is_charged items_written price tier_volume total_price currency date_received"
    " date_started date_finished"
).split()
"""The columns of ``REPORTS-USAGE``, whose records are those of the world's own reports."""


@lru_cache(maxsize=256)
def schema(
    product: str, direction: str, *, include_message: bool, show_concatenated: bool
) -> Schema:
    """The schema of a product's records; a product that is not known has one too."""
    table = _TABLES.get(f"{product} {direction}") or _TABLES.get(product) or _TABLES[""]
    id_column, time_column = table.id_and_time.split()
    filled = {**COLUMNS, id_column: draws.uid, time_column: draws.time, **table.special}
    if show_concatenated:
        filled["concatenated"] = pick(14, "false", "true")
    names = tuple(name for name in table.names.split() if include_message or name != "message_body")
    return Schema(
        names=names,
        columns=tuple(filled[name] for name in names),
        time_column=time_column,
        id_column=id_column,
        quoted=tuple(place for place, name in enumerate(names) if name in draws.MAY_HOLD_QUOTES),
        selectable=filled,
    )
