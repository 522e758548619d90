"""Money for experiments: an account of a devnet that gives to whoever can read its folder."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from mixpay import deployment as deployments
from mixpay import eip712
from mixpay.chain.contracts import Contracts
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.demo.chain import ETHER, DemoChain
from mixpay.demo.relays import write_secret
from mixpay.errors import UserError
from mixpay.parameters import TOKEN
from mixpay.types import Account, Amount

FILE = "faucet.json"
TOKENS, ETHERS = 100_000, 1_000
"""What it has."""


class Faucet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file: where the chain is, and the account's key, hexadecimal. Nothing there is worth anything."""

    rpc_url: str
    deployment: str
    key: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]

    def __repr__(self) -> str:
        return f"Faucet({self.rpc_url})"


def fill(chain: DemoChain, folder: Path) -> None:
    """Make one for a chain, with a key of its own: transactions of two programs cross at no account."""
    key = secrets.token_bytes(32)
    chain.give(eip712.account_of(key), ETHERS, Amount(TOKENS * TOKEN))
    found = Faucet(chain.url, str(chain.deployment_file), key.hex())
    write_secret(folder / FILE, msgspec.json.encode(found).decode())


def give(folder: Path, account: Account, ether: int, tokens: Amount) -> None:
    """Give whole ether and tokens (smallest units) to an account.

    Raises UserError if there is no devnet in the folder, ChainError if it is over or the faucet is empty.
    """
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=Faucet)
    except (OSError, msgspec.MsgspecError):
        raise UserError(f"there is no devnet in {folder}: name the folder of `mixpay devnet`") from None
    deployment = deployments.load(Path(found.deployment))
    rpc = connect(found.rpc_url, deployment)
    sender = Sender(rpc, bytes.fromhex(found.key))
    if ether:
        sender.transfer_ether(account, ether * ETHER)
    if tokens:
        sender.send(Contracts(rpc, deployment).token.transfer(account, tokens))
