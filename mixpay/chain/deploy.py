"""Deploying the contracts, publishing the first release, verifying the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eth_utils.address import to_checksum_address

from mixpay.chain import abi
from mixpay.chain.contracts import Network, Token
from mixpay.chain.errors import Reverted
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.chain.verify import verify
from mixpay.chain.views import NOBODY, Release
from mixpay.deployment import Deployment
from mixpay.errors import TransactionFailed, UserError
from mixpay.parameters import TOKEN, Parameters
from mixpay.types import Account, Amount

WIRE_VERSION = 1
"""Of the first release."""

LOCAL_SUPPLY = Amount(10**9 * TOKEN)
"""Of the token that is deployed where there is none yet: the deployer gets it."""

Progress = Callable[[str], None]


def deploy(
    rpc: Rpc,
    sender: Sender,
    parameters: Parameters,
    *,
    token: Account | None = None,
    owner: Account | None = None,
    genesis: int | None = None,
    progress: Progress = lambda line: None,
) -> Deployment:
    """Deploys the contracts, publishes the first release, verifies all of it.

    `token`: an existing ERC-20 of 18 decimals; None deploys the local one, whose supply the sender gets.
    `owner`: who is to own Network, by accepting it afterwards; None leaves it with the sender. `genesis`:
    seconds of chain time, not in the future; None takes the latest block's. `progress` gets a line after each
    step. Raises UserError for arguments that cannot be, else what `Sender.send` raises.
    """
    latest = rpc.latest()
    start = latest.timestamp if genesis is None else genesis
    if start > latest.timestamp:
        raise UserError(f"genesis {start} is in the future; the chain's time is {latest.timestamp}")
    if token is not None:
        _check_token(rpc, token)
    deployment = _create_all(rpc, sender, parameters, token, start, progress)
    _publish(rpc, sender, deployment)
    progress("first release published")
    if owner is not None and owner != sender.account:
        sender.send(Network(rpc, deployment.network).transfer_ownership(owner))
        progress(f"Network offered to {to_checksum_address(owner)}, which has to accept it")
    verify(rpc, deployment)
    return deployment


def _create_all(
    rpc: Rpc, sender: Sender, parameters: Parameters, token: Account | None, genesis: int, progress: Progress
) -> Deployment:
    before = rpc.latest().number
    made: dict[str, str] = {}

    def create(name: str, *arguments: Any) -> Account:
        address = _create(sender, name, arguments)
        made[name] = abi.artifact(name).fingerprint
        progress(f"{name} at {to_checksum_address(address)}")
        return address

    p = parameters
    token = token or create("Token", LOCAL_SUPPLY)
    network = create("Network", genesis, p.epoch_length, sender.account)
    registry = create("RelayRegistry", token, network, p.stake, p.unbonding)
    channels = create("Channels", token, p.notice)
    periods = (p.term_length, p.claim_window, p.withdrawal_notice)
    return Deployment(
        chain_id=rpc.chain_id(),
        block=before,
        token=token,
        network=network,
        registry=registry,
        channels=channels,
        court=NOBODY,
        pool=create("SubsidyPool", channels, registry, network, *periods),
        genesis=genesis,
        parameters=parameters,
        artifacts=made,
    )


def _create(sender: Sender, name: str, arguments: tuple[Any, ...]) -> Account:
    artifact = abi.artifact(name)
    data = artifact.bytecode + abi.encode(artifact.constructor.inputs, arguments)
    address = sender.send(Call(f"deployment of {name}", None, data)).contract
    if address is None:
        raise TransactionFailed(f"the node gives no address of the new {name}")
    return address


def _publish(rpc: Rpc, sender: Sender, deployment: Deployment) -> None:
    network = Network(rpc, deployment.network)
    for last_try in (False, True):
        release = Release(
            registry=deployment.registry,
            channels=deployment.channels,
            pool=deployment.pool,
            wire_version=WIRE_VERSION,
            hop_price=deployment.parameters.hop_price,
            activation_epoch=network.current_epoch(),
        )
        try:
            sender.send(network.publish(release))
            return
        except Reverted as error:
            if last_try or error.error != "ActivationTooEarly":  # an epoch began in between
                raise


def _check_token(rpc: Rpc, address: Account) -> None:
    shown = to_checksum_address(address)
    if not rpc.code(address):
        raise UserError(f"there is no contract at {shown}, which was given as the token")
    decimals = Token(rpc, address).decimals()
    if decimals != 18:
        raise UserError(f"the token {shown} has {decimals} decimals; the parameters are for 18")
