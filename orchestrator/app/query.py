"""SQL over the collected files: one view per product, typed alike whatever the files' format.

Needs DuckDB (the extra ``query``). It reads the current files that the ledger lists, never what
else lies about, and sends nothing. A statement, which may come from somebody else, can do no more:
it reads these files alone, and writes none.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final, TypeVar

from orchestrator.app.files import ReportFile, files
from orchestrator.app.query_copies import REMEDY, copies
from orchestrator.config import Inputs
from orchestrator.core.commands import JOB, typed
from orchestrator.core.record_columns import ColumnType, column_type
from orchestrator.core.settings import Format
from orchestrator.errors import InputError
from orchestrator.texts import printable

_T = TypeVar("_T")

_SQL_TYPES: Final[Mapping[ColumnType, str]] = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.TIMESTAMP: "TIMESTAMPTZ",
    ColumnType.MONEY: "DECIMAL(18, 8)",
    ColumnType.INTEGER: "BIGINT",
}
_WRITTEN: Final[Mapping[ColumnType, str]] = {
    ColumnType.TIMESTAMP: (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
        r"(Z|[+-][0-9]{2}:?[0-9]{2})"
    ),
    ColumnType.MONEY: r"[+-]?[0-9]{1,10}(\.[0-9]{1,8})?",
    ColumnType.INTEGER: r"0|-?[1-9][0-9]{0,18}",
}
"""How a value has to be written to fit its type. DuckDB alone would read 007 as 7, and round."""

_MISFIT: Final = "a value does not fit column "
_PARTITIONS: Final = ("report_account", "report_product", "report_direction", "report_filter")
_CSV: Final = frozenset({Format.CSV, Format.CSV_GZ, Format.CSV_ZST})
_LONGEST_WAIT: Final = 0.1  # Seconds until a signal is noticed.
_BATCH_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a query.

    Attributes:
        rows: the answer, read as it is consumed.
        warnings: columns of which a value does not fit the type, so that they are text here.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    warnings: tuple[str, ...] = ()


def query(inputs: Inputs, sql: str) -> QueryResult:
    """Answers one statement of SQL about the collected files of the jobs (of all, without jobs).

    Every product with files is a view: ``sms``, ``voice_call``, ``verify_api``. Its columns are
    those of the files, with the types of `core.record_columns`, and the partitions
    ``report_account``, ``report_product``, ``report_direction`` and ``report_filter`` as text.
    Moments are in UTC.

    Raises:
        InputError: DuckDB is not installed, there is nothing to ask, the format cannot be asked,
            the statement is not right, or a file of an object store cannot be copied.
        LedgerError: the ledger cannot be read.
        OutputError: the local disk takes no copies.
    """
    duckdb = _library()
    _check_statement(duckdb, sql)
    connection = duckdb.connect()
    by_product = _paths(inputs, sql, connection)
    _confine(connection, [path for paths in by_product.values() for path in paths])
    try:
        views = [_View(connection, product, paths) for product, paths in by_product.items()]
    except duckdb.Error as error:
        raise _unreadable(error) from None
    outdated = views
    while True:
        try:
            for view in outdated:
                view.create()
        except duckdb.Error as error:
            raise _unreadable(error) from None
        try:
            answer, first = _interruptible(connection, lambda: _begin(connection, sql))
            columns = tuple(column[0] for column in answer.description or ())
            break
        except duckdb.Error as error:
            outdated = [view for view in views if view.adapt(str(error))]
            if not outdated:
                raise _refusal(error, views) from None
    warnings = tuple(text for view in views for text in view.warnings())
    return QueryResult(columns, _rows(answer, first, duckdb.Error), warnings)


def _begin(connection: Any, sql: str) -> tuple[Any, list[tuple[Any, ...]]]:
    """The answer to a statement, and its first rows."""
    answer = connection.execute(sql)
    first = answer.fetchmany(_BATCH_ROWS)
    if len(first) == _BATCH_ROWS:
        # The rest is computed as it is fetched. A value that does not fit is to show before the
        # first row is given out, so everything is computed once without result.
        connection.execute(f"EXPLAIN ANALYZE {sql}")
        answer = connection.execute(sql)
        first = answer.fetchmany(_BATCH_ROWS)
    return answer, first


def _interruptible(connection: Any, work: Callable[[], _T]) -> _T:
    """What some work of DuckDB gives. It is done in a thread, so that a signal ends it at once."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            future.set_exception(error)

    # No pool: whoever leaves one waits for its threads, also where the signal comes so early that
    # nothing is interrupted.
    worker = Thread(target=run, daemon=True)
    try:
        worker.start()
        # A signal that comes just before a wait begins does not end it: so none waits for long.
        while not future.done():
            wait([future], _LONGEST_WAIT)
        return future.result()
    finally:
        while worker.is_alive() and not future.done():
            connection.interrupt()
            worker.join(_LONGEST_WAIT)


def _paths(inputs: Inputs, sql: str, connection: Any) -> Mapping[str, list[str]]:
    """The paths of the collected files, by product.

    Those of an object store are copied first, of the products that the statement names; the copies
    go with the connection.
    """
    by_product: defaultdict[str, list[ReportFile]] = defaultdict(list)
    for file in files(inputs):
        by_product[file.series.product].append(file)
    if not by_product:
        raise InputError("nothing is collected yet, so there is nothing to ask")
    if inputs.config.output.url:
        named = {key: value for key, value in by_product.items() if _view_name(key) in sql.lower()}
        return copies(inputs.config.output, named or by_product, connection)
    return {key: [*map(_path, value)] for key, value in by_product.items()}


def _path(file: ReportFile) -> str:
    """The path of a file on the local disk; that of a cut one would give a wrong answer.

    Raises:
        InputError: it has another size than was collected. (DuckDB says that there is none.)
    """
    with suppress(OSError):
        if file.path.stat().st_size != file.size_bytes:
            raise InputError(f"{file.path} is not as it was collected; {REMEDY}")
    return str(file.path)


def _rows(
    answer: Any, first: list[tuple[Any, ...]], failure: type[Exception]
) -> Iterator[tuple[Any, ...]]:
    """All rows of an answer of which the first batch is fetched."""
    batch = first
    while batch:
        yield from batch
        try:
            batch = _interruptible(answer, lambda: answer.fetchmany(_BATCH_ROWS))
        except failure as error:
            raise _refusal(error) from None


def _library() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise InputError(
            "query needs DuckDB, which is not installed; install it with"
            " `pip install 'duckdb>=1.2'`"
        ) from None
    return duckdb


def _check_statement(duckdb: Any, sql: str) -> None:
    """Takes one statement that asks, and nothing else.

    ``COPY`` could overwrite the files that may be read; of ``EXPLAIN ANALYZE`` one does not see
    what it runs.
    """
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise _refusal(error) from None
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise InputError(
            "query takes one statement that asks, such as SELECT, FROM, WITH, DESCRIBE or SUMMARIZE"
        )


def _confine(connection: Any, paths: Sequence[str]) -> None:
    """Leaves a statement nothing of this machine but these files, for good.

    DuckDB would else read and write every file that the user may, load extensions, and take a
    variable of this program for a table.
    """
    allowed = {*paths, *map(_literal, paths)}  # a path is judged as it is written, too
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output
    connection.execute("SET python_enable_replacements = false")
    connection.execute(f"SET allowed_paths = {_list(sorted(allowed))}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _refusal(error: Exception, views: Sequence[_View] = ()) -> InputError:
    names = ", ".join(sorted(view.name for view in views))
    # A run or erase may have removed a file meanwhile. DuckDB then takes its path for a folder,
    # which it may not read.
    if type(error).__name__ == "IOException" or any(
        f'"{path}/' in str(error) for view in views for path in view.paths
    ):
        return _unreadable(error)
    what = f"DuckDB refuses the statement: {_words(error)}"
    return InputError(f"{what}; views are {names}" if names else what)


def _unreadable(error: Exception) -> InputError:
    return InputError(
        f"DuckDB cannot read the files: {_words(error)}; "
        f"{typed('verify', JOB)} tells which are missing or damaged"
    )


def _words(error: Exception) -> str:
    """What DuckDB says, without the statement that it repeats."""
    return printable(str(error).split("\n\n", 1)[0])


def _view_name(product: str) -> str:
    return product.lower().replace("-", "_")


class _View:
    """The view of one product."""

    def __init__(self, connection: Any, product: str, paths: Sequence[str]) -> None:
        self._connection = connection
        self._product = product
        self.name = _view_name(product)
        self.paths = paths
        self._sources = list(self._of_formats(paths))
        self._as_text: set[str] = set()

    def _of_formats(self, paths: Sequence[str]) -> Iterator[str]:
        """A table function for each kind of file."""
        csv = [path for path in paths if _format(path) in _CSV]
        parquet = [path for path in paths if _format(path) is Format.PARQUET]
        readable = {*csv, *parquet}
        if other := next((path for path in paths if path not in readable), None):
            raise InputError(
                f"{other} cannot be asked: query reads csv, csv.gz, csv.zst and parquet; "
                "collect with another output.format"
            )
        partitions = ", ".join(f"'{name}': VARCHAR" for name in _PARTITIONS)
        common = f"union_by_name = true, hive_partitioning = true, hive_types = {{{partitions}}}"
        if csv:
            yield (
                f"read_csv({_list([*map(_literal, csv)])}, header = true, all_varchar = true, "
                "delim = ',', "
                "quote = '\"', escape = '\"', allow_quoted_nulls = false, parallel = false, "
                f"max_line_size = 67108864, {common})"
            )
        # Files of which a column is text, since a value did not fit, are a table of their own:
        # one table has one type for a column.
        for group in _by_schema(self._connection, parquet):
            yield f"read_parquet({_list([*map(_literal, group)])}, {common})"

    def create(self) -> None:
        """Makes the view, or makes it anew."""
        selects = []
        for source in self._sources:
            asked = f"DESCRIBE SELECT * FROM {source}"  # noqa: S608 - paths are quoted
            described = self._connection.execute(asked).fetchall()
            columns = {name: kind for name, kind, *_ in described}
            expressions = ", ".join(map(self._expression, columns, columns.values()))
            selects.append(f"SELECT {expressions} FROM {source}")  # noqa: S608 - names are quoted
        union = " UNION ALL BY NAME ".join(selects)
        self._connection.execute(f"CREATE OR REPLACE VIEW {_name(self.name)} AS {union}")

    def _expression(self, name: str, kind: str) -> str:
        column = _name(name)
        wanted = column_type(name)
        if wanted is ColumnType.TEXT or name in self._as_text:
            return (
                column if kind in ("VARCHAR", "BLOB") else f"CAST({column} AS VARCHAR) AS {column}"
            )
        if kind != "VARCHAR":
            return column
        misfit = f"error('{_MISFIT}{self.name}.{name}')"
        return (
            f"CAST(CASE WHEN {column} = '' THEN NULL WHEN {column} IS NULL THEN NULL"
            f" WHEN regexp_full_match({column}, '{_WRITTEN[wanted]}') THEN {column}"
            f" ELSE {misfit} END AS {_SQL_TYPES[wanted]}) AS {column}"
        )

    def adapt(self, error: str) -> bool:
        """Notes that a column is text, of which an error says that a value does not fit.

        Returns:
            Whether there is one, so that the view has to be made anew.
        """
        before = f"{_MISFIT}{self.name}."
        if before not in error:
            return False
        name = error.partition(before)[2].split("\n", 1)[0].strip()
        if name in self._as_text:
            return False
        self._as_text.add(name)
        return True

    def warnings(self) -> Iterator[str]:
        """A sentence for each column that is text although it should have another type."""
        for name in sorted(self._as_text):
            kind = column_type(name).value
            yield f"{self.name}.{name} is text in this answer: a value in it is no {kind}"


def _by_schema(connection: Any, paths: Sequence[str]) -> Iterable[list[str]]:
    """Parquet files in groups whose columns of one name have one type."""
    if not paths:
        return []
    source = f"parquet_schema({_list([*map(_literal, paths)])})"
    asked = f"SELECT file_name, name, type, logical_type FROM {source}"  # noqa: S608 - quoted
    schemas: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for path, name, kind, logical in connection.execute(asked).fetchall():
        if column_type(name) is not ColumnType.TEXT:
            schemas[path][name] = f"{kind} {logical}"
    groups: defaultdict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for path in paths:
        groups[tuple(sorted(schemas[path].items()))].append(path)
    return groups.values()


def _format(path: str) -> Format | None:
    found = [kind for kind in Format if path.endswith(f".{kind.value}")]
    return max(found, key=lambda kind: len(kind.value), default=None)


def _literal(path: str) -> str:
    """The pattern that is this path and no other: DuckDB takes each path for a pattern."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)


def _list(paths: Sequence[str]) -> str:
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
