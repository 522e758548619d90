"""Deploys the contracts and writes the deployment file, or verifies what an existing file describes.

    .venv/bin/python scripts/deploy.py --rpc URL --from 0xDEPLOYER --token 0xTOKEN --governor 0xGOVERNOR \\
        --out network.json --dry-run
    .venv/bin/python scripts/deploy.py --rpc URL --key-file KEY --token 0xTOKEN --governor 0xGOVERNOR \\
        --out network.json
    .venv/bin/python scripts/deploy.py --rpc URL --key-file KEY --development --parameters demo --out net.json
    brownie run deploy main deployment.json demo

The key file holds the deployer's private key in hexadecimal; without --key-file it is taken from the
environment variable MIXPAY_DEPLOYER_KEY. A dry run carries the deployment out on a copy of the chain and
prints every transaction and its cost. If the deployment file exists, nothing is deployed, no key needed. What
was interrupted goes on where it was. docs/deploying.md says more.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any

try:
    from mixpay import deployment as files
    from mixpay import keystore
    from mixpay.accounts import parse_account, show_account
    from mixpay.chain import plan as plans
    from mixpay.chain.deploy import carry_out, check_fit, has_begun
    from mixpay.chain.plan import Plan, Wanted, make_plan, plan_path
    from mixpay.chain.rehearsal import Rehearsal, rehearse
    from mixpay.chain.rpc import Rpc, connect
    from mixpay.chain.sender import Sender
    from mixpay.chain.verify import verify
    from mixpay.errors import ChainError, MixpayError, UserError
    from mixpay.parameters import PRESETS, Parameters
    from mixpay.types import Account
except ModuleNotFoundError as error:
    print(
        f"deploy: this Python has no {error.name}: run `make setup` first, "
        "then .venv/bin/python scripts/deploy.py",
        file=sys.stderr,
    )
    sys.exit(2)

KEY_VARIABLE = "MIXPAY_DEPLOYER_KEY"
PARAMETERS = "production"
GWEI, ETHER = 10**9, 10**18


def main(out: str = "build/deployment.json", parameters: str = "demo") -> None:
    """Entry for brownie: deploys to the active development network, from MIXPAY_DEPLOYER_KEY, or from a fresh
    account that brownie's first account pays for."""
    from brownie import accounts, web3  # noqa: PLC0415 absent in a plain run

    rpc = connect(str(web3.provider.endpoint_uri))
    if Path(out).exists():
        check(rpc, Path(out))
        return
    if KEY_VARIABLE in os.environ:
        sender = Sender(rpc, read_key(None))
    else:
        sender = Sender(rpc, secrets.token_bytes(32))
        accounts[0].transfer(show_account(sender.account), "1 ether")
    run(rpc, sender, find_plan(rpc, sender.account, Path(out), Wanted(PRESETS[parameters])), Path(out))


# ---------------------------------------------------------------------- deploying


def run(rpc: Rpc, sender: Sender, plan: Plan, out: Path) -> None:
    """Carries out a plan, kept on disk meanwhile, and writes the deployment file."""
    unfinished = plan_path(out)
    plans.save(unfinished, plan)
    print(f"deploying to chain {plan.deployment.chain_id} from {show_account(plan.deployer)}")
    try:
        deployment = carry_out(rpc, sender, plan, print)
    except BaseException:
        print(
            f"not finished: {unfinished} says what was planned; run the same again to go on", file=sys.stderr
        )
        raise
    files.save(out, deployment)
    unfinished.unlink()
    print(f"verified; written: {out}")


def find_plan(rpc: Rpc, deployer: Account, out: Path, wanted: Wanted) -> Plan:
    """The plan that was begun, else a new one. Raises UserError if the one begun is not what is wanted."""
    unfinished = plan_path(out)
    if not unfinished.exists():
        return make_plan(rpc, deployer, wanted)
    plan = plans.load(unfinished)
    if not has_begun(rpc, plan):
        return make_plan(rpc, deployer, wanted)
    print(f"{unfinished}: a deployment was begun there and not finished")
    if differing := ", ".join(f"--{name}" for name in plans.differences(plan, wanted)):
        raise UserError(
            f"it was begun with another {differing}: finish it as it was begun, or move {unfinished} away "
            "to begin anew, which leaves unused contracts behind"
        )
    return plan


def check(rpc: Rpc, path: Path) -> None:
    """Verifies what a deployment file describes. Raises UserError with what differs."""
    deployment = files.load(path)
    verify(rpc, deployment)
    print(f"{path} exists; verified: the contracts on chain {deployment.chain_id} are as it says")


def show(rehearsal: Rehearsal, deployer: Account) -> None:
    """Prints what a dry run found."""
    print(f"dry run, on a copy of the chain after block {rehearsal.block}; nothing was sent\n")
    print(f"{'nonce':>6}  {'transaction':38}{'contract':44}{'gas':>11}{'ether':>14}")
    for t in rehearsal.transactions:
        cost = t.gas * rehearsal.gas_price / ETHER
        print(f"{t.nonce:>6}  {t.what:38}{show_account(t.contract):44}{t.gas:>11,}{cost:>14.8f}")
    price, total = rehearsal.gas_price / GWEI, rehearsal.cost / ETHER
    print(f"\n{rehearsal.gas:,} gas at {price:.4f} gwei: {total:.8f} ether")
    print(f"{show_account(deployer)} has {rehearsal.balance / ETHER:.8f} ether")
    if rehearsal.balance < 2 * rehearsal.cost:
        print("that is less than twice the cost: send it some, prices move")


# ---------------------------------------------------------------------- the command line


def read_key(path: Path | None) -> bytes:
    """The deployer's private key, 32 bytes. Raises UserError."""
    where = str(path) if path else KEY_VARIABLE
    if path is None:
        text = os.environ.get(KEY_VARIABLE, "")
    elif path.is_file():
        keystore.check_private(path, 0o600)
        text = path.read_text()
    else:
        raise UserError(f"there is no key file {path}")
    digits = text.strip().removeprefix("0x")
    if not re.fullmatch("[0-9a-fA-F]{64}", digits):
        remedy = "" if path else ": set it, or name a file with --key-file"
        raise UserError(f"no private key of 64 hexadecimal digits in {where}{remedy}")
    return bytes.fromhex(digits)


def arguments() -> argparse.ArgumentParser:
    """What the command line takes. No default but None, so that one sees what was given."""
    parser = argparse.ArgumentParser(description="deploy the contracts, or verify a deployment file")
    add = parser.add_argument
    add("--rpc", required=True, metavar="URL", help="RPC endpoint of the chain")
    add("--out", required=True, type=Path, metavar="FILE", help="the deployment file")
    add("--parameters", choices=sorted(PRESETS), help=f"default: {PARAMETERS}")
    add(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="one parameter instead of the preset's; repeatable",
    )
    add("--key-file", type=Path, metavar="FILE", help=f"default: the variable {KEY_VARIABLE}")
    add("--token", type=account, metavar="ADDRESS", help="an existing ERC-20; default: deploy a local one")
    add(
        "--governor",
        type=account,
        metavar="ADDRESS",
        help="who publishes releases, through a timelock that owns Network",
    )
    add("--genesis", type=int, metavar="SECONDS", help="start of epoch 0; default: now")
    add("--dry-run", action="store_true", default=None, help="send nothing; print transactions and costs")
    add(
        "--from",
        dest="deployer",
        type=account,
        metavar="ADDRESS",
        help="the deployer, for a dry run without its key",
    )
    add("--development", action="store_true", default=None, help="accept what is not fit for real money")
    return parser


def account(text: str) -> Account:
    """An address on the command line; argparse reports what is wrong with it."""
    try:
        return parse_account(text, "address")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parameters(chosen: argparse.Namespace) -> Parameters:
    """The preset with its changes. Raises UserError."""
    preset, changes = PRESETS[chosen.parameters or PARAMETERS], dict[str, Any]()
    for text in chosen.set or []:
        name, _, value = text.partition("=")
        if name not in preset.__dataclass_fields__ or not re.fullmatch("[0-9_]+", value):
            raise UserError(f"--set {text}: not a parameter and its whole value, as in --set notice=172800")
        changes[name] = int(value)
    try:
        return dataclasses.replace(preset, **changes)
    except ValueError as error:
        raise UserError(str(error)) from None


def ignored(chosen: argparse.Namespace) -> str:
    """The options that mean nothing when the deployment file exists; empty if none was given."""
    given = [name for name, value in vars(chosen).items() if value is not None and name not in ("rpc", "out")]
    return ", ".join(f"--{name.replace('_', '-').replace('deployer', 'from')}" for name in given)


def act(chosen: argparse.Namespace) -> None:
    """What the command line asks for. Raises MixpayError."""
    rpc = connect(chosen.rpc)
    if chosen.out.exists():
        if options := ignored(chosen):
            print(f"{chosen.out} exists, so nothing is deployed; ignored: {options}", file=sys.stderr)
        check(rpc, chosen.out)
        return
    if chosen.deployer and not chosen.dry_run:
        raise UserError("--from is for a dry run; a deployment needs the key itself")
    sender = None if chosen.deployer else Sender(rpc, read_key(chosen.key_file))
    deployer = chosen.deployer if sender is None else sender.account
    wanted = Wanted(parameters(chosen), chosen.token, chosen.governor, chosen.genesis)
    plan = find_plan(rpc, deployer, chosen.out, wanted)
    if not chosen.development:
        check_fit(rpc, plan.deployment)
    if chosen.dry_run:
        show(rehearse(chosen.rpc, rpc, plan), deployer)
    elif sender is not None:
        run(rpc, sender, plan, chosen.out)


def command_line() -> int:
    """Exit status, as of `mixpay`: 0 done, 2 a mistake of the caller, 3 the chain failed, 1 anything else."""
    try:
        act(arguments().parse_args())
    except MixpayError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 3 if isinstance(error, ChainError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
