"""Makes the contracts of a release beside those in force, and publishes it. docs/releases.md says more.

    .venv/bin/python scripts/release.py make --rpc URL --deployment network.json --key-file KEY \\
        --out release.json
    .venv/bin/python scripts/release.py announce --rpc URL --deployment release.json \\
        --key-file GOVERNOR --activation 60
    .venv/bin/python scripts/release.py publish --rpc URL --deployment release.json \\
        --key-file GOVERNOR --activation 60

`make`: anybody with ether; token, Network and its epochs stay, everything else is new. `announce`: the
governor, in the timelock; where Network has none, there is nothing to announce. `publish`: the governor, when
the timelock's delay is over. Keys are read as scripts/deploy.py reads them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from deploy import parameters, read_key

from mixpay import deployment as files
from mixpay.accounts import show_account
from mixpay.amounts import moment
from mixpay.chain import plan as plans
from mixpay.chain.contracts import Network
from mixpay.chain.deploy import has_begun
from mixpay.chain.governance import Timelock
from mixpay.chain.plan import Plan, plan_path
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.sender import Sender
from mixpay.chain.upgrade import announcement, check_activation, create_release, plan_release, release_of
from mixpay.chain.verify import verify
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import ChainError, MixpayError, UserError
from mixpay.parameters import PRESETS, Parameters
from mixpay.types import Epoch


def make(rpc: Rpc, sender: Sender, known: Deployment, out: Path, wanted: Parameters) -> None:
    """Makes the contracts, and writes the deployment file of those who come to the network with them."""
    if out.exists():
        raise UserError(f"{out} is there already")
    plan = _plan(rpc, sender, known, out, wanted)
    plans.save(plan_path(out), plan)
    files.save(out, create_release(rpc, sender, known, plan, print))
    plan_path(out).unlink()
    print(f"verified; written: {out}")


def _plan(rpc: Rpc, sender: Sender, known: Deployment, out: Path, wanted: Parameters) -> Plan:
    """The plan that was begun, else a new one. Raises UserError if that was begun for something else."""
    if plan_path(out).exists():
        begun = plans.load(plan_path(out))
        if has_begun(rpc, begun):
            if (begun.deployment.network, begun.deployment.parameters) != (known.network, wanted):
                raise UserError(f"{plan_path(out)} was begun for another network or with other parameters")
            return begun
    return plan_release(rpc, sender.account, known, wanted)


def announce(rpc: Rpc, sender: Sender, made: Deployment, activation: Epoch) -> None:
    """Schedules the publication in the timelock."""
    verify(rpc, made, published=False)
    batch = announcement(rpc, made, release_of(made, activation))
    if made.governance is None:
        raise UserError("Network has no timelock: publish at once")
    timelock = Timelock(rpc, made.governance.timelock)
    delay = timelock.min_delay()
    check_activation(rpc, made, activation, rpc.latest().timestamp + delay)
    sender.send(timelock.schedule(batch, delay))
    print(f"announced as {batch.id.hex()}: can be published from {moment(timelock.ready_at(batch.id))} on")


def publish(rpc: Rpc, sender: Sender, made: Deployment, activation: Epoch) -> None:
    """Publishes the release, from the timelock or as Network's owner, and verifies what stands then."""
    verify(rpc, made, published=False)
    check_activation(rpc, made, activation, rpc.latest().timestamp)
    release = release_of(made, activation)
    if made.governance is None:
        sender.send(Network(rpc, made.network).publish(release))
    else:
        sender.send(Timelock(rpc, made.governance.timelock).execute(announcement(rpc, made, release)))
    verify(rpc, made)
    number = Network(rpc, made.network).release_count() - 1
    start = Schedule(made.genesis, made.epoch_length, made.term_length).start(activation)
    print(f"release {number} is in force from epoch {activation} on, which begins {moment(start)}")


def arguments() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description="make, announce and publish a release of the network")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("make", "announce", "publish"):
        add = commands.add_parser(name).add_argument
        add("--rpc", required=True, metavar="URL", help="RPC endpoint of the chain")
        add("--deployment", required=True, type=Path, metavar="FILE", help="the network's, or the release's")
        add("--key-file", type=Path, metavar="FILE", help="the deployer's key; the governor's")
        if name == "make":
            add("--out", required=True, type=Path, metavar="FILE", help="the release's deployment file")
            add("--parameters", choices=sorted(PRESETS), help="default: production")
            add("--set", action="append", metavar="NAME=VALUE", help="one parameter; repeatable")
        else:
            add("--activation", required=True, type=int, metavar="EPOCH", help="first epoch of the release")
    return parser


def act(chosen: argparse.Namespace) -> None:
    """What the command line asks for. Raises MixpayError."""
    deployment = files.load(chosen.deployment)
    rpc = connect(chosen.rpc, deployment)
    sender = Sender(rpc, read_key(chosen.key_file))
    print(f"chain {deployment.chain_id}, from {show_account(sender.account)}")
    match chosen.command:
        case "make":
            make(rpc, sender, deployment, chosen.out, parameters(chosen))
        case "announce":
            announce(rpc, sender, deployment, Epoch(chosen.activation))
        case _:
            publish(rpc, sender, deployment, Epoch(chosen.activation))


def command_line() -> int:
    """Exit status, as of `mixpay`: 0 done, 2 a mistake of the caller, 3 the chain failed, 1 anything else."""
    try:
        act(arguments().parse_args())
    except MixpayError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 3 if isinstance(error, ChainError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
