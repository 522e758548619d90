"""Verifies what stands on a chain against the package's artifacts and a deployment file, and shows it.

    .venv/bin/python scripts/verify_deployment.py --rpc URL --deployment network.json
    make verify-deployment RPC=URL FILE=network.json

Prints, of every contract, keccak256 of its code (as explorers show it), keccak256 of the same with its
immutables zeroed, and SHA-256 of its creation code: the last two are what the sources give, whoever compiles
them (`python scripts/build_artifacts.py --hashes`). Exit status 0 only if everything is as it should be.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from mixpay import deployment as files
from mixpay.accounts import show_account
from mixpay.chain.contracts import Network
from mixpay.chain.governance import Timelock, read_timelock
from mixpay.chain.rpc import Rpc, connect
from mixpay.chain.verify import Verified, verify
from mixpay.deployment import Deployment
from mixpay.errors import ChainError, MixpayError, UserError
from mixpay.parameters import out_of_range


def show_contracts(deployment: Deployment, verified: tuple[Verified, ...]) -> None:
    """Addresses and hashes."""
    for contract in verified:
        print(f"{contract.name} {show_account(contract.address)}")
        print(f"  code on the chain   keccak256 {contract.code_hash.hex()}")
        print(f"  without immutables  keccak256 {contract.plain_hash.hex()}")
        print(f"  creation code       sha256    {deployment.artifacts[contract.name]}")


def show_releases(rpc: Rpc, deployment: Deployment) -> None:
    """Everything that Network has published."""
    network = Network(rpc, deployment.network)
    for index in range(network.release_count()):
        release = network.releases(index)
        print(f"release {index}, from epoch {release.activation_epoch}: hop price {release.hop_price}")
        for name in ("registry", "channels", "pool"):
            print(f"  {name:9}{show_account(getattr(release, name))}")


def show_governance(rpc: Rpc, deployment: Deployment) -> None:
    """Who can publish the next release, and what is announced."""
    governance = deployment.governance
    if governance is None:
        owner = Network(rpc, deployment.network).owner()
        print(f"governance: none; {show_account(owner)} can publish releases at once")
        return
    days = Timelock(rpc, governance.timelock).min_delay() / 86_400
    print(f"governance: {show_account(governance.governor)} alone, announcing {days:g} days ahead")
    for batch in read_timelock(rpc, deployment, governance).announced:
        when = datetime.fromtimestamp(batch.ready_at, UTC).isoformat(timespec="minutes")
        print(f"  announced: 0x{batch.id.hex()}, possible from {when}")


def show_parameters(deployment: Deployment) -> None:
    """Inequalities, and what is outside its range."""
    for _, rule in deployment.parameters.rules():  # a file in which one does not hold is not read
        print(f"holds: {rule}")
    for text in out_of_range(deployment.parameters):
        print(f"for development only: {text}")


def main() -> int:
    """Exit status: 0 verified; 2 not as the file says, or a mistake of the caller; 3 the chain failed."""
    parser = argparse.ArgumentParser(description="verify a deployment against the artifacts")
    parser.add_argument("--rpc", required=True, metavar="URL", help="RPC endpoint of the chain")
    parser.add_argument("--deployment", required=True, type=Path, metavar="FILE", help="the deployment file")
    chosen = parser.parse_args()
    try:
        deployment, rpc = files.load(chosen.deployment), connect(chosen.rpc)
        verified = verify(rpc, deployment)
        show_contracts(deployment, verified)
        show_releases(rpc, deployment)
        show_governance(rpc, deployment)
        show_parameters(deployment)
    except MixpayError as error:
        print(f"verify_deployment: {error}", file=sys.stderr)
        return 2 if isinstance(error, UserError) else 3 if isinstance(error, ChainError) else 1
    print(f"verified: the contracts on chain {deployment.chain_id} are as {chosen.deployment} says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
