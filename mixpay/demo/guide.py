"""What `mixpay devnet` prints: the commands that use the network, as they are typed. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixpay.types import Epoch


@dataclass(frozen=True, slots=True)
class Facts:
    """A network that serves. `ends`: when its epoch does, as people write it; `pid`: of who keeps it."""

    folder: Path
    rpc: str
    deployment: Path
    sponsor: str
    relays: int
    hours: float
    """An epoch's length."""
    epoch: Epoch
    ends: str
    pid: int
    is_guest: bool = False
    """Whether somebody else runs the sponsor, and says who gets passes."""


def guide(facts: Facts) -> str:
    """All of it. Lines that begin with two spaces are commands; in their order, they can all be run."""
    users = _guests(facts) if facts.is_guest else _users(facts)
    return "\n".join((*_head(facts), *users, *_relay(facts), *_time(facts)))


def variables(rpc: str, deployment: Path, pid: int, folder: Path) -> str:
    """What a shell reads with `.`, to be able to name the network."""
    named = {"RPC": rpc, "DEPLOYMENT": str(deployment), "DEVNET_PID": str(pid), "MIXPAY_DEVNET": str(folder)}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in named.items())


def _head(facts: Facts) -> Iterator[str]:
    yield f"Until Ctrl-C: {facts.relays} relays, a sponsor and a chain, for experiments."
    yield f"Chain: {facts.rpc}   contracts: {facts.deployment}   sponsor: {facts.sponsor}"
    yield f"Logs: {facts.folder / 'logs'}"
    yield "Paste the indented lines into another terminal."


def _users(facts: Facts) -> Iterator[str]:
    network = f"--rpc {facts.rpc} --deployment {_quoted(facts.deployment)} --sponsor {facts.sponsor}"
    alice, bob = (_quoted(facts.folder / "users" / name) for name in ("alice", "bob"))
    inbox = _quoted(facts.folder / "users" / "inbox")
    yield ""
    yield "Two users without money. Bob has an address; Alice sends him a message; it arrives within seconds:"
    yield ""
    yield "  export MIXPAY_PASSWORD=devnet"
    yield f"  mixpay init --home {alice} {network}"
    yield f"  mixpay init --home {bob} {network}"
    yield f"  address=$(mixpay address --home {bob} --light-keys); echo $address"
    yield f'  mixpay send --home {alice} $address "hello"'
    yield f"  mixpay receive --home {bob} --out {inbox}"


def _guests(facts: Facts) -> Iterator[str]:
    yield ""
    yield f"Passes are yours to give, at {facts.sponsor}. Ether and tokens for an account:"
    yield ""
    yield f"  mixpay faucet --devnet {_quoted(facts.folder)} 0x0000000000000000000000000000000000000001"


def _relay(facts: Facts) -> Iterator[str]:
    home = _quoted(facts.folder / "relay-1")
    yield ""
    yield "A relay: what it does and is owed; settle now, not later; what it was paid. Folders are relay-1"
    yield f"to relay-{facts.relays}; on the chain they have other numbers:"
    yield ""
    yield f"  mixpay-relay status --home {home}"
    yield f"  mixpay-relay claim --home {home}"
    yield f"  mixpay-relay income --home {home} --csv"


def _time(facts: Facts) -> Iterator[str]:
    length, epoch, ends = facts.hours, facts.epoch, facts.ends
    yield ""
    yield f"Time is this computer's; an epoch lasts {length:g} h. Epoch {epoch} ends at {ends}."
    yield "Relays and sponsor renew their keys by themselves. A user's address is good for one epoch:"
    yield "after it `mixpay address` prints the next one; passes are fetched when they are needed."
    yield "To begin the next epoch now:"
    yield ""
    yield f"  kill -USR1 {facts.pid}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
