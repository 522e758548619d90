"""docs/sponsoring.md as a reader uses it: one terminal, into which its commands are pasted one by one."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marked import Marked

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/sponsoring.md"
PROGRAMS = {"mixpay": ["-m", "mixpay.cli.main"], "mixpay-relay": ["-m", "relay.cli"], "python": []}
LIMIT = 180.0
"""Seconds for one block of commands, on a busy machine."""


@dataclass(frozen=True)
class Answer:
    """What a block of commands printed, its last status, and the seconds it took."""

    stdout: str
    status: int
    seconds: float


def blocks() -> list[str]:
    """The page's commands, in order."""
    return re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)


class Terminal:
    """A shell in the checkout, under a mark: whatever it starts is found again, and ended."""

    def __init__(self, folder: Path, ports: tuple[int, int]) -> None:
        folder.mkdir()
        tools = _tools(folder / "bin")
        environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "ISSUER_PORT": str(ports[0]),
            "DAPP_PORT": str(ports[1]),
        }
        shell = ("bash", "--noprofile", "--norc")
        self.marked = Marked(
            folder / "run", [], program=shell, stdin=subprocess.PIPE, environment=environment
        )
        self.paste(f"cd {shlex.quote(str(ROOT))}")

    def paste(self, commands: str) -> Answer:
        """Run commands as they stand, and wait for the last one."""
        marked, mark, began = self.marked, secrets.token_hex(8), time.monotonic()
        before = len(marked.stdout)
        assert marked.process.stdin is not None
        marked.process.stdin.write(f"{commands.rstrip()}\nprintf '\\n{mark} %s\\n' $?\n".encode())
        marked.process.stdin.flush()
        end = re.compile(rf"\n{mark} (\d+)\n")
        marked.wait_until(f"the end of: {commands}", lambda: end.search(marked.stdout) is not None, LIMIT)
        found = end.search(marked.stdout, before)
        assert found is not None
        text = marked.stdout[before : found.start()]
        return Answer(text.strip("\n"), int(found[1]), time.monotonic() - began)

    def variable(self, name: str) -> str:
        return self.paste(f'printf %s "${name}"').stdout


def _tools(folder: Path) -> Path:
    """A folder with the commands as programs, those of this checkout."""
    folder.mkdir()
    for name, words in PROGRAMS.items():
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *words])} "$@"\n')
        path.chmod(0o755)
    return folder


def run(terminal: Terminal) -> Iterator[tuple[str, Answer]]:
    """All of the page but its last block, which ends everything."""
    for block in blocks()[:-1]:
        answer = terminal.paste(block)
        assert answer.status == 0, f"{block}\n{terminal.marked.stderr}"
        yield block, answer
