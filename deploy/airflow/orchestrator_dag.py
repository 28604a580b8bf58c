"""Airflow 3: one task that collects each night. Copy it into the folder of DAGs.

Change PLACE and JOBS. Make the connection first:

    airflow connections add vonage_reports --conn-type generic \
        --conn-login abcd1234 --conn-password …
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# In an environment of its own, so that its libraries and Airflow's need not agree.
PROGRAM = "/opt/orchestrator/bin/orchestrator"
# Config, job files and ledger: a local disk, at the one worker that takes the task (`queue`).
PLACE = "/srv/reports"
JOBS = ["nightly.yaml"]

# Trying again does not help: something was given up or refused, bad input, a bug, the disk.
NEEDS_PERSON = {1, 2, 70, 74}


class Collect(BaseOperator):
    """One run of the program, which logs what it says."""

    def execute(self, context: Any) -> None:
        """Runs it to its end; credentials are handed over in the environment alone."""
        login = BaseHook.get_connection("vonage_reports")
        self.run = SubprocessHook()
        code = self.run.run_command(
            [PROGRAM, "run", *JOBS, "--deadline", "3h"],
            env={
                **os.environ,
                "VONAGE_API_KEY": login.login or "",
                "VONAGE_API_SECRET": login.password or "",
            },
            cwd=PLACE,
        ).exit_code
        if code in NEEDS_PERSON:
            raise AirflowFailException(f"exit code {code}: see the log; it is not tried again")
        if code:  # 75 not finished, 3 another run is active, 130 and 143 interrupted
            raise AirflowException(f"exit code {code}: the next try goes on")

    def on_kill(self) -> None:
        """Stops the run in order. It ends by itself, also where Airflow does not wait for it."""
        self.run.send_sigterm()


with DAG(
    "vonage_reports",
    schedule="5 4 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,  # The next run makes up for missed nights by itself.
    max_active_runs=1,  # One run at a time works on a ledger; a second one would exit with 3.
) as nightly:
    Collect(task_id="collect", retries=6, retry_delay=timedelta(minutes=30))
