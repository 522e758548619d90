"""Carrying out the plan of a deployment: contracts, first release, handover to the timelock, verification.

Every step looks first whether it is done, so a deployment that was interrupted at any point is finished by
doing the same again. No contract can be made twice: its address follows from the number of the deployer's
transaction, and one number is used once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from eth_utils.address import to_checksum_address as shown

from mixpay.chain.contracts import Network
from mixpay.chain.errors import NotMined, Reverted
from mixpay.chain.governance import Timelock, handover
from mixpay.chain.plan import Creation, Plan, Wanted, make_plan
from mixpay.chain.records import Call, Receipt
from mixpay.chain.rpc import Rpc
from mixpay.chain.verify import verify
from mixpay.chain.views import Release
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.parameters import Parameters, out_of_range
from mixpay.types import Account

WIRE_VERSION = 1
"""Of the first release."""

_LOOK_BACK = 32
"""Blocks whose randomness is looked at: on some chains a value stands for several blocks."""
_UNDER_WAY_LIMIT = 300.0
_POLL = 1.0

Progress = Callable[[str], None]


class Wallet(Protocol):
    """Who sends: a `Sender`, or a rehearsal's account."""

    account: Account

    def send(self, call: Call) -> Receipt:
        """Sends a call and waits until it is mined."""


def deploy(
    rpc: Rpc,
    wallet: Wallet,
    parameters: Parameters,
    *,
    token: Account | None = None,
    governor: Account | None = None,
    genesis: int | None = None,
    progress: Progress = lambda line: None,
) -> Deployment:
    """Plans a deployment (`make_plan` says what the arguments mean) and carries it out."""
    plan = make_plan(rpc, wallet.account, Wanted(parameters, token, governor, genesis))
    return carry_out(rpc, wallet, plan, progress)


def carry_out(rpc: Rpc, wallet: Wallet, plan: Plan, progress: Progress = lambda line: None) -> Deployment:
    """Does what is not done yet of a plan, then verifies all of it; `progress` gets a line after each step.

    Raises UserError when the plan cannot be carried out any more, else what `Sender.send` raises.
    """
    create_contracts(rpc, wallet, plan, progress)
    _publish(rpc, wallet, plan.deployment, progress)
    _hand_over(rpc, wallet, plan, progress)
    verify(rpc, plan.deployment)
    return plan.deployment


def create_contracts(rpc: Rpc, wallet: Wallet, plan: Plan, progress: Progress = lambda line: None) -> None:
    """Creates those contracts of a plan that are not there yet. Raises what `carry_out` raises."""
    if wallet.account != plan.deployer:
        raise UserError(f"the deployment was begun by {shown(plan.deployer)}, and needs that account's key")
    if rpc.chain_id() != plan.deployment.chain_id:
        raise UserError(f"the deployment was begun on chain {plan.deployment.chain_id}, not {rpc.chain_id()}")
    await_pending(rpc, plan.deployer)
    for creation in plan.creations():
        _create(rpc, wallet, plan, creation, progress)


def has_begun(rpc: Rpc, plan: Plan) -> bool:
    """Whether any contract of the plan stands on the chain, once nothing of the deployer is under way."""
    await_pending(rpc, plan.deployer)
    return any(rpc.code(creation.address) for creation in plan.creations())


def await_pending(rpc: Rpc, account: Account) -> None:
    """Wait until what an earlier attempt sent is mined: a step under way must not be sent again.

    Raises NotMined after five minutes.
    """
    deadline = time.monotonic() + _UNDER_WAY_LIMIT
    while rpc.nonce(account) > rpc.nonce(account, "latest"):
        if time.monotonic() > deadline:
            raise NotMined(f"transactions of {shown(account)} wait to be mined: try again later")
        time.sleep(_POLL)


def _create(rpc: Rpc, wallet: Wallet, plan: Plan, creation: Creation, progress: Progress) -> None:
    where = f"{creation.name} at {shown(creation.address)}"
    if rpc.code(creation.address):
        progress(f"{where}: there already")
        return
    if rpc.nonce(plan.deployer) != creation.nonce:
        raise _stranded(rpc, plan, creation)
    if wallet.send(creation.call).contract != creation.address:
        raise _stranded(rpc, plan, creation)
    progress(where)


def _stranded(rpc: Rpc, plan: Plan, creation: Creation) -> UserError:
    """A number was used for something else: the addresses that the contracts have of each other are lost."""
    useless = [f"{c.name} {shown(c.address)}" for c in plan.creations() if rpc.code(c.address)]
    return UserError(
        f"{creation.name} cannot be deployed at {shown(creation.address)}: transaction {creation.nonce} of "
        f"{shown(plan.deployer)} was used for something else. This deployment cannot be finished; it has to "
        f"begin anew. On the chain, and of no use: {', '.join(useless) or 'nothing'}"
    )


def _publish(rpc: Rpc, wallet: Wallet, deployment: Deployment, progress: Progress) -> None:
    network = Network(rpc, deployment.network)
    if network.release_count():
        return
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
            wallet.send(network.publish(release))
            break
        except Reverted as error:
            if last_try or error.error != "ActivationTooEarly":  # an epoch began in between
                raise
    progress("first release published")


def _hand_over(rpc: Rpc, wallet: Wallet, plan: Plan, progress: Progress) -> None:
    deployment, governance = plan.deployment, plan.deployment.governance
    if governance is None:
        return
    network, timelock = Network(rpc, deployment.network), Timelock(rpc, governance.timelock)
    batch = handover(rpc, deployment, governance, plan.deployer)
    if timelock.is_done(batch.id):
        return
    if network.pending_owner() != governance.timelock:
        wallet.send(network.transfer_ownership(governance.timelock))
        progress("Network offered to the timelock")
    if not timelock.is_scheduled(batch.id):
        wallet.send(timelock.schedule(batch, delay=0))
    wallet.send(timelock.execute(batch))
    progress(f"Network accepted by the timelock, which obeys {shown(governance.governor)} alone from now on")


# ---------------------------------------------------------------------- fit for real money


def check_fit(rpc: Rpc, deployment: Deployment) -> None:
    """Raises UserError with everything for which a planned deployment would be no place for real money."""
    problems = out_of_range(deployment.parameters)
    if randomness_is_constant(rpc):
        problems.append(f"chain {deployment.chain_id} has no randomness: `prevrandao` does not change there")
    if deployment.governance is None:
        problems.append("no governor: Network would belong to the deployer's key, without a timelock")
    if "Token" in deployment.artifacts:
        problems.append("no token: all of a new one would belong to the deployer")
    if problems:
        raise UserError("not fit for real money (--development accepts it):\n  " + "\n  ".join(problems))


def randomness_is_constant(rpc: Rpc) -> bool:
    """Whether the newest blocks show one value only. Block 0 counts for nothing: it is made by hand."""
    newest = rpc.latest().number
    numbers = range(max(1, newest - _LOOK_BACK + 1), newest + 1)
    found = (rpc.request("eth_getBlockByNumber", hex(number), False) for number in numbers)
    return len({block.get("mixHash") for block in found if block is not None}) < 2
