"""Texts of other libraries: which few are passed on, and that no other is.

They change with each version of their library. So our messages are made of codes, types and places;
where a text must be told all the same, a test here says so.
"""

from __future__ import annotations

import ast
import errno
import os
import socket
import sqlite3
import ssl
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import orchestrator
from orchestrator.api.connection_errors import (
    certificate_words,
    listen_words,
    system_words,
    tls_words,
)
from orchestrator.cli import main
from orchestrator.config.yaml_tree import LOADER, parse_document
from orchestrator.errors import InputError
from orchestrator.ledger.sqlite_errors import explain, way_back
from orchestrator.simulator.faults.loader import load_faults

FOREIGN = "words of a library"

# --- all of them ----------------------------------------------------------------------------------

PACKAGE = Path(orchestrator.__file__).parent
TOLD_AS_ITS_OWN = {"app/query.py: Error"}
"""What DuckDB says of a user's own statement, named as DuckDB's words."""

RAISED_BY_US = {
    "collect/manifest_reading.py: ValueError",
    "simulator/debugging.py: ValueError",
    "simulator/endpoints.py: ValueError",
    "simulator/requests.py: ValueError",
}
"""Where all that is called in the `try` raises it in our own words."""


def tells(handler: ast.ExceptHandler) -> bool:
    """Whether the text of the exception that was caught is used."""
    texts = []
    for node in ast.walk(handler):
        match node:
            case ast.FormattedValue(value=value):
                texts.append(value)
            case ast.Call(func=ast.Name(id="str" | "repr"), args=[value]):
                texts.append(value)
            case ast.Attribute(value=value, attr="args" | "msg" | "message" | "problem" | "reason"):
                texts.append(value)
            case _:
                pass
    return any(isinstance(text, ast.Name) and text.id == handler.name for text in texts)


def test_no_text_of_an_exception_that_is_not_ours_gets_into_a_message() -> None:
    trees = {path: ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}
    nodes = {path: [*ast.walk(tree)] for path, tree in trees.items()}
    ours = {node.name for each in nodes.values() for node in each if isinstance(node, ast.ClassDef)}
    found = set()
    for path, each in nodes.items():
        for node in each:
            if not isinstance(node, ast.ExceptHandler) or node.type is None or not tells(node):
                continue
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = {ast.unparse(kind).rpartition(".")[2] for kind in kinds}
            found |= {f"{path.relative_to(PACKAGE)}: {name}" for name in names - ours}
    assert found == RAISED_BY_US | TOLD_AS_ITS_OWN


# --- passed on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [click.UsageError, click.BadParameter, click.NoSuchOption])
def test_what_click_says_of_a_command_line_is_passed_on(
    kind: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How to use the command line: click knows that, and says it well in any version."""
    error = kind(FOREIGN)

    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(main.main, "main", fail)
    assert main.call(["run"]) == 2
    assert f"Error: {error.format_message()}\n" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EACCES, errno.EADDRINUSE, errno.ENETUNREACH])
def test_the_systems_words_for_an_error_number_are_passed_on(number: int) -> None:
    """Not those in the exception: asyncio puts a sentence of its own there."""
    assert system_words(OSError(number, FOREIGN)) == os.strerror(number)


def test_openssls_name_of_a_failure_is_passed_on() -> None:
    """For a search; a sentence that says what happened stands around it."""
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = ssl.create_default_context().wrap_bio(received, sent, server_hostname="api.test")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    received.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        connection.do_handshake()
    assert caught.value.reason
    assert caught.value.reason.isupper()
    assert tls_words(caught.value) == caught.value.reason


# --- not passed on --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, FOREIGN), "the name is not found"),
        (OSError(FOREIGN), "OSError"),
        (TimeoutError(FOREIGN), "TimeoutError"),
        (UnicodeEncodeError("idna", "x", 0, 1, FOREIGN), "no name of a host"),
    ],
)
def test_an_error_without_a_number_is_told_in_ours(error: Exception, words: str) -> None:
    assert system_words(error) == words
    assert tls_words(error) == words


def test_an_address_that_no_socket_can_have_is_told_as_that() -> None:
    """Python 3.13 raises a sentence for it, without a number."""
    assert listen_words(OSError(FOREIGN)) == os.strerror(errno.EADDRNOTAVAIL)
    assert listen_words(OSError(errno.EADDRINUSE, FOREIGN)) == os.strerror(errno.EADDRINUSE)
    assert listen_words(socket.gaierror(socket.EAI_NONAME, FOREIGN)) == "the name is not found"


def certificate_error(number: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, FOREIGN)
    error.verify_code = number
    error.verify_message = FOREIGN
    return error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (10, "it has expired"),
        (19, "this machine does not know who issued it"),
        (62, "it is for another name"),
        (0, "it cannot be verified"),
        (999, "it cannot be verified"),
    ],
)
def test_what_is_wrong_with_a_certificate_goes_by_openssls_number(number: int, words: str) -> None:
    assert certificate_words(certificate_error(number)) == words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (sqlite3.SQLITE_FULL, "the disk is full; make room and run again: nothing is lost"),
        (sqlite3.SQLITE_NOTADB, f"the file is damaged; {way_back()}"),
        (sqlite3.SQLITE_CORRUPT_INDEX, f"the file is damaged; {way_back()}"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program holds it; close that program"),
        (sqlite3.SQLITE_TOOBIG, f"the file is damaged; {way_back()}"),
        (sqlite3.SQLITE_RANGE, "SQLite reports SQLITE_X; check the disk and run again"),
    ],
)
def test_what_sqlite_reports_goes_by_its_code(code: int, words: str) -> None:
    error = sqlite3.OperationalError(FOREIGN)
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_X"
    assert str(explain(error, Path("l.db"))) == f"the ledger l.db: {words}"


def test_an_error_of_sqlites_module_has_no_code() -> None:
    words = "SQLite reports ProgrammingError; check the disk and run again"
    error = sqlite3.ProgrammingError(FOREIGN)
    assert str(explain(error, Path("l.db"))) == f"the ledger l.db: {words}"


# --- PyYAML ---------------------------------------------------------------------------------------


class Odd(yaml.SafeLoader):
    """A parser that gives up at a depth of its own, in words that nobody has seen."""

    deepest = 40
    levels = 0

    def fetch_flow_collection_start(self, kind: Any) -> None:
        self.levels += 1
        if self.levels > self.deepest:
            raise yaml.scanner.ScannerError(None, None, FOREIGN, self.get_mark())
        super().fetch_flow_collection_start(kind)


@pytest.mark.parametrize("loader", [LOADER, yaml.SafeLoader, Odd], ids=["newest", "plain", "odd"])
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("accounts: " + "[" * 100_000, "1:26"),
        ("é: [a, " + "{b: [" * 10_000, "1:43"),
        ("x: 1\né: [\n" + "  [\n" * 10_000, "17:3"),
        ("# [[[[[[[[[[[[[[[[[[[[\né: ['[[[[[', " + "[" * 5_000, "2:28"),
    ],
    ids=["one line", "both brackets", "lines", "others that do not count"],
)
def test_a_depth_is_refused_in_our_words_though_the_parser_has_a_limit(
    text: str, place: str, loader: Any
) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(text, "f", loader)
    assert str(caught.value) == f"f:{place}: is nested deeper than 16 levels; no key stands so deep"


def test_brackets_in_a_quoted_text_are_no_depth() -> None:
    with pytest.raises(InputError) as caught:
        parse_document('a: "' + "[" * 5_000, "f")
    assert str(caught.value).startswith("f:1:4: this quote is never closed;")


def test_what_the_parser_says_in_unknown_words_is_told_in_ours_at_its_place() -> None:
    """Known words of it only choose among ours: tests/test_config_yaml_tree.py says which."""
    Odd.deepest, before = 0, Odd.deepest
    try:
        with pytest.raises(InputError) as caught:
            parse_document("a: 1\nb: [1]\n", "f", Odd)
    finally:
        Odd.deepest = before
    assert str(caught.value) == "f:2:4: cannot be read as YAML here; check this line"


@pytest.mark.parametrize("text", ["a: 'b", "faults: [}", "%", "a: \t- b", "{a", "!<"])
def test_of_a_file_of_faults_the_place_is_told_and_no_word_of_the_parser(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_faults(path)
    (mistake,) = caught.value.mistakes
    assert mistake.line >= 1
    assert (mistake.what, mistake.remedy) == ("cannot be read as YAML here", "check this line")
