"""`schema`: the JSON Schema of the files that people write, for their editors."""

from __future__ import annotations

import json

import click

from orchestrator.cli.output import write
from orchestrator.config import config_schema, job_schema
from orchestrator.core.policy import ExitCode


@click.command(
    short_help="Print the JSON Schema of job files or of the config, for editors.",
    epilog="Example: `orchestrator schema job > job.schema.json`, and as the first line of a job "
    "file `# yaml-language-server: $schema=job.schema.json`.",
)
@click.argument("kind", metavar="job|config", type=click.Choice(["job", "config"]))
@click.option("--json", "as_json", is_flag=True, help="Changes nothing: a schema is JSON.")
def command(kind: str, as_json: bool) -> int:  # noqa: ARG001 - every command takes --json
    """Print the JSON Schema of job files or of the config.

    An editor that knows it completes keys, shows what they mean, and marks mistakes as you type.
    """
    schema = job_schema() if kind == "job" else config_schema()
    write([json.dumps(schema, indent=2), "\n"])
    return ExitCode.DONE
