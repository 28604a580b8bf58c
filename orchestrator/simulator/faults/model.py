"""Declares what a fault is: where and when it strikes. Each kind of fault is a subclass."""

from abc import ABC
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from hashlib import blake2b
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform, get_args, get_type_hints

from orchestrator.simulator.faults.options import (
    CallNumbers,
    Check,
    Count,
    Number,
    Share,
    Text,
    WrongValue,
)

CALLS: Final = ("create", "status", "list", "cancel", "download", "records")
PLACES: Final = (*CALLS, "report", "server")
"""Where a fault can strike: at a call, at a report when it is made, or at the whole server."""


class WrongFault(ValueError):
    """A fault that makes no sense."""

    def __init__(self, key: str, reason: str, remedy: str = "") -> None:
        super().__init__(f"{key}: {reason}" if key else reason)
        self.key = key  # the key that is wrong; empty for the fault as a whole
        self.reason = reason  # what is wrong with it
        self.remedy = remedy  # what to write instead; may be empty


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Fault(ABC):
    """One fault. Build it with `Fault.of`, which checks it.

    It strikes only calls (or reports) of its place, account, product and time; it counts these
    from 1. Without `nth`, `first`, `every` or `probability` it strikes each of them.

    A kind of fault is a subclass: `do` is its name in a file, `places` are the values that `at`
    may have, its fields are its options, and its docstring is its documentation.
    """

    do: ClassVar[str] = ""
    places: ClassVar[tuple[str, ...]] = ()

    # `create`, `status`, `list`, `cancel`, `download`, `records`, `report` (decided when a report
    # is made, and true of it for good) or `server`
    at: str
    nth: CallNumbers | None = None  # the numbers of the calls to strike
    first: Count | None = None  # strikes the first calls, this many
    every: Count | None = None  # strikes each call whose number is a multiple of this
    probability: Share | None = None  # the share of the calls to strike, by the seed
    times: Count | None = None  # the maximum number of strikes
    account: Text | None = None  # strikes calls about this account only
    product: Text | None = None  # strikes calls about this product only
    # strikes only from this time on, in seconds of the loop since the server began
    after: Number | None = None
    # strikes only before this time, in seconds of the loop since the server began
    until: Number | None = None

    def __init_subclass__(cls, do: str = "", places: tuple[str, ...] = ()) -> None:
        """Registers a kind, and makes a dataclass of it; without a name it is a base of kinds."""
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)
        cls.places = places or cls.places
        if do:
            cls.do = do
            KINDS[do] = cls

    @classmethod
    def options(cls) -> dict[str, Check]:
        """The keys that a fault of this kind may have in a file, beyond `at` and `do`."""
        hints = get_type_hints(cls, include_extras=True)
        return {each.name: _check_of(hints[each.name]) for each in fields(cls) if each.name != "at"}

    @staticmethod
    def of(at: str, do: str, **rest: Any) -> "Fault":
        """A fault from the keys of a file.

        Raises:
            WrongFault: the first mistake in it.
        """
        if at not in PLACES:
            raise WrongFault("at", f"'{at}' is no place", f"use one of {', '.join(PLACES)}")
        kind = KINDS.get(do)
        if kind is None:
            kinds = ", ".join(sorted(KINDS))
            raise WrongFault("do", f"'{do}' is no kind of fault", f"use one of {kinds}")
        if at not in kind.places:
            places = ", ".join(kind.places)
            raise WrongFault("at", f"{do} cannot strike at {at}", f"use one of {places}")
        options = kind.options()
        for key, value in rest.items():
            if value is None:
                raise WrongFault(key, "is empty", "give it a value, or leave it out")
            if key not in options:
                keys = ", ".join(sorted(options))
                raise WrongFault(key, f"{do} has no such key", f"use one of {keys}")
        values = {key: _checked(key, options[key], rest[key]) for key in options if key in rest}
        for each in fields(kind):
            if each.default is MISSING and each.name not in {"at", *values}:
                raise WrongFault(each.name, f"{do} needs it")
        return kind(at=at, **values)


def _checked(key: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except WrongValue as error:
        raise WrongFault(key, str(error)) from None


def _check_of(hint: Any) -> Check:
    """The check with which the type of an option is annotated."""
    annotated = next(part for part in (hint, *get_args(hint)) if hasattr(part, "__metadata__"))
    check: Check = annotated.__metadata__[0]
    return check


KINDS: Final[dict[str, type[Fault]]] = {}
"""Every kind of fault by its name; filled where `orchestrator.simulator` imports the kinds."""


class FaultOfReport(Fault, places=("report",)):
    """A fault of a report for good or, at ``download``, of one download of its file.

    The report holds it; whoever works with the report asks `Report.fault` for its kind.
    """


KindOfReport = TypeVar("KindOfReport", bound=FaultOfReport)


def first_of(faults: Iterable[FaultOfReport], kind: type[KindOfReport]) -> KindOfReport | None:
    """The first of these faults that is of a kind; None where there is none."""
    return next((fault for fault in faults if isinstance(fault, kind)), None)


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a world, in order: of those that would strike one call, the first does."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0  # decides where `Fault.probability` strikes


class FaultInjector:
    """Counts the calls and reports of one running world, and decides which fault strikes."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._seen = [0] * len(faults.faults)
        self._struck = [0] * len(faults.faults)
        self.places = frozenset(fault.at for fault in faults.faults)

    @property
    def struck(self) -> tuple[int, ...]:
        """How often each fault has struck, in their order."""
        return tuple(self._struck)

    def strike(self, at: str, account: str, product: str, elapsed: float) -> Fault | None:
        """Counts a call, and returns the fault that strikes it.

        Args:
            account: the account that the call is about; empty where it is not known.
            product: the product that the call is about; empty where it is not known.
            elapsed: seconds of the loop since the server began.
        """
        striking = None
        for number, fault in enumerate(self._faults.faults):
            if (
                fault.at != at
                or fault.account not in (None, account)
                or fault.product not in (None, product)
                or elapsed < (fault.after or 0)
                or (fault.until is not None and elapsed >= fault.until)
            ):
                continue
            self._seen[number] += 1
            if (
                striking is None
                and (fault.times is None or self._struck[number] < fault.times)
                and self._is_due(number, fault, self._seen[number])
            ):
                self._struck[number] += 1
                striking = fault
        return striking

    def _is_due(self, number: int, fault: Fault, seen: int) -> bool:
        if fault.nth is not None and seen not in fault.nth:
            return False
        if fault.first is not None and seen > fault.first:
            return False
        if fault.every is not None and seen % fault.every:
            return False
        if fault.probability is None:
            return True
        drawn = blake2b(f"{self._faults.seed}:{number}:{seen}".encode(), digest_size=8).digest()
        return int.from_bytes(drawn, "big") < fault.probability * 2**64
