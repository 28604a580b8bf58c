"""Dagster: one op that collects each night. `dagster dev -f orchestrator_job.py`.

Change PLACE and JOBS. The credentials are VONAGE_API_KEY and VONAGE_API_SECRET in the environment
of the code location, or what the config names.
"""

import subprocess

from dagster import (
    Definitions,
    Failure,
    OpExecutionContext,
    RetryRequested,
    ScheduleDefinition,
    job,
    op,
)

# In an environment of its own, so that its libraries and Dagster's need not agree.
PROGRAM = "/opt/orchestrator/bin/orchestrator"
# Config, job files and ledger: on a local disk of the machine that runs the op.
PLACE = "/srv/reports"
JOBS = ["nightly.yaml"]

# Trying again does not help: something was given up or refused, bad input, a bug, the disk.
NEEDS_PERSON = {1, 2, 70, 74}


# One run at a time works on a ledger: give the pool the limit 1. A second run would exit with 3.
@op(pool="orchestrator")
def collect(context: OpExecutionContext) -> None:
    """One run of the program, to its end."""
    code = run_program(context)
    if code in NEEDS_PERSON:
        raise Failure(f"exit code {code}: see the log; it is not tried again", allow_retries=False)
    if code:  # 75 not finished, 3 another run is active, 130 and 143 interrupted
        # No `retry_policy`: that would also start a run again which has just been cancelled.
        raise RetryRequested(max_retries=6, seconds_to_wait=1800)


def run_program(context: OpExecutionContext) -> int:
    """Its exit code; what it says is logged. An end of the op stops the run in order."""
    with subprocess.Popen(
        [PROGRAM, "run", *JOBS, "--deadline", "3h"],
        cwd=PLACE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # So that it ends by itself, where Dagster does not wait for it.
    ) as process:
        try:
            for line in process.stdout or ():
                context.log.info(line.rstrip())
            return process.wait()
        except BaseException:
            process.terminate()
            process.communicate()
            raise


@job
def nightly() -> None:
    """What the schedule starts."""
    collect()


definitions = Definitions(
    jobs=[nightly],
    schedules=[
        ScheduleDefinition(job=nightly, cron_schedule="5 4 * * *", execution_timezone="UTC")
    ],
)
