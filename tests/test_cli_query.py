"""SQL over the collected files: every record once, typed alike in every format."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.app import query
from orchestrator.cli.main import call
from orchestrator.config import load_inputs
from orchestrator.errors import InputError
from orchestrator.simulator import Truth
from tests.kit.cli_worlds import Place, simulated

if TYPE_CHECKING:
    from pathlib import Path

JOB = """\
name: job
accounts: [abcd1234]
products:
  - {product: SMS, direction: [outbound, inbound], include_message: true}
  - VERIFY-API
  - VOICE-CALL
windows: [{from: 2026-01-01, to: FIRST}]
"""
SMS = {
    "account_id": "abcd1234",
    "product": "SMS",
    "include_message": True,
    "date_start": "2026-01-01T00:00:00Z",
    "date_end": "2026-05-01T00:00:00Z",
}


def use(place: Place, form: str) -> None:
    place.write_config()
    path = place.directory / "config.yaml"
    line = f"output: {{directory: reports, format: {form}}}"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [line if old.startswith("output:") else old for old in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def collect(place: Place, *formats: str) -> None:
    """One month more in each format."""
    for month, form in enumerate(formats, start=2):
        use(place, form)
        place.write_job(JOB.replace("FIRST", f"2026-0{month}-01"))
        assert place.run("-q") == 0


def rewrite(place: Place, path: Path, lines: list[str]) -> None:
    """Other lines in a file, as if it had been collected so."""
    path.write_text("\n".join(lines), encoding="utf-8")
    with closing(sqlite3.connect(place.state)) as ledger, ledger:
        change = "UPDATE report SET size_bytes = ? WHERE target = ?"
        target = path.relative_to(place.directory / "reports").as_posix()
        assert ledger.execute(change, (path.stat().st_size, target)).rowcount == 1


def a_call(folder: Path, duration: str) -> tuple[Path, str, str, str]:
    """A CSV of voice calls: its path, header and first record, and that with this duration."""
    path = next((folder / "reports").rglob("report_product=VOICE-CALL/**/*.csv"))
    header, first, *_ = path.read_text(encoding="utf-8").split("\n")
    fields = first.split('","')
    fields[header.split('","').index("duration")] = duration
    return path, header, first, '","'.join(fields)


def ask(place: Place, sql: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert call(["query", str(place.job), sql, "--json"]) == 0
    answer: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return answer


def test_records_of_every_format_are_one_table_with_one_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv", "csv.gz", "csv.zst", "parquet")
        (answer,) = ask(
            place,
            "select count(*) as records, count(distinct message_id) as ids,"
            " sum(total_price) as price, min(date_received) as first, sum(latency) as waited,"
            " typeof(any_value(date_received)) as moment, typeof(any_value(latency)) as number,"
            " max(typeof(report_account)) as account from sms where report_direction = 'outbound'",
            capsys,
        )
        truth = Truth(place.simulator.settings, {**SMS, "direction": "outbound"})
        at = {name: place for place, name in enumerate(truth.columns)}
        rows = list(truth.rows())
        price = sum(Decimal(row[at["total_price"]] or 0) for row in rows)
        waited = sum(int(row[at["latency"]] or 0) for row in rows)
        bodies = sorted(row[at["message_body"]] for row in rows)
        assert answer["records"] == answer["ids"] == len(rows)
        assert Decimal(answer["price"]) == price
        assert int(answer["waited"]) == waited
        assert (answer["moment"], answer["number"], answer["account"]) == (
            "TIMESTAMP WITH TIME ZONE",
            "BIGINT",
            "VARCHAR",
        )
        assert answer["first"].startswith("2026-01-01T")
        told = ask(
            place, "select message_body from sms where report_direction = 'outbound'", capsys
        )
        assert sorted(row["message_body"] for row in told) == bodies


def test_one_statement_asks_several_products(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "parquet")
        answer = ask(
            place,
            "select report_product, count(*) as records from ("
            "select report_product from sms union all by name select report_product from verify_api"
            " union all by name select report_product from voice_call) group by all order by 1",
            capsys,
        )
        listed: dict[str, int] = {}
        capsys.readouterr()
        assert call(["files", str(place.job), "--json"]) == 0
        for file in json.loads(capsys.readouterr().out):
            listed[file["product"]] = listed.get(file["product"], 0) + file["rows"]
    assert {row["report_product"]: row["records"] for row in answer} == listed


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("value", ["007", "1.5", "x"])
def test_a_value_that_does_not_fit_makes_its_column_text_and_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, value: str
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv", form)
        path, header, _, misfit = a_call(tmp_path, value)
        _, _, rest = path.read_text(encoding="utf-8").split("\n", 2)
        rewrite(place, path, [header, misfit, rest])
        capsys.readouterr()
        assert call(["query", str(place.job), "select duration from voice_call", "--json"]) == 0
        told = capsys.readouterr()
    answers = [row["duration"] for row in json.loads(told.out)]
    assert value in answers
    assert all(isinstance(answer, str) for answer in answers)
    assert "warning: voice_call.duration is text in this answer" in told.err


def test_a_file_that_is_removed_while_a_column_is_made_text_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = query._begin

    def begin_and_remove(connection: Any, sql: str) -> Any:
        try:
            return begin(connection, sql)
        finally:
            shutil.rmtree(tmp_path / "reports")

    with simulated(tmp_path) as place:
        collect(place, "csv")
        path, header, _, misfit = a_call(tmp_path, "x")
        rewrite(place, path, [header, misfit, ""])
        monkeypatch.setattr(query, "_begin", begin_and_remove)
        with pytest.raises(InputError, match=r"cannot read the files: .*; `?orchestrator verify"):
            query.query(load_inputs([place.job], env={}), "select duration from voice_call")


def test_a_late_value_that_does_not_fit_is_found_before_anything_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv")
        path, header, first, misfit = a_call(tmp_path, "x")
        rewrite(place, path, [header, *[first] * 300_000, misfit, ""])
        capsys.readouterr()
        assert call(["query", str(place.job), "select duration from voice_call"]) == 0
        told = capsys.readouterr()
    assert told.out.splitlines() == ["duration", *[told.out.splitlines()[1]] * 300_000, "x"]
    assert "warning: voice_call.duration is text in this answer" in told.err


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('{secret}')",
        "select * from '{secret}'",
        "select * from glob('{directory}/*')",
        "select getenv('HOME')",
        "select * from by_product",  # a variable of the program
        "copy (select 1) to '{directory}/written.csv'",
        "copy (select 1) to '{file}' (use_tmp_file false)",
        "explain analyze copy (select 1) to '{file}' (use_tmp_file false)",
        "select 1; copy (select 1) to '{file}' (use_tmp_file false)",
        "attach '{directory}/written.db'",
        "set enable_external_access = true",
        "install httpfs",
        "",
        "/* nothing */",
    ],
)
def test_a_statement_reads_the_collected_files_alone_and_writes_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv")
        secret = tmp_path / "secret.csv"
        secret.write_text("hush\nhush\n", encoding="utf-8")
        (tmp_path / "reports" / "other.csv").write_text("hush\nhush\n", encoding="utf-8")
        file = next((tmp_path / "reports").rglob("report_product=SMS/**/*.csv"))
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        text = sql.format(secret=secret, directory=tmp_path, file=file)
        capsys.readouterr()
        assert call(["query", str(place.job), text]) == 2
        told = capsys.readouterr()
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert {path for path in before if after.get(path) != before[path]} == set()
        assert {path.name for path in after.keys() - before.keys()} <= {
            "ledger.db-shm",
            "ledger.db-wal",
        }
    assert told.out == ""
    assert "hush" not in told.err
    assert "DuckDB refuses the statement" in told.err or "takes one statement" in told.err


@pytest.mark.parametrize("name", ["a[b]", "a*", "a?", "it's {x}"])
def test_signs_of_patterns_in_the_path_are_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    other = tmp_path / "ab"  # which each of the patterns would find
    here = tmp_path / name
    here.mkdir()
    with simulated(here) as place:
        collect(place, "csv", "parquet")
        (rows,) = ask(place, "select count(*) as n from verify_api", capsys)
        shutil.copytree(here / "reports", other / "reports")
        assert ask(place, "select count(*) as n from verify_api", capsys) == [rows]
        assert rows["n"] > 0


@pytest.mark.parametrize(
    ("form", "damage"),
    [
        ("csv", "missing"),
        ("parquet", "missing"),
        ("csv", "cut"),
        ("csv.gz", "cut"),
        ("csv", "pipe"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, damage: str
) -> None:
    with simulated(tmp_path) as place:
        collect(place, form)
        path = next((tmp_path / "reports").rglob(f"report_product=VERIFY-API/**/*.{form}"))
        content = path.read_bytes()
        path.unlink()
        if damage == "cut":  # at the end of a line: all that DuckDB reads of it is right
            path.write_bytes(content[: content.rfind(b"\n", 0, -1) + 1])
        elif damage == "pipe":
            os.mkfifo(path)
        capsys.readouterr()
        code = call(["query", str(place.job), "select count(*) from verify_api"])
        told = capsys.readouterr().err
    assert code == 2
    what = "DuckDB cannot read the files" if damage == "missing" else "is not as it was collected"
    assert what in told
    assert "orchestrator verify" in told


def test_a_file_that_is_removed_during_a_query_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = query._begin

    def remove_and_begin(connection: Any, sql: str) -> Any:
        shutil.rmtree(tmp_path / "reports")
        return begin(connection, sql)

    with simulated(tmp_path) as place:
        collect(place, "csv")
        inputs = load_inputs([place.job], env={})
        # Removed between the look at the columns and the answer: DuckDB itself reads ahead.
        monkeypatch.setattr(query, "_begin", remove_and_begin)
        with pytest.raises(InputError, match=r"cannot read the files: .*; `?orchestrator verify"):
            query.query(inputs, "select * from verify_api")


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("select * from smss", "views are sms, verify_api, voice_call"),
        ("selct 1", "DuckDB refuses the statement"),
        ("select 1 a, 2 b, 3 a", "two columns of the answer are called a"),
    ],
)
def test_a_wrong_statement_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sql: str, told: str
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv")
        capsys.readouterr()
        assert call(["query", str(place.job), sql, "--json"]) == 2
        assert told in capsys.readouterr().err


def test_nothing_stands_in_the_answer_that_is_no_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number that JSON lacks, and no progress bar of a long statement."""
    sql = "select 1 / 0 a, ['-inf'::double, 'nan'::double] b, current_setting($$%s$$) bar"
    with simulated(tmp_path) as place:
        collect(place, "csv")
        answer = ask(place, sql % "enable_progress_bar", capsys)
    assert answer == [{"a": "inf", "b": ["-inf", "nan"], "bar": False}]


def test_what_cannot_be_asked_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with simulated(tmp_path) as place:
        assert call(["query", str(place.job), "select 1"]) == 2
        assert "nothing is collected yet" in capsys.readouterr().err
        collect(place, "zip")
        assert call(["query", str(place.job), "select 1"]) == 2
        assert "cannot be asked: query reads csv" in capsys.readouterr().err
        assert call(["query", str(place.job), str(place.job)]) == 2
        assert "the statement comes last" in capsys.readouterr().err
        monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
        assert call(["query", str(place.job), "select 1"]) == 2
        assert "pip install 'duckdb" in capsys.readouterr().err


def test_a_table_for_people_and_tabs_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulated(tmp_path) as place:
        collect(place, "csv")
        capsys.readouterr()
        sql = "select 'a' as word, 1.50::decimal(9, 2) as money, null as nothing"
        assert call(["query", str(place.job), sql]) == 0
        assert capsys.readouterr().out == "word\tmoney\tnothing\na\t1.5\t\n"


LONG = (
    "select count(*) from range(100000) a, range(100000) b, range(9000) c where a.range < b.range"
)


def test_a_signal_ends_a_long_statement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = query._begin
    begun = threading.Event()

    def told(*arguments: Any) -> Any:
        begun.set()
        return begin(*arguments)

    def interrupt() -> None:
        assert begun.wait(20)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(query, "_begin", told)
    with simulated(tmp_path) as place:
        collect(place, "csv")
        threading.Thread(target=interrupt).start()
        assert call(["query", str(place.job), LONG]) == 130
    assert "internal error" not in capsys.readouterr().err


def test_a_signal_ends_a_statement_that_has_only_just_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(threading.Thread):
        def start(self) -> None:
            super().start()
            raise KeyboardInterrupt

    with simulated(tmp_path) as place:
        collect(place, "csv")
        monkeypatch.setattr(query, "Thread", Interrupted)
        assert call(["query", str(place.job), LONG]) == 130
