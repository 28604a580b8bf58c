"""Compares this machine's clock with the API's: the earlier counts, a difference is warned of."""

from datetime import datetime, timedelta
from typing import Final

from orchestrator.core.hosts import is_on_this_machine

DATE_GRAIN: Final = timedelta(seconds=1)
"""Precision of a ``Date`` header: the server's clock may be ahead of it by less than this."""

CLOCK_TOLERANCE: Final = timedelta(minutes=1)  # Difference of the clocks above which a run warns


def earlier_of_both(now: datetime, server_ahead: timedelta) -> datetime:
    """The earlier of our clock and the server's, when ours shows `now`.

    Nothing is asked for that ends later than this, less the settling time: by one of the two
    clocks its records may still be arriving. The server's time is known in whole seconds, and
    gets the benefit of the doubt: otherwise a run at one o'clock sharp would miss its day.
    """
    return now + min(timedelta(), server_ahead + DATE_GRAIN)


def is_off(server_ahead: timedelta) -> bool:
    """Whether this machine's clock is so far off the API's that it is worth a warning."""
    return abs(server_ahead) > CLOCK_TOLERANCE


def remedy(base_url: str) -> str:
    """What to do about a clock that is off."""
    ntp = "let it be set from the network (NTP)"
    if is_on_this_machine(base_url):
        return f"if {base_url} is a simulator, it has a clock of its own; else {ntp}"
    return ntp


def warning(server_ahead: timedelta, base_url: str) -> str:
    """What a run says of a clock that is off: the direction, and what follows; else empty."""
    if not is_off(server_ahead):
        return ""
    seconds = round(abs(server_ahead).total_seconds())
    side, whose = "ahead of", "the API's"
    if server_ahead > timedelta():
        side, whose = "behind", "this machine's"
    return (
        f"this machine's clock is {seconds:,} seconds {side} the API's; the earlier of both "
        f"counts, {whose}: what is not over by it, less `settle`, is left for later; "
        f"{remedy(base_url)}"
    )
