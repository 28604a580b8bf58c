"""The recipes of docs/warehouse.md, run as they stand there against files of every format."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.cli.main import call
from orchestrator.cli.simulating import python_command
from orchestrator.core.products import PRODUCTS
from orchestrator.core.record_columns import columns_of
from orchestrator.simulator import Truth
from tests.kit.cli_worlds import Place, simulated
from tests.kit.postgres import postgres
from tests.test_cli_query import use

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs" / "warehouse.md"
FORMATS = ("csv", "csv.gz", "csv.zst", "parquet", "zip")
JOB = """\
name: job
accounts: [abcd1234]
products:
  - {product: SMS, direction: [outbound, inbound]}
  - {product: SMS, direction: outbound, status: delivered}
windows: [{from: 2026-01-01, to: 2026-0%d-01}]
"""
"""Records that stand in the files of two filters, and of another direction."""


def recipe(name: str) -> str:
    """A block of Python of the document."""
    (text,) = re.findall(rf"(?ms)^```python {name}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    return str(text)


class Warehouse:
    """A folder with the recipes, where `orchestrator` is on the PATH."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.directory = place.directory / "warehouse"
        programs = self.directory / "bin"
        programs.mkdir(parents=True)
        program = programs / "orchestrator"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(python_command([]))} "$@"\n', "utf-8")
        program.chmod(0o755)
        (self.directory / "reports.py").write_text(recipe("reports"), encoding="utf-8")
        self.months = 0

    def collect(self, *formats: str) -> None:
        """One month more in each format."""
        for form in formats:
            self.months += 1
            use(self.place, form)
            self.place.write_job(JOB % (self.months + 1))
            assert self.place.run("-q") == 0

    def run(self, name: str, *arguments: str, filter_text: str = "{}", code: int = 0) -> str:
        """What a recipe prints. It must end with the code."""
        script = self.directory / f"recipe_{name}.py"  # no name of a library
        script.write_text(
            recipe(name).replace('"outbound", {}', f'"outbound", {filter_text}'), "utf-8"
        )
        done = subprocess.run(
            [sys.executable, script, str(self.place.job), *arguments],
            cwd=self.directory,
            env={
                **os.environ,
                "PATH": f"{self.directory}/bin:{os.environ['PATH']}",
                "HOME": str(self.directory),
                "DLT_DATA_DIR": str(self.directory / "dlt"),
                "RUNTIME__DLTHUB_TELEMETRY": "false",
            },
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def sums(self, name: str, *arguments: str) -> dict[str, tuple[int, Decimal]]:
        """Records and money by currency, as a recipe prints them."""
        lines = [line.split() for line in self.run(name, *arguments).splitlines()]
        return {currency: (int(count), Decimal(money)) for currency, count, money in lines}

    def truth(self, first_month: int = 1) -> dict[str, tuple[int, Decimal]]:
        """Records and money by currency, as the API has them."""
        body = {
            "account_id": "abcd1234",
            "product": "SMS",
            "direction": "outbound",
            "date_start": f"2026-0{first_month}-01T00:00:00Z",
            "date_end": f"2026-0{self.months + 1}-01T00:00:00Z",
        }
        truth = Truth(self.place.simulator.settings, body)
        sums: defaultdict[str, list[Decimal]] = defaultdict(list)
        for row in truth.rows():
            fields = dict(zip(truth.columns, row, strict=True))
            sums[fields["currency"]].append(Decimal(fields["total_price"] or 0))
        return {currency: (len(each), sum(each, Decimal())) for currency, each in sums.items()}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """A month in each format; of each the records of two filters."""
    with simulated(tmp_path_factory.mktemp("place")) as place:
        warehouse = Warehouse(place)
        warehouse.collect(*FORMATS)
        yield warehouse


@pytest.fixture
def young(tmp_path: Path) -> Iterator[Warehouse]:
    """Two months."""
    with simulated(tmp_path) as place:
        warehouse = Warehouse(place)
        warehouse.collect("csv.gz", "parquet")
        yield warehouse


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_every_record_is_once_in_a_frame(full: Warehouse, library: str) -> None:
    pytest.importorskip(library)
    assert full.sums(library) == full.truth()


def test_every_record_is_once_in_duckdb(tmp_path: Path) -> None:
    with simulated(tmp_path) as place:
        warehouse = Warehouse(place)
        warehouse.collect("csv", "csv.gz", "csv.zst", "parquet")  # it does not read zip
        assert warehouse.sums("duckdb") == warehouse.truth()
        assert warehouse.sums("duckdb") == warehouse.truth()


@pytest.mark.timeout(180)
def test_postgresql_takes_in_what_has_changed(young: Warehouse) -> None:
    pytest.importorskip("psycopg")
    with postgres() as server:
        follows_changes(young, "postgres", server)


@pytest.fixture
def global_folder() -> Iterator[None]:
    """What dlt writes for root, wherever its data go, is gone afterwards if it was not there."""
    folder = Path("/var/dlt")
    was_there = folder.exists()
    yield
    if not was_there:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("global_folder")
def test_dlt_takes_in_what_has_changed(young: Warehouse) -> None:
    pytest.importorskip("dlt")
    follows_changes(young, "dlt")


def follows_changes(warehouse: Warehouse, name: str, *arguments: str) -> None:
    """Loads what is there, then what is added and replaced, then what is removed."""
    assert warehouse.sums(name, *arguments) == warehouse.truth()
    warehouse.collect("zip", "csv.zst")
    again = ("--again", "--from", "2026-01-01", "--to", "2026-02-01", "--yes")
    assert warehouse.place.run("-q", *again) == 0
    assert warehouse.sums(name, *arguments) == warehouse.truth()
    erase = ("erase", str(warehouse.place.job), "--before", "2026-02-01", "--yes")
    assert call([*erase]) == 0
    assert warehouse.sums(name, *arguments) == warehouse.truth(first_month=2)


def test_a_filter_that_is_not_there_is_told(full: Warehouse) -> None:
    told = full.run("duckdb", filter_text='{"status": "failed"}', code=1)
    assert """there are ['{"status": "delivered"}', '{}']""" in told


def test_keys_are_columns_of_their_products() -> None:
    rows = re.findall(r"(?m)^\| (`[A-Z].*?) \| `(\w+)`", PAGE.read_text(encoding="utf-8"))
    listed = {
        product: key for products, key in rows for product in re.findall("[A-Z0-9-]+", products)
    }
    assert listed.keys() | {"VIDEO-API", "MEETINGS"} == PRODUCTS.keys()
    for product, key in listed.items():
        assert key in columns_of(product)
