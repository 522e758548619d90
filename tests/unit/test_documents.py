"""The documents' examples: every command they show exists, with every option it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mixpay.cli.main import mixpay
from relay.cli import cli as mixpay_relay

ROOT = Path(__file__).resolve().parents[2]
OPERATING = ("docs/operating/install.md", "docs/operating/metrics.md", "docs/operating/errors.md")
PROGRAMS = {"mixpay": mixpay, "mixpay-relay": mixpay_relay}
PAGES = ("docs/deploying.md", "docs/operating.md", "docs/sponsoring.md", "docs/sponsors.md", *OPERATING)
LINKING = ("docs/abuse.md", "docs/design.md", "docs/operating/issuer.md", "examples/dapp/README.md")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", *PAGES)


def shown() -> Iterator[tuple[str, str]]:
    """(document, line) of all code blocks."""
    for name in DOCUMENTS:
        for block in re.findall(r"^```\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                yield name, line.split("  #")[0].strip()


COMMANDS = [(name, line) for name, line in shown() if line.split(" ")[0] in PROGRAMS]
TARGETS = [(name, line.split()[1]) for name, line in shown() if line.startswith("make ")]


def test_documentsShowCommands() -> None:
    assert len(COMMANDS) >= 15
    assert TARGETS


@pytest.mark.parametrize(("document", "line"), COMMANDS)
def test_commandExists_withItsOptions(document: str, line: str) -> None:
    program, *words = shlex.split(line)
    command: click.Command = PROGRAMS[program]
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
        context = click.Context(command, parent=context)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
    command.make_context(program, list(words), resilient_parsing=True)


@pytest.mark.parametrize(("document", "target"), TARGETS)
def test_makeTargetExists(document: str, target: str) -> None:
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_treeNamesWhatIsThere() -> None:
    text = (ROOT / "README.md").read_text()
    (tree,) = re.findall(r"\n## Where a packet goes\n\n```\n(.*?)```", text, re.DOTALL)
    folder, found = ROOT, 0
    for line in tree.splitlines():
        if not line.startswith(" "):
            folder = ROOT / line.split()[0]
        inner = [folder / name for name in re.findall(r"(\w+)/ \(", line)]
        for name in re.findall(r"[\w/]*\w(?:/|\.py)(?!\w)", line):
            assert any((place / name).exists() for place in (folder, ROOT, *inner)), f"{folder.name}: {name}"
            found += 1
    assert found > 40


def test_linkedFilesExist_withTheHeadingsThatLinksName() -> None:
    for name in (*DOCUMENTS, *LINKING):
        page = ROOT / name
        for link, _, heading in re.findall(r"\]\(([^)#:]*)(#([^)]+))?\)", page.read_text()):
            target = page.parent / link if link else page
            assert target.exists(), f"{name} links to {link}"
            assert not heading or heading in anchors(target), f"{name} links to {link}#{heading}"


def test_sourcesThatDocumentsName_areThere() -> None:
    top, found = "abuse|bench|chaos|contracts|examples|fuzz|mixpay|relay|scripts|tests", 0
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for name in re.findall(rf"`((?:{top})/[\w./-]+)`", page.read_text()):
            assert (ROOT / name).exists(), f"{page.name} names {name}"
            found += 1
    assert found > 40


def anchors(page: Path) -> set[str]:
    """What links can name of a page: its headings, as code hosts write them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
