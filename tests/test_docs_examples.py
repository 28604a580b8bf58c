"""What the documents show is true: files that parse, answers of that shape, links that lead on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from orchestrator.cli.main import call
from orchestrator.config import find_config
from orchestrator.core.policy import ExitCode
from orchestrator.simulator.faults.loader import load_faults
from orchestrator.simulator.faults.model import Fault, Faults
from tests.kit.cli_worlds import simulated
from tests.kit.config_files import load_config, load_jobs
from tests.kit.proxies import PRIVATE_CA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.errors import Mistake
    from tests.kit.cli_worlds import Place

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
    (tmp_path / "corp.pem").write_bytes(PRIVATE_CA.read_bytes())
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

    Under `states`, `open` and `filter` the keys are the ledger's and the user's.
    """
    match value:
        case dict():
            return {
                key: None if key in ("states", "open", "filter") else _shape(part)
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One disputed report, one collected file that was damaged since, and a job that wants more."""
    directory = tmp_path_factory.mktemp("place")
    faults = Faults((Fault.of("report", "wrong_count", nth=1),))
    job = (
        "accounts: [abcd1234]\nproducts: [VERIFY-API]\n"
        "windows: [{from: 2026-01-01, to: 2026-03-01}, today]\n"
    )
    with (
        pytest.MonkeyPatch.context() as patch,
        simulated(directory, job=job, faults=faults) as place,
    ):
        # So that `resolve` finds the config.
        patch.chdir(directory)
        patch.delenv("ORCHESTRATOR_CONFIG", raising=False)
        assert place.run("--now", "2026-04-01T12:00:00Z") == ExitCode.FINDINGS
        (collected,) = directory.glob("reports/report_account=*/*/*/*/*.csv")
        collected.write_bytes(collected.read_bytes() + b"more\n")
        yield place


@pytest.mark.parametrize(
    "command",
    [
        "run job.yaml --now 2026-04-03T12:00:00Z",
        "plan job.yaml --now 2026-04-05T12:00:00Z",
        "status job.yaml",
        "files job.yaml",
        "verify job.yaml",
        "check job.yaml",
        "cancel job.yaml",
        "resolve 1 --waive",
    ],
)
@pytest.mark.usefixtures("place")
def test_the_shape_of_an_answer_is_the_one_that_is_told(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a list is empty in the real answer or in the document, its entries are left out."""
    call([*command.split(), "--json"])
    real = json.loads(capsys.readouterr().out)
    assert list(_missing(_shape(real), _shape(_answers()[command.split(maxsplit=1)[0]]))) == []


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
