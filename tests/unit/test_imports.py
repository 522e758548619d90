"""Who may import whom, read from the sources: the library knows no daemon, and neither a development tool."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTER = "relay.cli"
"""What the demo starts as a process of its own: `python -m relay.cli`."""


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """First parts of the names of modules that a source imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their whole place"
            yield (node.module or "").partition(".")[0]


def named(tree: ast.AST) -> Iterator[str]:
    """Texts that could be a relay's module: what a dynamic import or a new process would name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            first, dot, rest = node.value.partition(":")[0].partition(".")
            if first == "relay" and dot and rest.replace(".", "").isidentifier():
                yield node.value


@pytest.mark.parametrize("path", sources("mixpay"), ids=lambda path: str(path.relative_to(ROOT)))
def test_mixpay_importsNoRelay(path: Path) -> None:
    tree = ast.parse(path.read_bytes())
    assert {"relay", "tests", "brownie", "solcx"}.isdisjoint(imported(tree))
    allowed = {STARTER} if path.is_relative_to(ROOT / "mixpay" / "demo") else set()
    assert set(named(tree)) <= allowed


def test_relay_importsNoDevelopmentTool() -> None:
    for path in sources("relay"):
        tree = ast.parse(path.read_bytes())
        assert {"tests", "brownie", "solcx", "pytest"}.isdisjoint(imported(tree)), path


def test_everyFolderOfModules_isAPackage() -> None:
    folders = {path.parent for package in ("mixpay", "relay") for path in sources(package)}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
