"""`init`: files that load without a warning, never over others, by options or by questions."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.app.init import (
    CHANNELS,
    CONFIG,
    SIMULATOR_PORT,
    InitRequest,
    write_first_files,
)
from orchestrator.cli.main import call
from orchestrator.config import config_schema, job_schema, load_inputs
from orchestrator.core.products import PRODUCTS
from orchestrator.core.settings import Secret
from orchestrator.errors import InputError, OutputError
from tests.kit.programs import environment_with_program
from tests.test_cli_simulate import simulator

README = Path(__file__).parents[1] / "README.md"
PATIENCE = 30.0
"""Seconds for one answer of a process."""


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VONAGE_API_KEY", "VONAGE_API_SECRET", "NEXMO_API_KEY", "ORCHESTRATOR_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_files_load_without_a_warning_and_say_what_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["init", "--account", "abcd1234", "--account", "00123456", "--product", "SMS"]
    arguments += ["--product", "voice-call", "--timezone", "Europe/London", "--days", "30"]
    arguments += ["--price", "0.00005", "--currency", "eur", "--job", "history"]
    assert call(arguments) == 0
    inputs = load_inputs([tmp_path / "history.yaml"], env={})
    assert inputs.warnings == ()
    assert inputs.config.path == tmp_path / CONFIG
    (job,) = inputs.jobs
    assert job.name == "history"
    series = {(entry.series.account_id, entry.series.product) for entry in job.series}
    assert series == {
        (account, product)
        for account in ("abcd1234", "00123456")
        for product in ("SMS", "VOICE-CALL")
    }
    assert inputs.config.prices.currency == "EUR"
    assert call(["plan", "history.yaml"]) == 0
    said = capsys.readouterr().out
    assert (
        "  export VONAGE_API_KEY=… VONAGE_API_SECRET=…\n  orchestrator check history.yaml" in said
    )


def test_without_questions_there_are_defaults_for_all_but_the_account(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["init"]) == 2
    assert "--account: is missing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert call(["init", "new/place", "--account", "abcd1234", "--no-schema"]) == 0
    place = tmp_path / "new" / "place"
    assert sorted(path.name for path in place.iterdir()) == [CONFIG, "nightly.yaml"]
    assert stat.S_IMODE((place / CONFIG).stat().st_mode) == 0o600
    assert "orchestrator run new/place/nightly.yaml" in capsys.readouterr().out


@pytest.mark.parametrize("name", [CONFIG, "nightly.yaml", "schema/job.json"])
def test_no_file_is_written_over_and_none_beside_it(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / name
    there.parent.mkdir(exist_ok=True)
    there.symlink_to("nowhere")
    assert call(["init", "--account", "abcd1234"]) == 2
    assert f"{name}: is there already" in capsys.readouterr().err
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == [there]


def test_every_wrong_answer_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["init", "--account", "abcd", "--product", "SMSS", "--product", "CONVERSATIONS"]
    arguments += ["--timezone", "Europe/Lundon", "--days", "0", "--price", "free"]
    arguments += ["--currency", "euros", "--job", "config"]
    assert call(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines[:-1]] == [
        "--account",
        "--product",
        "--product",
        "--timezone",
        "--days",
        "--price",
        "--currency",
        "--job",
    ]
    assert "did you mean SMS?" in lines[1]


def test_a_secret_on_the_command_line_is_refused_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["init", "--account", "abcd1234", "--secret-from", "hunter2hunter2"]) == 2
    said = capsys.readouterr()
    assert "--secret-from: is neither ${NAME} nor file:PATH" in said.err
    assert "hunter2" not in said.err + said.out
    assert list(tmp_path.iterdir()) == []


def test_references_are_written_as_they_are_and_looked_up_later(tmp_path: Path) -> None:
    arguments = ["init", "--account", "abcd1234", "--key-from", "abcd1234"]
    assert call([*arguments, "--secret-from", "file:secret"]) == 0
    reference = load_inputs([tmp_path / "nightly.yaml"], env={}).config.credentials["default"]
    assert reference.api_key == "abcd1234"
    assert reference.api_secret.reveal() == f"file:{tmp_path}/secret"


def test_older_variables_are_named_where_only_those_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXMO_API_KEY", "abcd1234")
    assert call(["init", "--account", "abcd1234"]) == 0
    assert "${NEXMO_API_SECRET}" in (tmp_path / CONFIG).read_text()


def test_another_config_that_would_count_instead_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_CONFIG", "/etc/other.yaml")
    assert call(["init", "--account", "abcd1234"]) == 0
    assert "$ORCHESTRATOR_CONFIG names another config" in capsys.readouterr().err


def test_the_schemas_are_those_of_the_first_lines(tmp_path: Path) -> None:
    assert call(["init", "--account", "abcd1234"]) == 0
    for name, schema in ((CONFIG, config_schema()), ("nightly.yaml", job_schema())):
        first = (tmp_path / name).read_text().splitlines()[0]
        written = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
        assert json.loads(written.read_text()) == schema


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_that_needs_no_filter_gives_a_job_that_loads(
    tmp_path: Path, product: str
) -> None:
    request = InitRequest(tmp_path, ("abcd1234",), (product,), with_schemas=False)
    if PRODUCTS[product].required:
        with pytest.raises(InputError, match="by hand"):
            write_first_files(request)
        return
    inputs = load_inputs([write_first_files(request).job], env={})
    assert {entry.series.product for entry in inputs.jobs[0].series} == {product}


def test_the_lines_of_products_that_were_not_chosen_load_once_their_sign_is_removed(
    tmp_path: Path,
) -> None:
    result = write_first_files(InitRequest(tmp_path, ("abcd1234",)))
    text = result.job.read_text().replace("  # - ", "  - ")
    result.job.write_text(text)
    inputs = load_inputs([result.job], env={})
    assert {entry.series.product for entry in inputs.jobs[0].series} == set(CHANNELS)


def test_what_the_disk_refuses_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "schema").write_text("a file")
    with pytest.raises(OutputError, match=r"schema: .*choose another directory"):
        write_first_files(InitRequest(tmp_path, ("abcd1234",)))
    assert [path.name for path in tmp_path.iterdir()] == ["schema"]


def test_the_secret_is_in_no_text_of_the_request(tmp_path: Path) -> None:
    request = InitRequest(tmp_path, ("abcd1234",), api_secret=Secret("hunter2"))
    assert "hunter2" not in repr(request)


def test_from_an_empty_directory_to_the_first_file_in_three_commands(tmp_path: Path) -> None:
    """As the README has it, but at a port that is free."""
    with simulator("--speed", "100") as (_, ready):
        port = ready["base_url"].rpartition(":")[2]
        began = time.monotonic()
        assert call(["init", "--simulator", "--port", port]) == 0
        assert call(["check", "nightly.yaml"]) == 0
        assert call(["run", "nightly.yaml"]) == 0
        assert time.monotonic() - began < 60
    assert len(list((tmp_path / "reports").rglob("*.csv"))) == 2


# --- on a terminal --------------------------------------------------------------------------------


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, arguments: list[str], directory: Path) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments],
            cwd=directory,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.said = ""

    def answer(self, question: str, text: str) -> None:
        """Waits for a question, then types."""
        self._read_until(question)
        os.write(self._master, text.encode() + b"\n")

    def end(self) -> int:
        """Reads all that is said until the end; the exit code."""
        self._read_until(None)
        os.close(self._master)
        return self._process.wait(PATIENCE)

    def _read_until(self, text: str | None) -> None:
        begin = len(self.said)
        until = time.monotonic() + PATIENCE
        while text is None or text not in self.said[begin:]:
            ready, _, _ = select.select([self._master], [], [], until - time.monotonic())
            assert ready, f"no {text!r} in {self.said!r}"
            try:
                block = os.read(self._master, 4096)
            except OSError:  # Linux: all who had the terminal have ended
                block = b""
            if not block:
                assert text is None, f"no {text!r} in {self.said!r}"
                return
            self.said += block.decode(errors="replace")


def test_questions_on_a_terminal(tmp_path: Path) -> None:
    terminal = Terminal(["init"], tmp_path)
    terminal.answer("API key [", "not a key, surely")
    terminal.answer("API key [", "abcd1234")
    terminal.answer("API secret", "hunter2hunter2 ")
    terminal.answer("Accounts [abcd1234]", " , ")
    terminal.answer("Accounts [abcd1234]", "")
    terminal.answer("Products [SMS]", "SMS, VERIFY-V2")
    terminal.answer("Time zone [UTC]", "Europe/Lundon")
    terminal.answer("Time zone [UTC]", "Europe/London")
    terminal.answer("How many days", "7")
    terminal.answer("Price of one record", "0.00005")
    assert terminal.end() == 0
    assert "WhatsApp" in terminal.said
    assert "Error: API key: is not an API key (8 letters or digits)" in terminal.said
    assert "Error: Accounts: is empty; write at least one" in terminal.said
    assert "did you mean Europe/London?" in terminal.said.replace("\r\n", " ")
    assert "hunter2" not in terminal.said
    assert "orchestrator check nightly.yaml" in terminal.said
    assert "export" not in terminal.said
    inputs = load_inputs([tmp_path / "nightly.yaml"], env={})
    assert inputs.warnings == ()
    assert inputs.config.credentials["default"].api_secret.reveal() == "hunter2hunter2"
    assert inputs.config.prices.default is not None
    assert [str(job.zone) for job in inputs.jobs] == ["Europe/London"]


def test_ctrl_c_at_a_question_writes_nothing(tmp_path: Path) -> None:
    terminal = Terminal(["init"], tmp_path)
    terminal.answer("API key [", "\x04")
    assert terminal.end() == 130
    assert list(tmp_path.iterdir()) == []


# --- the README -----------------------------------------------------------------------------------


def test_the_first_minutes_of_the_readme_can_be_typed_as_they_stand(tmp_path: Path) -> None:
    """All lines at once, so that the run begins before the simulator listens."""
    block = next(
        block
        for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", README.read_text(encoding="utf-8"))
        if "init --simulator" in block
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    lines = block.replace("init --simulator", f"init --simulator --port {port}")
    lines = lines.replace(str(SIMULATOR_PORT), port)
    place = tmp_path / "place"
    place.mkdir()
    began = time.monotonic()
    ended = subprocess.run(
        ["bash", "-c", f"trap 'kill $(jobs -p)' EXIT\nset -e\n{lines}"],
        cwd=place,
        env=environment_with_program(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Done: everything the jobs ask for has been collected." in ended.stdout + ended.stderr
    assert len(list((place / "reports").rglob("*.csv"))) == 2
    assert time.monotonic() - began < 60
