"""Options that several commands share, and the types of their values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

_PATH: Final = click.Path(path_type=Path)


class Duration(click.ParamType[timedelta]):
    """A duration such as ``500ms``, ``5s``, ``10m``, ``6h`` or ``2d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The duration, or click's own kind of error."""
        if isinstance(value, timedelta):
            return value
        if not value:
            self.fail("is empty; write it as 500ms, 5s, 10m, 6h or 2d", param, ctx)
        from orchestrator.config.parsers import InvalidValue, duration  # noqa: PLC0415 - start-up time

        try:
            return duration(value, timedelta(), timedelta(days=366))
        except InvalidValue as error:
            self.fail(f"{error}; {error.remedy}" if error.remedy else str(error), param, ctx)


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601, such as ``2026-03-01`` or ``2026-03-01T06:30:00Z``; UTC if unsaid."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment in UTC, or click's own kind of error."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-03-01T06:30:00Z", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        if not 1970 < moment.year < 9000:
            # Calendar arithmetic around the present must not leave what a datetime can hold.
            self.fail(f"{value!r} is out of reach; write a year from 1971 to 8999", param, ctx)
        return moment.astimezone(UTC)


jobs_argument = click.argument("jobs", metavar="JOB...", nargs=-1, required=True, type=_PATH)
"""One or more job files."""

optional_jobs_argument = click.argument("jobs", metavar="[JOB...]", nargs=-1, type=_PATH)
"""Any number of job files."""

config_option = click.option(
    "--config",
    type=_PATH,
    metavar="FILE",
    help="The config file. Default: $ORCHESTRATOR_CONFIG, then config.yaml beside the job file "
    "or in a folder above it.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")

now_option = click.option(
    "--now",
    type=Moment(),
    metavar="TIME",
    help="Take this as the present moment, for example 2026-03-01T06:30:00Z.",
)

lock_wait_option = click.option(
    "--lock-wait",
    type=Duration(),
    default="0s",
    show_default=True,
    help="How long to wait for another run on the same ledger to end.",
)

log_format_option = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The form of the lines on standard error.",
)
