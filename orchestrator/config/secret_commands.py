"""Runs the command of a reference ``command:…`` and takes what it prints as the secret."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from orchestrator.config.parsers import InvalidValue

SECONDS: Final = 10.0  # For the whole command: a vault across the network answers in one or two.
_POLL_SECONDS: Final = 0.1  # How late the end of a command is seen whose output stays open.


def output_of(command: Sequence[str], env: Mapping[str, str], max_bytes: int) -> bytes:
    """What a command prints; at most one byte more than `max_bytes`, so that too much is seen.

    No shell runs it, it gets no input, and what it writes to standard error is thrown away, since
    tools repeat there what they were called with.

    Raises:
        InvalidValue: it cannot be run, ends with another code than 0, or takes too long.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # so that what it started ends with it
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the system refuses its name"
        raise InvalidValue(f"cannot be run ({reason})", "check its name and path") from None
    with process:
        try:
            output = _read(process, max_bytes, time.monotonic() + SECONDS)
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    if len(output) <= max_bytes and process.returncode:
        what = f"ended with {process.returncode}"
        raise InvalidValue(what, "run it in a shell to see why")
    return output


def _read(process: subprocess.Popen[bytes], max_bytes: int, until: float) -> bytes:
    """All that it prints until it ends; a process that it leaves behind is not waited for."""
    assert process.stdout is not None
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) <= max_bytes:
            # The order counts: what it wrote before it ended is read.
            ended = process.poll() is not None
            if selector.select(0 if ended else _POLL_SECONDS):
                block = os.read(process.stdout.fileno(), max_bytes + 1 - len(output))
                if not block:
                    break
                output += block
            elif ended:
                return output
            elif time.monotonic() > until:
                raise _too_slow()
    if len(output) <= max_bytes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _too_slow() from None
    return output


def _too_slow() -> InvalidValue:
    what = f"took longer than {SECONDS:.0f} seconds and was stopped"
    return InvalidValue(what, "it must ask nothing; run it in a shell to see why")
