"""The reasons that allow a window to be bought again; every event that frees one has a `Proof`."""

from enum import StrEnum


class Proof(StrEnum):
    """Why a window that we asked for once may be asked for again.

    Nothing else frees a window: no single 404, no list that lacks a report, no date that cannot be
    read, no clock alone. The table in ``docs/reliability.md`` is made from these members.
    """

    REFUSED = "refused"
    """The API refused the create in words, or the request never left this machine."""

    API_SAID_FAILED = "the API said FAILED"
    """The report's own answer, asked for by its id, says that it failed."""

    API_SAID_ABORTED = "the API said ABORTED"
    """The report's own answer says that it was aborted: by us, by others or by the API."""

    API_SAID_TRUNCATED = "the API said TRUNCATED"
    """The report's own answer says that its file lacks records."""

    FILE_LIFE_OVER = "the life of the file is over"
    """96 hours have passed on the API's clock since it was finished, and the last polls failed.

    The vendor promises a file for 72 hours, one of its pages says 4 days.
    """

    REPORT_LIFE_OVER = "the life of the report is over"
    """4 days have passed on the API's clock since it was created, and the last polls met a 404.

    The vendor says that older reports answer 404.
    """

    UNKNOWN_TO_THE_API = "unknown to the API"
    """For an hour of the API's clock every poll met a 404, while it showed others of the key."""

    LISTS_LACK_IT = "lists lack it"
    """Lists that demonstrably cover the moment of the create do not show it."""

    PERSON = "a person said so"
    """`resolve`, `cancel`, `run --again` or `run --retry-failed`."""

    CONFIGURED = "the configuration says so"
    """`on_unknown: resubmit` or `poll.on_timeout: replace`; bounded like every other purchase."""
