"""Imports inside the package form no circle, those for types alone included."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "orchestrator"


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, modules: set[str]) -> set[str]:
    """The modules of the package that a module names in its imports, wherever these stand."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                named.add(inner if inner in modules else node.module)
    return named & modules


def graph(paths: list[Path]) -> dict[str, set[str]]:
    modules = {module_name(path) for path in paths}
    return {module_name(path): imports(path, modules) for path in paths}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """The modules of one circle, in order; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_imports_form_no_circle() -> None:
    edges = graph(sorted(PACKAGE.rglob("*.py")))
    assert len(edges) > 100
    assert circle(edges) == []


@pytest.mark.parametrize("indent", ["", "    "], ids=["at run time", "for types"])
def test_a_circle_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: str) -> None:
    package = tmp_path / "orchestrator"
    package.mkdir()
    monkeypatch.setattr(f"{__name__}.PACKAGE", package)
    head = "if TYPE_CHECKING:\n" if indent else ""
    (package / "a.py").write_text("from orchestrator import b\n")
    (package / "b.py").write_text(f"{head}{indent}from orchestrator.a import A\n")
    assert set(circle(graph(sorted(package.glob("*.py"))))) == {"orchestrator.a", "orchestrator.b"}
