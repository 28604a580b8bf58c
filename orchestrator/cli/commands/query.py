"""`query`: SQL over the collected files."""

import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain, islice
from math import isfinite
from pathlib import Path
from typing import Any, Final

import click

from orchestrator.app.query import query
from orchestrator.cli import options
from orchestrator.cli.inputs import announce, read_inputs
from orchestrator.cli.output import json_list, json_text, write, write_lines
from orchestrator.cli.tables import aligned, tab_separated
from orchestrator.core.policy import ExitCode
from orchestrator.errors import InputError
from orchestrator.presence import exists
from orchestrator.texts import printable

_LOOKED_AT: Final = 100  # Rows by which a terminal decides which columns are numbers.


@click.command(
    epilog='Example: `orchestrator query jobs/nightly.yaml "select country, count(*), '
    'sum(total_price), currency from sms group by all"`. Needs DuckDB: `pip install duckdb`.'
)
@click.argument("arguments", nargs=-1, required=True, metavar="[JOB]... SQL")
@options.json_option
@options.config_option
def command(arguments: tuple[str, ...], as_json: bool, config: Path | None) -> int:
    """Answer one statement of SQL over the collected files of these jobs; without a JOB, of all.

    Every product is a view (`sms`, `voice_call`, `verify_api`) with typed columns, whatever the
    format of the files, and with `report_account`, `report_product`, `report_direction` and
    `report_filter`. A record that two filters of one product have collected is there twice: ask for
    one `report_filter`. Moments are in UTC.
    """
    *jobs, sql = arguments
    if sql.lower().endswith((".yaml", ".yml")) and exists(Path(sql)):
        raise click.UsageError(f"{sql} is a file: the statement comes last, in quotes")
    result = query(read_inputs([Path(job) for job in jobs], config, quiet=True), sql)
    for warning in result.warnings:
        announce("warning", warning)
    if as_json:
        if twice := [name for name, number in Counter(result.columns).items() if number > 1]:
            raise InputError(
                f"two columns of the answer are called {printable(twice[0])}, of which an object"
                " of JSON can hold only one; name one of them with AS"
            )
        write(
            json_list(
                json_text(dict(zip(result.columns, map(_json, row), strict=True)))
                for row in result.rows
            )
        )
        write(["\n"])
        return ExitCode.DONE
    first = list(islice(result.rows, _LOOKED_AT))
    cells = ([_cell(value) for value in row] for row in chain(first, result.rows))
    if sys.stdout.isatty():
        numbers = frozenset(
            name
            for place, name in enumerate(result.columns)
            if any(isinstance(row[place], int | float | Decimal) for row in first)
        )
        write_lines(aligned(result.columns, cells, right=numbers))
    else:
        write_lines(tab_separated(result.columns, cells))
    return ExitCode.DONE


def _cell(value: Any) -> str:
    return "" if value is None else str(_json(value))


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and not isfinite(value)


def _json(value: Any) -> Any:
    match value:
        # JSON has no number for infinity and NaN: they are text, as all that has no case here.
        case None | bool() | int() | float() | str() if not _is_infinite(value):
            return value
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Decimal():
            return f"{value.normalize():f}"
        case list() | tuple():
            return [_json(part) for part in value]
        case dict():
            return {str(key): _json(part) for key, part in value.items()}
        case _:
            return str(value)
