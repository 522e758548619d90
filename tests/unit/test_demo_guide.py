"""What `mixpay devnet` prints: commands that exist, with their options, for whatever folder it is."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import click
import pytest

from mixpay.cli.main import mixpay
from mixpay.demo.guide import Facts, guide, variables
from mixpay.types import Epoch
from relay.cli import cli as mixpay_relay

PROGRAMS = {"mixpay": mixpay, "mixpay-relay": mixpay_relay}
FACTS = Facts(
    folder=Path("/tmp/mixpay-devnet-x"),  # noqa: S108 nothing is made there
    rpc="http://127.0.0.1:8545",
    deployment=Path("/tmp/mixpay-devnet-x/deployment.json"),  # noqa: S108
    sponsor="http://127.0.0.1:8850",
    relays=9,
    hours=1.0,
    epoch=Epoch(2),
    ends="12:00 UTC",
    pid=4242,
)


GUEST = replace(FACTS, is_guest=True)


def commands(facts: Facts) -> list[list[str]]:
    return [shlex.split(line) for line in guide(facts).splitlines() if line.startswith("  ")]


SHOWN = {tuple(words) for facts in (FACTS, GUEST) for words in commands(facts) if words[0] in PROGRAMS}


@pytest.mark.parametrize("words", sorted(SHOWN), ids=" ".join)
def test_commandExists_withItsOptions(words: tuple[str, ...]) -> None:
    command = PROGRAMS[words[0]].get_command(click.Context(PROGRAMS[words[0]]), words[1])
    assert command is not None
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_guide_quotesFolders() -> None:
    odd = replace(FACTS, folder=Path("/tmp/my $nets"), deployment=Path("/tmp/my $nets/d.json"))  # noqa: S108
    inits = [words for words in commands(odd) if words[:2] == ["mixpay", "init"]]
    assert [words[3] for words in inits] == ["/tmp/my $nets/users/alice", "/tmp/my $nets/users/bob"]  # noqa: S108
    assert all("/tmp/my $nets/d.json" in words for words in inits)  # noqa: S108


def test_guide_saysWhenTheEpochEnds_andHowToBeginTheNext() -> None:
    assert "an epoch lasts 1 h. Epoch 2 ends at 12:00 UTC" in guide(FACTS)
    assert ["kill", "-USR1", "4242"] in commands(FACTS)


def test_guide_forASponsorOfOnesOwn_namesNoUsersWhomThatMayRefuse() -> None:
    assert not [words for words in commands(GUEST) if words[:2] == ["mixpay", "init"]]
    assert [words[1] for words in commands(GUEST) if words[0] == "mixpay"] == ["faucet"]


def test_variables_areReadByAShell_whateverTheFolder() -> None:
    odd = Path("/tmp/my $nets 'x'")  # noqa: S108 nothing is made there
    text = variables("http://127.0.0.1:1", odd / "d.json", 7, odd)
    show = 'printf "%s\\n" "$RPC" "$DEPLOYMENT" "$DEVNET_PID" "$MIXPAY_DEVNET"'
    done = subprocess.run(["sh", "-c", f"{text}{show}"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["http://127.0.0.1:1", f"{odd}/d.json", "7", str(odd)]
