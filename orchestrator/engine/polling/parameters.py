"""Holds every tuning constant of polling, with unit and reason. Nothing here computes."""

from datetime import timedelta
from typing import Final

from orchestrator.core import lifespans

# --- PollSchedule: when to poll -------------------------------------------------------------------

ENDS_PER_LIST: Final = 3.5
"""Reports. Ask for a list when so many have probably ended: each brings a create and a download, so
that one request in eight is a poll.
"""

SHARE_PER_LIST: Final = 0.2
"""Share of the open reports. Ask for a list when so many have probably ended, if that is less than
ENDS_PER_LIST: with few open reports requests are cheap, and somebody waits.
"""

CHANCE_PER_POLL: Final = 0.2
"""Probability that a report has ended at which it is polled by itself: a report takes six or seven
polls then, and somebody waits about as long as for a list.
"""

EARLIER_RUN_DELAY: Final = 0.5
"""Seconds before reports of earlier runs are polled, so that one list answers for all that are read
from the ledger together.
"""

JITTER: Final = 0.25
"""Width of the random factor around 1 of each pause, so that clients that start together do not
poll together.
"""

FRUITLESS_POLLS: Final = lifespans.UNKNOWN_LOOKS
"""Polls without news (404, or SUCCESS without a link) after which pauses grow beyond
`poll.interval_max`: a proof needs so many, and further ones only have to span an hour.
"""

FRUITLESS_GROWTH: Final = 10  # Times `poll.interval_max`. The longest pause between such polls.
MAX_EXPONENT: Final = 30  # Doublings of a pause. Keeps `1 << n` small; every maximum is reached.

SAMPLE_SIZE: Final = 100
"""Reports of a list that are looked up in the life tables. They stand for all: looking up thousands
for each plan would cost processor time.
"""

HISTORY_DECAY: Final = 0.9
"""Weight that each poll leaves to the polls before it, when expected and observed ends are
compared, and when callbacks are counted: about ten count.
"""

HISTORY_START: Final = 4.0
"""Ends, both expected and observed, before the first poll: the first surprises do not change the
pause at once.
"""

MAX_CORRECTION: Final = 8.0  # Times (and one over it) that expected ends are corrected at most

RELIABLE_CALLBACKS: Final = 0.5
"""Share of the latest ends that callbacks told of, above which polls by the clock only need
`poll.interval_max`.
"""

# --- Which reports lists answer for ---------------------------------------------------------------

NEW_REPORT_AGE: Final = 60.0  # Seconds. An older report may have ended long ago when we first wait.

MAX_LIST_AGE: Final = 8
"""Times the median age. A report that is older makes every list reach back to it; it is polled by
itself, unless it is younger than RECHECK_AFTER.
"""

KEY_LIST_ACCOUNTS: Final = 3
"""Accounts under a key from which on the key's own list is asked first: it may show them all."""

LIST_TIME_SLACK: Final = timedelta(seconds=60)
"""How far the time of the next report may be from the times that lists have shown, between our
clock and the API's.
"""

# --- ListTrust: whether a list is right -----------------------------------------------------------

LIST_DELAY: Final = 60.0  # Seconds that a list may take to show a new report

MAX_LIST_FAILURES: Final = 3
"""Failed lists in a row, or reports that a list lacks, until it is not asked any more."""

MAX_LACKING_SHARE: Final = 0.1
"""Lacking reports for each one shown: a list that lacks fewer stays in use, for it still saves
requests.
"""

MAX_LIST_TRIES: Final = 3
"""Lists of each account that show none of its reports, until all of them are left out."""

LIST_RETRY_PAUSE: Final = 900.0
"""Seconds until lists that were left out are tried again for new reports; doubles each time."""

MAX_LIST_LAG: Final = 30.0
"""Seconds that a list may show a report as open that has ended; caches and replicas take so long.
"""

LAG_FORGOTTEN_AFTER: Final = 300.0
"""Seconds until a single report that a list shows as open for ever is no longer compared."""

MAX_WRONG_REPORTS: Final = 2
"""Reports shown in a wrong state until a list is not asked any more; a single one may be that
report's own fault.
"""

MAX_COMPARED: Final = 8  # Ended reports that are compared with lists at once: they keep lists long

MIN_CHECK_PAUSE: Final = 30.0
"""Seconds between two checks of a list, at least: a list that stands still is found out within a
few minutes.
"""

CHECK_GROWTH: Final = 2  # A list is checked again after its age divided by this: ever more rarely

QUIET_CHECK_GROWTH: Final = 4
"""The same while several lists in a row have shown no end, which is what a list that stands still
looks like.
"""

MAX_RECHECKS: Final = 3
"""Reports polled by themselves after one list because they have been shown as open for long: if it
is wrong about some, the next list gives the others away as well.
"""

# --- Poller: single polls -------------------------------------------------------------------------

RECHECK_AFTER: Final = 600.0
"""Seconds that lists are believed that a report is open; also a report that takes three times as
long as expected is polled by itself.
"""

RECHECK_TIMES_EXPECTED: Final = 3  # Times the expected duration; see RECHECK_AFTER
CALLBACKS_PER_LIST: Final = 3  # Reports with a callback at once that one list answers for
WARN_AFTER_FAILURES: Final = 3  # Polls in a row of one report without an answer until it is said
