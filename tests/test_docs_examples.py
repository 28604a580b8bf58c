"""What the documents show is true: files that parse, answers of that shape, links that lead on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from orchestrator.cli.main import call
from orchestrator.config import find_config, load_config, load_jobs
from orchestrator.sim.faultfile import load_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.errors import Mistake

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

KINDS = {"job", "config", "faults"}
"""What a fenced YAML block is; the word stands behind `yaml`. In the README it is a job."""


class Block(NamedTuple):
    """A fenced block of a document."""

    document: str
    line: int
    language: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def _blocks() -> Iterator[Block]:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"(?ms)^```(\S+)(?: (\S+))?\n(.*?)^```$", text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(path.name, line, found[1], found[2] or "", found[3])


def _yaml(kind: str) -> list[Block]:
    return [
        block
        for block in _blocks()
        if block.language == "yaml"
        and (block.kind or ("job" if block.document == "README.md" else "")) == kind
    ]


def _read_job(path: Path) -> tuple[Mistake, ...]:
    _, warnings = load_jobs([path])
    return warnings


def _read_config(path: Path) -> tuple[Mistake, ...]:
    _, warnings = load_config(path, base=path.parent, env={})
    return warnings


@pytest.mark.parametrize("block", [one for one in _blocks() if one.language == "yaml"], ids=str)
def test_every_yaml_block_says_what_it_is(block: Block) -> None:
    assert block.kind in KINDS or block.document == "README.md"


@pytest.mark.parametrize("block", _yaml("job"), ids=str)
def test_job_files_in_the_documents_have_neither_mistakes_nor_warnings(
    block: Block, tmp_path: Path
) -> None:
    path = tmp_path / "nightly.yaml"
    path.write_text(block.text, encoding="utf-8")
    assert _read_job(path) == ()


@pytest.mark.parametrize("block", _yaml("config"), ids=str)
def test_configs_in_the_documents_have_neither_mistakes_nor_warnings(
    block: Block, tmp_path: Path
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block.text, encoding="utf-8")
    assert _read_config(path) == ()


@pytest.mark.parametrize("block", _yaml("faults"), ids=str)
def test_faults_in_the_documents_can_be_read(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(block.text, encoding="utf-8")
    load_faults(path)


@pytest.mark.parametrize("path", sorted((ROOT / "jobs").glob("*.yaml")), ids=lambda path: path.name)
def test_the_job_files_that_come_along_have_neither_mistakes_nor_warnings(path: Path) -> None:
    assert _read_job(path) == ()


def test_the_example_config_can_be_copied_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    shutil.copy(ROOT / "config.example.yaml", path)
    assert find_config(None, [], {}, tmp_path) == path
    assert _read_config(path) == ()


# --- answers --------------------------------------------------------------------------------------


def _answers() -> dict[str, Any]:
    return {block.kind: json.loads(block.text) for block in _blocks() if block.language == "json"}


@pytest.mark.parametrize("block", [one for one in _blocks() if one.language == "json"], ids=str)
def test_every_json_block_is_json(block: Block) -> None:
    assert json.loads(block.text)


def _shape(value: Any) -> Any:
    """The keys of an answer all the way down; the forms of values left out.

    Under `states` and `filter` the keys are the ledger's and the user's.
    """
    match value:
        case dict():
            return {
                key: None if key in ("states", "filter") else _shape(part)
                for key, part in value.items()
            }
        case list():
            return _shape(value[0]) if value else None
        case _:
            return None


def _missing(real: Any, told: Any, path: str = "") -> Iterator[str]:
    """The keys of a real answer that the documents lack, or the other way round."""
    if isinstance(real, dict) and isinstance(told, dict):
        for key in sorted(real.keys() ^ told.keys()):
            yield f"{path}.{key}"
        for key in real.keys() & told.keys():
            yield from _missing(real[key], told[key], f"{path}.{key}")


@pytest.mark.parametrize("command", ["run", "plan", "status", "files", "verify", "cancel", "check"])
def test_the_shape_of_an_answer_is_the_one_that_is_told(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a job that has not run yet; what has no entries there is left out.

    A run must not find anything to ask for: its window lies in the future.
    """
    year = 2099 if command == "run" else 2026
    (tmp_path / "nightly.yaml").write_text(
        f"accounts: [abcd1234]\nproducts: [VERIFY-API]\nwindows: [{{from: {year}-01-01}}]\n",
        encoding="utf-8",
    )
    (tmp_path / "config.yaml").write_text(
        'api: {base_url: "http://127.0.0.1:9"}\n', encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)
    monkeypatch.setenv("VONAGE_API_KEY", "abcd1234")
    monkeypatch.setenv("VONAGE_API_SECRET", "none")
    call([command, "nightly.yaml", "--json"])
    real = json.loads(capsys.readouterr().out)
    assert list(_missing(_shape(real), _shape(_answers()[command]))) == []


# --- links ----------------------------------------------------------------------------------------


def _links() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" not in target:
                yield str(path.relative_to(ROOT)), target


def _anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as the usual hosts make them."""
    text = re.sub(r"(?ms)^```.*?^```$", "", path.read_text(encoding="utf-8"))
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(("document", "target"), sorted(set(_links())))
def test_every_relative_link_leads_to_a_file_and_a_heading(document: str, target: str) -> None:
    file, _, anchor = target.partition("#")
    path = (ROOT / document).parent / file if file else ROOT / document
    assert path.exists()
    if anchor:
        assert anchor in _anchors(path)
