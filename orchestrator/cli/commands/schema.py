"""`schema`: what people write (job files, the config) and programs read (records, the manifest)."""

import json
from typing import Any

import click

from orchestrator.cli.output import write
from orchestrator.collect.manifest_schema import manifest_schema
from orchestrator.config import config_schema, job_schema
from orchestrator.core.policy import ExitCode
from orchestrator.core.products import DIRECTIONS, PRODUCTS, canonical_name
from orchestrator.core.record_columns import DIRECTED, column_type, columns_of


@click.command(
    epilog="Example: `orchestrator schema job > job.schema.json`, and as the first line of a job "
    "file `# yaml-language-server: $schema=job.schema.json`. `orchestrator schema records SMS` "
    "lists the columns of SMS."
)
@click.argument(
    "kind",
    metavar="job|config|manifest|records",
    type=click.Choice(["job", "config", "manifest", "records"]),
)
@click.argument("product", required=False)
@click.option("--json", "as_json", is_flag=True, help="Changes nothing: a schema is JSON.")
def command(kind: str, product: str | None, as_json: bool) -> int:  # noqa: ARG001 - every command takes --json
    """Print a JSON Schema, or the columns of a product's records.

    An editor that knows the JSON Schema of job files or of the config completes keys, shows what
    they mean, and marks mistakes as you type. `manifest` is the schema of one line of
    `manifest.jsonl`. `records` lists the known columns with their types, of one PRODUCT or of all;
    files may have more, which are text.
    """
    if product is not None and kind != "records":
        raise click.UsageError(f"{product}: only `schema records` takes a product")
    if kind == "records":
        schema: Any = _records(product)
    else:
        schema = {"job": job_schema, "config": config_schema, "manifest": manifest_schema}[kind]()
    write([json.dumps(schema, indent=2), "\n"])
    return ExitCode.DONE


def _records(product: str | None) -> list[dict[str, Any]]:
    names = sorted(PRODUCTS) if product is None else [canonical_name(product)]
    for name in names:
        if name not in PRODUCTS:
            known = ", ".join(sorted(PRODUCTS))
            raise click.UsageError(f"{product} is no product known here; known are {known}")
    return [
        {
            "product": name,
            "direction": direction,
            "columns": [
                {"name": column, "type": column_type(column).value}
                for column in columns_of(name, direction)
            ],
        }
        for name in names
        for direction in (DIRECTIONS if name in DIRECTED else (None,))
    ]
