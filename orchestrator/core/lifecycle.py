"""The states of a report, the events that change them, and `transition`, which joins the two.

`transition` is pure and total: for every state and event it returns the next state or raises
`InvalidTransition`. Only events change a state; time alone never does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Final

from orchestrator.core.file_columns import ColumnChanges, FileColumns
from orchestrator.core.proofs import Proof
from orchestrator.errors import InvalidTransition


class State(Enum):
    """The state of a report in the ledger. The API's own states are `vonage.Status`."""

    SUBMITTING = "submitting"
    """The intent to create it is written; whether the API has it is not known yet."""
    SUBMITTED = "submitted"
    """The API has it; its request_id is known."""
    READY = "ready"
    """Finished at the API; the file waits there."""
    VERIFIED = "verified"
    """The file is downloaded, checked and hashed, and about to take its final name."""
    COLLECTED = "collected"
    """The file stands under its final name."""
    SUPERSEDED = "superseded"
    """A newer edition of the same window has been collected."""
    ERASED = "erased"
    """A person had its file removed; no run buys its window again by itself."""
    ABSENT = "absent"
    """It was surely not created."""
    HELD = "held"
    """We sent the create, and could not find out whether the API accepted it."""
    DISPUTED = "disputed"
    """What came back is not what was asked for; a person decides."""
    WAIVED = "waived"
    """A person decided to skip its window."""
    DISCARDED = "discarded"
    """A person set it aside; its window may be bought again."""
    TRUNCATED = "truncated"
    """The API cut the file: records are missing in it."""
    FAILED = "failed"
    """The API could not make it."""
    ABORTED = "aborted"
    """Ended at the API by somebody else, or by the API itself."""
    CANCELLED = "cancelled"
    """Ended by us, because the user asked."""
    EXPIRED = "expired"
    """Finished, but the file was gone before it was downloaded."""
    LOST = "lost"
    """The API no longer knows the request_id (404)."""

    # That of `Enum` hashes the name each time, in Python; there is one object of each state.
    __hash__ = object.__hash__

    @property
    def is_open(self) -> bool:
        """Whether a run still has work to do for it."""
        return self in OPEN

    @property
    def has_window(self) -> bool:
        """Whether it keeps its window from being bought again."""
        return self in HAD


OPEN: Final = frozenset(
    {State.SUBMITTING, State.SUBMITTED, State.READY, State.VERIFIED, State.HELD}
)
HAD: Final = OPEN | {State.COLLECTED, State.ERASED, State.DISPUTED, State.WAIVED}

UNPAID: Final = frozenset({State.ABSENT, State.FAILED, State.ABORTED, State.CANCELLED})
"""Final states of reports that probably cost nothing, since they brought no records."""


_UNKNOWN: Final = frozenset({State.SUBMITTING, State.HELD})
_AT_THE_API: Final = frozenset({State.SUBMITTED, State.READY})
_WITHOUT_FILE: Final = frozenset(
    {
        State.ABSENT,
        State.DISCARDED,
        State.TRUNCATED,
        State.FAILED,
        State.ABORTED,
        State.CANCELLED,
        State.EXPIRED,
        State.LOST,
    }
)
"""States without a file: the window is debt, unless another report has it."""

_UNSETTLED: Final = frozenset(
    {State.SUBMITTING, State.HELD, State.SUBMITTED, State.READY, State.DISPUTED}
)
"""States in which a person may decide otherwise than a run would."""

_DISPUTABLE: Final = frozenset({State.SUBMITTED, State.READY, State.VERIFIED})


# --- events ---------------------------------------------------------------------------------------


class _Event:
    """Something that happens to a report.

    Each kind says in its definition after which states it may come, and which state it leads to.
    """

    after: ClassVar[frozenset[State]]
    leads_to: ClassVar[State]
    proof: Proof | None = None  # what entitles us to buy the window again; None: it frees no window

    def __init_subclass__(cls, *, after: Iterable[State], to: State) -> None:
        cls.after, cls.leads_to = frozenset(after), to


@dataclass(frozen=True)
class Created(_Event, after=[State.SUBMITTING], to=State.SUBMITTED):
    """The API answered a create with an id."""

    request_id: str


@dataclass(frozen=True)
class NotCreated(_Event, after=[State.SUBMITTING], to=State.ABSENT):
    """Nothing was created: the request was not sent, or the API refused it clearly."""

    reason: str
    proof = Proof.REFUSED


@dataclass(frozen=True)
class CreateUnknown(_Event, after=[State.SUBMITTING], to=State.SUBMITTING):
    """It may have been created: after a timeout, a reset, a 5xx or a cut answer."""

    reason: str


@dataclass(frozen=True)
class Adopted(_Event, after=_UNKNOWN | {State.ABSENT}, to=State.SUBMITTED):
    """A report that we may have created was found at the API, and is ours."""

    request_id: str
    reason: str = ""


@dataclass(frozen=True)
class FoundAbsent(_Event, after=_UNKNOWN, to=State.ABSENT):
    """The API is proved never to have had the report: it was not created."""

    reason: str
    proof: Proof = Proof.LISTS_LACK_IT


@dataclass(frozen=True)
class Held(_Event, after=_UNKNOWN, to=State.HELD):
    """The report was neither found nor proved absent."""

    reason: str


@dataclass(frozen=True)
class Finished(_Event, after=_AT_THE_API, to=State.READY):
    """The API says SUCCESS; without a link only where it says that there are no records."""

    items_count: int | None
    download_url: str | None


@dataclass(frozen=True)
class CutShort(_Event, after=_AT_THE_API, to=State.TRUNCATED):
    """The API says TRUNCATED."""

    items_count: int | None
    reason: str
    proof = Proof.API_SAID_TRUNCATED


@dataclass(frozen=True)
class Failed(_Event, after=_AT_THE_API, to=State.FAILED):
    """The API says FAILED."""

    reason: str
    proof = Proof.API_SAID_FAILED


@dataclass(frozen=True)
class Aborted(_Event, after=_AT_THE_API, to=State.ABORTED):
    """The API says ABORTED, and it was not us."""

    reason: str
    proof = Proof.API_SAID_ABORTED


@dataclass(frozen=True)
class Lost(_Event, after=_AT_THE_API, to=State.LOST):
    """The API no longer knows the id, or never did; a 404 by itself does not prove it."""

    reason: str
    proof: Proof = Proof.REPORT_LIFE_OVER


@dataclass(frozen=True)
class Cancelled(_Event, after=[State.SUBMITTED], to=State.CANCELLED):
    """We cancelled it at the API."""

    reason: str = "cancelled by the user"
    proof = Proof.PERSON


@dataclass(frozen=True)
class FileGone(_Event, after=[State.READY], to=State.EXPIRED):
    """The report is finished, but the life of its file is over, and it could not be had."""

    reason: str
    proof: Proof = Proof.FILE_LIFE_OVER


@dataclass(frozen=True)
class VerifiedFile:
    """What a file holds that was downloaded, checked and hashed, and is about to take its name."""

    sha256: str
    rows: int
    size_bytes: int
    target: str
    # the records in it of other accounts than the report's, by account, where they were counted
    foreign: tuple[tuple[str, int], ...] | None = None
    columns: ColumnChanges | None = None  # those that are otherwise than the API sent them
    file_columns: FileColumns = ()  # all of the file
    source_sha256: str | None = None  # of the archive that it was made of


@dataclass(frozen=True)
class Verified(VerifiedFile, _Event, after=[State.READY], to=State.VERIFIED):
    """The file was downloaded, checked and hashed, and is about to take its name."""


@dataclass(frozen=True)
class FileMissing(_Event, after=[State.VERIFIED], to=State.READY):
    """A verified file did not reach its name (a crash in between): download it again."""

    reason: str


@dataclass(frozen=True)
class Published(_Event, after=[State.VERIFIED], to=State.COLLECTED):
    """The file stands under its final name, synced to the disk."""


@dataclass(frozen=True)
class Disputed(_Event, after=_DISPUTABLE, to=State.DISPUTED):
    """Wrong echo, wrong count, an archive that stays broken.

    `cut`: the API cut its file short, though not for its size.
    """

    reason: str
    cut: bool = False


@dataclass(frozen=True)
class Superseded(_Event, after=[State.COLLECTED, State.ERASED], to=State.SUPERSEDED):
    """A newer edition has been collected."""

    reason: str


@dataclass(frozen=True)
class Erased(_Event, after=[State.COLLECTED], to=State.ERASED):
    """The user has the file of a collected report removed."""

    reason: str


@dataclass(frozen=True)
class Waived(_Event, after=_UNSETTLED | _WITHOUT_FILE, to=State.WAIVED):
    """The user skips the window of the report."""

    reason: str


@dataclass(frozen=True)
class Refetched(_Event, after={State.DISPUTED, State.EXPIRED, State.LOST}, to=State.SUBMITTED):
    """The user has a disputed, expired or lost report asked for again, at no cost."""

    reason: str


@dataclass(frozen=True)
class Resubmitted(_Event, after=_UNSETTLED | {State.WAIVED, State.ERASED}, to=State.DISCARDED):
    """A person discards a report; its window may be bought again."""

    reason: str
    proof: Proof = Proof.PERSON


@dataclass(frozen=True)
class Accepted(VerifiedFile, _Event, after=[State.DISPUTED], to=State.VERIFIED):
    """The user takes the file of a disputed report as it is."""


Event = (
    Created
    | NotCreated
    | CreateUnknown
    | Adopted
    | FoundAbsent
    | Held
    | Finished
    | CutShort
    | Failed
    | Aborted
    | Lost
    | Cancelled
    | FileGone
    | Verified
    | FileMissing
    | Published
    | Disputed
    | Superseded
    | Erased
    | Waived
    | Refetched
    | Resubmitted
    | Accepted
)


def transition(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        InvalidTransition: the event may not come in this state.
    """
    if state not in event.after:
        raise InvalidTransition(
            f"a report that is {state.value} cannot take {type(event).__name__}; this is a bug"
        )
    return event.leads_to
