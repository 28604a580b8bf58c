"""Starts the process: prepares signals, umask and secrets, and then loads the command line."""

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

_PR_SET_DUMPABLE: Final = 4
_M_ARENA_MAX: Final = -8


def entry() -> NoReturn:
    """Runs the command line and ends the process."""
    # The first process of a container has no default handlers, so a signal that comes while modules
    # load would be ignored. Nothing has begun yet, so it simply ends.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has SIGHUP ignored: so be it
            signal.signal(number, _end)
    # Python would write the keys of every TLS connection there: the secret could be read.
    os.environ.pop("SSLKEYLOGFILE", None)
    _keep_no_core()
    _share_one_heap()
    # Records are personal data; a config may let the group read them, and sets its own umask.
    os.umask(0o077)
    # Modules stay: looking for garbage in them would take a quarter of the start, and of the end.
    # `cli.main` switches it on again once the command is loaded.
    gc.disable()
    from orchestrator.cli.main import entry  # noqa: PLC0415 - what takes its time comes last

    sys.exit(entry())


def _keep_no_core() -> None:
    """Forbids core dumps of this process, because the secret would be in them."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        _, hard_limit = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard_limit))
    if sys.platform == "linux":
        # A program that the kernel pipes core dumps to would get them in spite of the limit.
        with suppress(ImportError, OSError, AttributeError):
            _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _share_one_heap() -> None:
    """Has all threads take their memory from one heap of glibc.

    By default each has a heap of its own, and keeps there what it has freed: after 25,000 small
    reports a run had 109 MB, and has 77 with one heap. Its threads are few and allocate little.
    """
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):  # other C libraries have no mallopt
            _libc().mallopt(_M_ARENA_MAX, 1)


def _libc() -> Any:
    import ctypes  # noqa: PLC0415 - on Linux alone

    return ctypes.CDLL(None)


def _end(_number: int, _frame: object) -> NoReturn:
    """Ends with the exit code of SIGTERM for both signals: a run treats them alike."""
    raise SystemExit(128 + signal.SIGTERM)
