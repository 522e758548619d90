"""Nothing in the repository belongs to one machine: no package registry's address, nobody's folders.

Whoever clones it installs from the registries that are configured there. The patterns are put together from
parts, so that this file does not match itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = (
    "package-lock.json",
    "requirements/dev.txt",
    "requirements/dev.in",
    "requirements/halmos.txt",
    ".npmrc",
)
HOSTS = (  # in two parts each: this file is read like every other
    ("np", "mjs.org"),
    ("np", "mjs.com"),
    ("yarn", "pkg.com"),
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("ana", "conda.org"),
    ("crat", "es.io"),
    ("jf", "rog.io"),
)
REGISTRY = re.compile("|".join(re.escape(first + rest) for first, rest in HOSTS).encode())
FOLDERS = "|".join(("home", "root", "Users", "work", "opt", "mnt", "srv"))
MACHINE_PATH = re.compile(rf"(?<![\w.:/~$}}-])/(?:{FOLDERS})/[\w.]|[A-Z]:\\\\?Users\b".encode())
ADDRESS = re.compile(rb"(?:https?|git\+ssh|file)://[^\s\"',]+|--[a-z-]*index-url|--find-links|--trusted-host")
FUNDING = re.compile(rb"https://(?:github\.com/|www\.patreon\.com/|feross\.org/support)")
"""Who asks for support in a lock of npm: the only addresses there."""


def committed() -> Iterator[Path]:
    """All files that a clone has."""
    found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        pytest.skip("what is committed can only be told in a clone")
    for name in found.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            yield ROOT / name


def test_noFile_namesARegistry_orAMachinesFolder() -> None:
    objections = [
        f"{path.relative_to(ROOT)}: {match.group().decode(errors='replace')}"
        for path in committed()
        for pattern in (REGISTRY, MACHINE_PATH)
        for match in pattern.finditer(path.read_bytes())
    ]
    assert objections == []


@pytest.mark.parametrize("name", LOCKS)
def test_lockFile_leavesToTheMachineWhereItInstallsFrom(name: str) -> None:
    content = (ROOT / name).read_bytes()
    found = [match.group() for match in ADDRESS.finditer(content)]
    assert [address for address in found if not FUNDING.match(address)] == []
    assert b'"resolved"' not in content


@pytest.mark.parametrize(
    "text",
    [
        "https://registry." + "".join(HOSTS[0]) + "/x",
        "https://files." + "".join(HOSTS[4]) + "/packages",
        "see /" + "home/somebody/x",
        '"/' + 'root/x"',
        "C:\\" + "Users\\somebody",
    ],
)
def test_patterns_findWhatTheyAreFor(text: str) -> None:
    assert REGISTRY.search(text.encode()) or MACHINE_PATH.search(text.encode())


@pytest.mark.parametrize("text", ["#!/usr/bin/env bash", "a/work/of", "~/.mixpay", "https://rpc.example/v1"])
def test_patterns_leaveOtherThingsAlone(text: str) -> None:
    assert not REGISTRY.search(text.encode()) and not MACHINE_PATH.search(text.encode())
