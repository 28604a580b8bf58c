"""Holds the facts about the vendor's Reports API that the program relies on, with their source.

The fields that each product accepts stand in `core.products`, the columns of its records in
`core.record_columns`; the simulator has numbers of its own. What we do about these facts (how long
we wait, how often we ask) is policy, and does not belong here.

Sources: "reference" is the vendor's API reference (2021 definition, pages of 2020 to 2026), "guide"
its page on limits. Where sources disagree, the comment says which is used and why.
"""

from datetime import timedelta
from enum import Enum
from typing import Final

# --- addresses ------------------------------------------------------------------------------------

BASE_URL: Final = "https://api.nexmo.com"
"""The API's address. ``api.vonage.com`` has answered 403 for the calls of reports."""

HOST_SUFFIXES: Final = (".nexmo.com", ".vonage.com")
"""Hosts that the vendor's own client sends credentials to when it downloads a file."""

REPORTS_PATH: Final = "/v2/reports"  # Create, list, status and cancel (reference)
MEDIA_PATH: Final = "v3/media"  # Downloads of finished files (reference)

# --- limits ---------------------------------------------------------------------------------------

REQUESTS_PER_SECOND: Final = 5.0
"""Requests a second that one API key may make on the calls above; beyond it: 429 (guide)."""

MAX_REPORT_MONTHS: Final = 13
"""Calendar months that the date range of one report may span (reference)."""

FILE_RECORDS: Final = 7_000_000
"""Records that one file holds at most, about; beyond it a report is ``TRUNCATED``.

From the guide; the text of 2021 says 20 million. The real limit is about 1 GB of archive.
"""

# --- how long things are kept ---------------------------------------------------------------------

RETENTION_MONTHS: Final = 13  # Calendar months that records are kept, then deleted (guide)
VIDEO_RETENTION: Final = timedelta(days=90)  # The same for ``VIDEO-API`` (reference)

FILE_PROMISED: Final = timedelta(hours=72)
"""For so long after its report was finished a file can surely be downloaded (reference)."""

FILE_LIFE: Final = timedelta(hours=96)
"""After this time a file is surely gone: one page of the vendor says 4 days instead of 72 hours."""

REPORT_LIFE: Final = timedelta(days=4)
"""A report that was created earlier than this answers 404 (reference)."""

LIST_REACH: Final = REPORT_LIFE
"""How far back a list by time of creation shows reports.

The reference says seven days, but no report is older than `REPORT_LIFE`.
"""

STATUS_SETTLES: Final = timedelta(hours=72)
"""Time until the delivery status of a message no longer changes (guide)."""

# --- words ----------------------------------------------------------------------------------------

RATE_LIMIT_TYPE: Final = "#rate-limit"
"""How the ``type`` of a problem ends that means too many requests, whatever its HTTP status."""

CANCEL_TOO_LATE: Final = 409
"""HTTP status of a cancel for a report that is final already (reference)."""


class Status(Enum):
    """What the API calls the state of a report (reference)."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    TRUNCATED = "TRUNCATED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"

    @property
    def is_final(self) -> bool:
        """Whether the API will not change it any more."""
        return self not in (Status.PENDING, Status.PROCESSING)


ALL_STATUSES: Final = tuple(Status)
"""All of them: a list that leaves ``status`` out may show only some reports."""
