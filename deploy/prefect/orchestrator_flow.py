"""Prefect 3: one task that collects each night. `python orchestrator_flow.py` serves it.

Change PLACE and JOBS. Make the two secrets first, in the server's pages (Blocks, Secret) or by:

    from prefect.blocks.system import Secret
    Secret(value="…").save("vonage-api-secret")
"""

import os
import subprocess
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.blocks.system import Secret

# In an environment of its own, so that its libraries and Prefect's need not agree.
PROGRAM = "/opt/orchestrator/bin/orchestrator"
# Config, job files and ledger: on a local disk of the machine that serves the flow.
PLACE = "/srv/reports"
JOBS = ["nightly.yaml"]

# Trying again does not help: something was given up or refused, bad input, a bug, the disk.
NEEDS_PERSON = {1, 2, 70, 74}


class NeedsPersonError(Exception):
    """Trying again does not help."""


class NotFinishedError(Exception):
    """The next try goes on."""


def helps(_task: Any, _run: Any, state: Any) -> bool:
    """Whether another try may help."""
    return not isinstance(state.result(raise_on_failure=False), NeedsPersonError)


@task(retries=6, retry_delay_seconds=1800, retry_condition_fn=helps)
def collect() -> None:
    """One run of the program, to its end."""
    code = run_program()
    if code in NEEDS_PERSON:
        raise NeedsPersonError(f"exit code {code}: see the log; it is not tried again")
    if code:  # 75 not finished, 3 another run is active, 130 and 143 interrupted
        raise NotFinishedError(f"exit code {code}: the next try goes on")


def run_program() -> int:
    """Its exit code; what it says is logged. An end of the task stops the run in order."""
    log = get_run_logger()
    with subprocess.Popen(
        [PROGRAM, "run", *JOBS, "--deadline", "3h"],
        cwd=PLACE,
        env={
            **os.environ,
            "VONAGE_API_KEY": Secret.load("vonage-api-key").get(),
            "VONAGE_API_SECRET": Secret.load("vonage-api-secret").get(),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # So that it ends by itself, where Prefect does not wait for it.
    ) as process:
        try:
            for line in process.stdout or ():
                log.info(line.rstrip())
            return process.wait()
        except BaseException:
            process.terminate()
            process.communicate()
            raise


@flow
def nightly() -> None:
    """What the schedule starts."""
    collect()


if __name__ == "__main__":
    # One run at a time works on a ledger; a second one would exit with 3.
    nightly.serve(name="nightly", cron="5 4 * * *", limit=1)
