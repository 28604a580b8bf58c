"""The states of a report, the events that change them, and `transition`, which joins the two.

`transition` is pure and total: for every state and event it returns the next state or raises
`InvalidTransition`. Only events change a state; time alone never does.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from orchestrator.core.column_changes import ColumnChanges
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


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Created:
    """The API answered a create with an id."""

    request_id: str


@dataclass(frozen=True, slots=True)
class NotCreated:
    """Nothing was created: the request was not sent, or the API refused it clearly."""

    reason: str


@dataclass(frozen=True, slots=True)
class CreateUnknown:
    """It may have been created: after a timeout, a reset, a 5xx or a cut answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """A report that we may have created was found at the API, and is ours."""

    request_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FoundAbsent:
    """The API is proved never to have had the report: it was not created."""

    reason: str
    proof: Proof = Proof.LISTS_LACK_IT


@dataclass(frozen=True, slots=True)
class Held:
    """The report was neither found nor proved absent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The API says SUCCESS; without a link only where it says that there are no records."""

    items_count: int | None
    download_url: str | None


@dataclass(frozen=True, slots=True)
class CutShort:
    """The API says TRUNCATED."""

    items_count: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The API says FAILED."""

    reason: str


@dataclass(frozen=True, slots=True)
class Aborted:
    """The API says ABORTED, and it was not us."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The API no longer knows the id, or never did; a 404 by itself does not prove it."""

    reason: str
    proof: Proof = Proof.REPORT_LIFE_OVER


@dataclass(frozen=True, slots=True)
class Cancelled:
    """We cancelled it at the API."""

    reason: str = "cancelled by the user"


@dataclass(frozen=True, slots=True)
class FileGone:
    """The report is finished, but the life of its file is over, and it could not be had."""

    reason: str
    proof: Proof = Proof.FILE_LIFE_OVER


@dataclass(frozen=True, slots=True)
class Verified:
    """The file was downloaded, checked and hashed, and is about to take its name.

    `foreign` are the records in it of other accounts than the report's, by account, where they
    were counted; `columns` those that are otherwise than the API sent them.
    """

    sha256: str
    rows: int
    size_bytes: int
    target: str
    foreign: tuple[tuple[str, int], ...] | None = None
    columns: ColumnChanges | None = None


@dataclass(frozen=True, slots=True)
class FileMissing:
    """A verified file did not reach its name (a crash in between): download it again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """The file stands under its final name, synced to the disk."""


@dataclass(frozen=True, slots=True)
class Disputed:
    """Wrong echo, wrong count, an archive that stays broken.

    `cut`: the API cut its file short, though not for its size.
    """

    reason: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Superseded:
    """A newer edition has been collected."""

    reason: str


@dataclass(frozen=True, slots=True)
class Erased:
    """The user has the file of a collected report removed."""

    reason: str


@dataclass(frozen=True, slots=True)
class Waived:
    """The user skips the window of the report."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refetched:
    """The user has a disputed, expired or lost report asked for again, at no cost."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """A person discards a report; its window may be bought again."""

    reason: str
    proof: Proof = Proof.PERSON


@dataclass(frozen=True, slots=True)
class Accepted:
    """The user takes the file of a disputed report as it is; the fields are those of `Verified`."""

    sha256: str
    rows: int
    size_bytes: int
    target: str
    foreign: tuple[tuple[str, int], ...] | None = None
    columns: ColumnChanges | None = None


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


def proof_of(event: Event) -> Proof | None:  # noqa: PLR0911 - one arm a proof
    """What entitles us to buy the window again after this event; None: it frees no window."""
    match event:
        case FoundAbsent() | Lost() | FileGone() | Resubmitted():
            return event.proof
        case NotCreated():
            return Proof.REFUSED
        case CutShort():
            return Proof.API_SAID_TRUNCATED
        case Failed():
            return Proof.API_SAID_FAILED
        case Aborted():
            return Proof.API_SAID_ABORTED
        case Cancelled():
            return Proof.PERSON
        case (
            Created()
            | CreateUnknown()
            | Adopted()
            | Held()
            | Finished()
            | Verified()
            | FileMissing()
            | Published()
            | Disputed()
            | Superseded()
            | Erased()
            | Waived()
            | Refetched()
            | Accepted()
        ):
            return None
    assert_never(event)


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


def _target(event: Event) -> tuple[frozenset[State], State]:  # noqa: PLR0911, C901, PLR0912 - one arm an event
    """The states that an event may come in, and the one it leads to."""
    match event:
        case Created():
            return frozenset({State.SUBMITTING}), State.SUBMITTED
        case NotCreated():
            return frozenset({State.SUBMITTING}), State.ABSENT
        case CreateUnknown():
            return frozenset({State.SUBMITTING}), State.SUBMITTING
        case Adopted():
            return _UNKNOWN | {State.ABSENT}, State.SUBMITTED
        case FoundAbsent():
            return _UNKNOWN, State.ABSENT
        case Held():
            return _UNKNOWN, State.HELD
        case Finished():
            return _AT_THE_API, State.READY
        case CutShort():
            return _AT_THE_API, State.TRUNCATED
        case Failed():
            return _AT_THE_API, State.FAILED
        case Aborted():
            return _AT_THE_API, State.ABORTED
        case Lost():
            return _AT_THE_API, State.LOST
        case Cancelled():
            return frozenset({State.SUBMITTED}), State.CANCELLED
        case FileGone():
            return frozenset({State.READY}), State.EXPIRED
        case Verified():
            return frozenset({State.READY}), State.VERIFIED
        case FileMissing():
            return frozenset({State.VERIFIED}), State.READY
        case Published():
            return frozenset({State.VERIFIED}), State.COLLECTED
        case Disputed():
            return _DISPUTABLE, State.DISPUTED
        case Superseded():
            return frozenset({State.COLLECTED, State.ERASED}), State.SUPERSEDED
        case Erased():
            return frozenset({State.COLLECTED}), State.ERASED
        case Waived():
            return _UNSETTLED | _WITHOUT_FILE, State.WAIVED
        case Refetched():
            return frozenset({State.DISPUTED, State.EXPIRED, State.LOST}), State.SUBMITTED
        case Accepted():
            return frozenset({State.DISPUTED}), State.VERIFIED
        case Resubmitted():
            return _UNSETTLED | {State.WAIVED, State.ERASED}, State.DISCARDED
    assert_never(event)


def transition(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        InvalidTransition: the event may not come in this state.
    """
    allowed, target = _target(event)
    if state not in allowed:
        raise InvalidTransition(
            f"a report that is {state.value} cannot take {type(event).__name__}; this is a bug"
        )
    return target
