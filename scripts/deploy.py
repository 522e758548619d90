"""Deploys the contracts and writes the deployment file, or verifies what an existing file describes.

    .venv/bin/python scripts/deploy.py --rpc URL --key-file KEY --parameters production --out deployment.json
    brownie run deploy main deployment.json demo

The key file holds the deployer's private key in hexadecimal; without --key-file it is taken from the
environment variable MIXPAY_DEPLOYER_KEY. If the deployment file exists, nothing is deployed, no key needed.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import sys
from pathlib import Path

try:
    from mixpay import deployment as files
    from mixpay import keystore
    from mixpay.chain.deploy import deploy
    from mixpay.chain.rpc import Rpc, connect
    from mixpay.chain.sender import Sender
    from mixpay.chain.verify import verify
    from mixpay.errors import ChainError, MixpayError, UserError
    from mixpay.parameters import PRESETS
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


def main(out: str = "build/deployment.json", parameters: str = "demo") -> None:
    """Entry for brownie: deploys to the active network, from MIXPAY_DEPLOYER_KEY, or from a fresh account
    that brownie's first account pays for."""
    from brownie import accounts, web3  # noqa: PLC0415 absent in a plain run

    rpc = connect(str(web3.provider.endpoint_uri))
    if Path(out).exists():
        check(rpc, Path(out))
        return
    if KEY_VARIABLE in os.environ:
        sender = Sender(rpc, read_key(None))
    else:
        sender = Sender(rpc, secrets.token_bytes(32))
        accounts[0].transfer(f"0x{sender.account.hex()}", "1 ether")
    run(rpc, sender, Path(out), parameters)


def run(rpc: Rpc, sender: Sender, out: Path, parameters: str, **choices: object) -> None:
    """Deploys and writes the file."""
    print(f"deploying with parameters {parameters!r} from 0x{sender.account.hex()}")
    files.save(out, deploy(rpc, sender, PRESETS[parameters], progress=print, **choices))
    print(f"written: {out}")


def check(rpc: Rpc, path: Path) -> None:
    """Verifies what a deployment file describes. Raises UserError with what differs."""
    deployment = files.load(path)
    verify(rpc, deployment)
    print(f"{path} exists; verified: the contracts on chain {deployment.chain_id} are as it says")


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


def address(text: str) -> Account:
    """An address in hexadecimal; ValueError, which argparse reports, for another text."""
    if not re.fullmatch("0x[0-9a-fA-F]{40}", text):
        raise ValueError(text)
    return Account(bytes.fromhex(text[2:]))


def arguments() -> argparse.ArgumentParser:
    """What the command line takes. No default but None, so that one sees what was given."""
    parser = argparse.ArgumentParser(description="deploy the contracts, or verify a deployment file")
    parser.add_argument("--rpc", required=True, metavar="URL", help="RPC endpoint of the chain")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="the deployment file")
    parser.add_argument("--parameters", choices=sorted(PRESETS), help=f"default: {PARAMETERS}")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help=f"default: the variable {KEY_VARIABLE}")
    parser.add_argument("--token", type=address, help="an existing ERC-20; default: deploy a local one")
    parser.add_argument("--owner", type=address, help="who is to own Network, by accepting it")
    parser.add_argument("--genesis", type=int, metavar="SECONDS", help="start of epoch 0; default: now")
    return parser


def ignored(chosen: argparse.Namespace) -> str:
    """The options that mean nothing when the deployment file exists; empty if none was given."""
    names = ("parameters", "key_file", "token", "owner", "genesis")
    given = [name for name in names if getattr(chosen, name) is not None]
    return ", ".join(f"--{name.replace('_', '-')}" for name in given)


def command_line() -> int:
    """Exit status, as of `mixpay`: 0 done, 2 a mistake of the caller, 3 the chain failed, 1 anything else."""
    chosen = arguments().parse_args()
    try:
        rpc = connect(chosen.rpc)
        if chosen.out.exists():
            if options := ignored(chosen):
                print(f"{chosen.out} exists, so nothing is deployed; ignored: {options}", file=sys.stderr)
            check(rpc, chosen.out)
        else:
            choices = {"token": chosen.token, "owner": chosen.owner, "genesis": chosen.genesis}
            parameters = chosen.parameters or PARAMETERS
            run(rpc, Sender(rpc, read_key(chosen.key_file)), chosen.out, parameters, **choices)
    except MixpayError as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 3 if isinstance(error, ChainError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(command_line())
