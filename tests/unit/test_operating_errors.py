"""docs/operating/errors.md: every message and label in it is the program's, and none is missing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs/operating/errors.md").read_text()
DAEMON = [
    "relay/store/files.py",
    "relay/store/engine.py",
    "relay/assembly.py",
    "relay/daemon.py",
    "relay/supervisor.py",
    "relay/home.py",
    "relay/operator/api_client.py",
    "mixpay/local_api.py",
    "relay/cli/service.py",
    "mixpay/keystore.py",
    "relay/keys/signed_epochs.py",
    "relay/keys/restored.py",
    "mixpay/chain/rpc.py",
    "mixpay/chain/sender.py",
    "mixpay/chain/releases.py",
    "mixpay/chain/follower.py",
    "mixpay/deployment.py",
    "mixpay/files.py",
    "mixpay/network.py",
    "mixpay/releases.py",
]
"""Modules whose errors end `mixpay-relay run`, or keep a running daemon from its work."""
ERRORS = frozenset(
    [
        "UserError",
        "NoEther",
        "CannotFollow",
        "OtherContracts",
        "StoreFailed",
        "DaemonTrouble",
        "ChainUnavailable",
        "NotMined",
        "ChainError",
        "TransactionFailed",
        "damaged",
    ]
)
LABELLED = [
    "relay/path",
    "relay/links",
    "relay/clients",
    "mixpay/door",
    "relay/state.py",
    "relay/chainside.py",
    "mixpay/passes/entry.py",
    "mixpay/passes/terms.py",
    "mixpay/packet",
    "mixpay/proof.py",
    "mixpay/replay.py",
    "mixpay/mailbox.py",
    "mixpay/book/limits.py",
    "mixpay/tls.py",
]
"""Where the labels of drops and refusals come from."""
COUNTING = {
    "dropped",
    "refused",
    "_refused",
    "failed",
    "Refused",
    "PeerError",
    "PassError",
    "BadBlock",
    "ProofError",
    "TagRefused",
}


@cache
def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls(path: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def text_of(node: ast.expr) -> str:
    """A string as the program writes it, `…` for what is filled in; "" for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return ""


def sources() -> list[str]:
    return [str(p.relative_to(ROOT)) for folder in ("relay", "mixpay") for p in (ROOT / folder).rglob("*.py")]


@cache
def all_texts() -> list[str]:
    """Every text that the programs contain."""
    texts = []
    for path in sources():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant | ast.JoinedStr) and text_of(node):
                texts.append(" ".join(text_of(node).split()).replace("%s", "…").replace("%d", "…"))
    return texts


def rows(header: str) -> list[list[str]]:
    """Cells of all tables with this header."""
    found = []
    for block in re.findall(
        rf"^\| {header} \|.*?\n\|[-|]+\n(.*?)(?=\n\n|\Z)", DOCUMENT, re.DOTALL | re.MULTILINE
    ):
        found += [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in block.strip().splitlines()
        ]
    return found


MESSAGES = [m for row in rows("message") + rows("note") for m in re.findall(r"`([^`]+)`", row[0])]
EXPLAINED_LABELS = [label for row in rows("labels") for label in re.findall(r"`([^`]+)`", row[0])]


def fits(message: str, text: str) -> bool:
    """Whether a message of the document is (a part of) a text of the program."""
    at = 0
    for part in message.split("…"):
        found = text.find(part.strip(), at)
        if found < 0:
            return False
        at = found + len(part.strip())
    return True


def is_vague(message: str) -> bool:
    """Fits nearly everything, so it stands for what nothing else fits."""
    return not message.replace("…", "").strip(" :")


def test_documentHasItsTables() -> None:
    assert len(MESSAGES) >= 60
    assert len(EXPLAINED_LABELS) >= 80
    assert len(set(EXPLAINED_LABELS)) == len(EXPLAINED_LABELS)
    assert all(all(row[:2]) for row in rows("message") + rows("note") + rows("labels"))


@pytest.mark.parametrize("message", [message for message in MESSAGES if not is_vague(message)])
def test_message_isTheProgramsOwn(message: str) -> None:
    assert any(fits(message, text) for text in all_texts())


@pytest.mark.parametrize("path", DAEMON)
def test_everyErrorOfTheDaemon_isExplained(path: str) -> None:
    for call in calls(path):
        if called(call) not in ERRORS:
            continue
        for text in (" ".join(text_of(argument).split()) for argument in call.args[:1]):
            if text.replace("…", "").strip(" :"):
                assert any(fits(m, text) for m in MESSAGES if not is_vague(m)), text


def labels_in(path: str) -> set[str]:
    """Labels that a module counts, refuses with, or names."""
    found = set()
    for call in calls(path):
        at = 1 if called(call) in ("_drop", "_wait") else 0
        if called(call) in COUNTING or at:
            found |= {text_of(argument) for argument in call.args[at : at + 1]}
    for node in ast.walk(tree(path)):
        named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if named and (node.targets[0].id.isupper() or node.targets[0].id == "label"):  # type: ignore[attr-defined,]
            found.add(text_of(node.value))  # type: ignore[attr-defined]
    if path == "mixpay/mailbox.py":
        found |= {f"mailbox_{label}" for label in ("full", "quota", "unknown_mailbox", "size")}
        found.discard("quota")
    return {label for label in found if re.fullmatch(r"[a-z][a-z0-9_]*", label)}


def test_everyLabel_isExplained_andNoOther() -> None:
    files = [p for p in sources() if any(p == where or p.startswith(f"{where}/") for where in LABELLED)]
    assert len(files) > 25
    known = set().union(*map(labels_in, files)) - {"bad_packet"}  # of a base class that nobody raises
    assert known - set(EXPLAINED_LABELS) == set()
    assert set(EXPLAINED_LABELS) - known - {"other", "no_request", "too_slow", "wrong_hint"} == set()
