"""A release with contracts of its own: made beside those in force, then published by the governor.

Publishing moves nobody's money. It tells relays, sponsors and users which contracts to go to from an epoch
on; each goes by itself, and takes what it has in the old ones out of them. So there has to be time: to leave
the old registry before the release is in force, which the timelock gives, and for relays to register in the
new one two epochs ahead.
"""

from __future__ import annotations

import dataclasses

from mixpay.chain import abi
from mixpay.chain.contracts import Network
from mixpay.chain.deploy import WIRE_VERSION, Progress, Wallet, create_contracts
from mixpay.chain.governance import Batch
from mixpay.chain.plan import Plan, created_address
from mixpay.chain.rpc import Rpc
from mixpay.chain.verify import verify
from mixpay.chain.views import Release
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.parameters import SERVING_EPOCHS, Parameters
from mixpay.types import Account, Epoch

_MADE = ("Channels", "RelayRegistry", "ReceiptCourt", "SubsidyPool")
"""The contracts that a release has of its own, in the order in which they are made."""


def plan_release(rpc: Rpc, deployer: Account, known: Deployment, parameters: Parameters) -> Plan:
    """Plans the contracts of a release in the network of `known`, from the chain's present state.

    Token, Network and its epochs stay. Raises UserError for parameters with other epochs, or when the
    deployer has transactions under way.
    """
    if parameters.epoch_length != known.epoch_length:
        raise UserError(f"Network's epochs last {known.epoch_length} s, for ever: so must the release's")
    nonce = rpc.nonce(deployer, "latest")
    if rpc.nonce(deployer) != nonce:
        raise UserError("the deployer has transactions under way: wait until they are mined")
    at = {name: created_address(deployer, nonce + place) for place, name in enumerate(_MADE)}
    deployment = dataclasses.replace(
        known,
        registry=at["RelayRegistry"],
        channels=at["Channels"],
        court=at["ReceiptCourt"],
        pool=at["SubsidyPool"],
        parameters=parameters,
        artifacts={name: abi.artifact(name).fingerprint for name in _MADE},
    )
    return Plan(deployer, nonce, deployment)


def create_release(
    rpc: Rpc, wallet: Wallet, known: Deployment, plan: Plan, progress: Progress = lambda line: None
) -> Deployment:
    """Makes those contracts of a release's plan that are not there yet, and verifies them.

    The deployment is for those who come to the network with this release. Raises what `carry_out` raises.
    """
    create_contracts(rpc, wallet, plan, progress)
    shipped = {name: abi.artifact(name).fingerprint for name in {*known.artifacts, *_MADE}}
    deployment = dataclasses.replace(plan.deployment, artifacts=shipped)
    verify(rpc, deployment, published=False)
    return deployment


def release_of(deployment: Deployment, activation: Epoch) -> Release:
    """What the governor is to publish, so that the contracts are in force from epoch `activation` on."""
    return Release(
        registry=deployment.registry,
        channels=deployment.channels,
        pool=deployment.pool,
        wire_version=WIRE_VERSION,
        hop_price=deployment.parameters.hop_price,
        activation_epoch=activation,
    )


def check_activation(rpc: Rpc, deployment: Deployment, activation: Epoch, now: int) -> None:
    """Raise UserError for a first epoch that does not begin a term, or leaves no time to register.

    `now`: seconds of chain time at which the release can be published at the earliest.
    """
    schedule = Schedule(deployment.genesis, deployment.epoch_length, deployment.term_length)
    if activation % deployment.term_length:
        raise UserError(f"epoch {activation} does not begin a term: layers and mailboxes are drawn then")
    network = Network(rpc, deployment.network)
    newest = network.releases(network.release_count() - 1).activation_epoch
    earliest = max(schedule.epoch_at(now) + SERVING_EPOCHS + 1, newest + 1)
    if activation < earliest:
        raise UserError(f"epoch {activation} is too early: relays need time to register; {earliest} is not")


def announcement(rpc: Rpc, deployment: Deployment, release: Release) -> Batch:
    """What the governor schedules in the timelock, and executes when its delay is over."""
    return Batch((Network(rpc, deployment.network).publish(release),))
