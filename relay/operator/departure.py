"""What happens when a relay leaves, and when each part of its capital is back. Pure.

now                  it leaves the registry; the stake is bound for the unbonding
serves_until         the end of its last epoch, the one after this: until then it takes packets, for others'
                     paths were drawn with it
grace_until          packets on their way are forwarded, and nothing new comes; all is settled and claimed,
                     and notice is given for its channels
channels_back        the notice is over: what the channels hold comes back into the ledger, which is paid out
stake_back           the owner can withdraw the stake
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mixpay.amounts import moment, shown
from mixpay.chain.views import RegisteredRelay
from mixpay.deployment import Deployment
from mixpay.epochs import Schedule
from mixpay.parameters import SERVING_EPOCHS, Parameters
from mixpay.types import Amount, Epoch, RelayId


@dataclass(frozen=True, slots=True)
class Capital:
    """What a relay has, in token units; `channels` is None where that is not known."""

    stake: Amount
    ledger: Amount
    channels: Amount | None


@dataclass(frozen=True, slots=True)
class Departure:
    """The timetable of a relay that leaves, or has left, in seconds of chain time."""

    left_at: int
    last_epoch: Epoch
    serves_until: int
    grace_until: int
    channels_back: int
    """At the earliest; a case in court holds one channel up to `hold` seconds longer."""
    hold: int
    stake_back: int


def departure(schedule: Schedule, parameters: Parameters, left_at: int) -> Departure:
    """The timetable of who leaves at `left_at`. Raises BeforeGenesis."""
    # To leave touches the registry, and so fixes the next epoch with this relay in it, if nobody has before.
    last = Epoch(schedule.epoch_at(left_at) + SERVING_EPOCHS - 1)
    serves_until = schedule.end(last)
    grace_until = serves_until + parameters.key_grace
    return Departure(
        left_at,
        last,
        serves_until,
        grace_until,
        grace_until + parameters.notice,
        parameters.hold,
        left_at + parameters.unbonding,
    )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What happens when a relay leaves, and with which capital. `left`: it has left already."""

    relay: RelayId
    left: bool
    plan: Departure
    capital: Capital


def outlook(
    relay: RelayId, found: RegisteredRelay, deployment: Deployment, now: int, capital: Capital
) -> Outlook:
    """For a relay as the registry has it, at chain time `now`."""
    parameters, bound = deployment.parameters, found.withdrawable_at
    schedule = Schedule(deployment.genesis, deployment.epoch_length, parameters.term_length)
    left = left_at(bound, parameters) if bound else now
    return Outlook(relay, bool(bound), departure(schedule, parameters, left), capital)


def left_at(withdrawable_at: int, parameters: Parameters) -> int:
    """When a relay has left whose stake is bound until then."""
    return withdrawable_at - parameters.unbonding


def plan_lines(plan: Departure, capital: Capital) -> Iterator[str]:
    """What is said before it is done."""
    end, back = moment(plan.serves_until), moment(plan.channels_back)
    held = capital.channels
    channels = "what its channels hold" if held is None else _tokens(held, "in channels")
    yield f"to {end} it serves, to the end of epoch {plan.last_epoch}: keep the daemon running"
    yield f"from then to {moment(plan.grace_until)} it takes only packets that are on their way"
    yield "then it settles with all peers, claims what is due, and gives notice for its channels"
    yield f"{back}: {channels}, if no case in court holds them up to {plan.hold} s longer"
    yield f"{back}: {_tokens(capital.ledger, 'in the ledger')}, paid to the owner; then the daemon ends"
    yield f"{moment(plan.stake_back)}: {_tokens(capital.stake, 'of stake')}, by `mixpay-relay withdraw`"


def _tokens(amount: Amount, what: str) -> str:
    return f"{shown(amount)} tokens {what}"


def progress(plan: Departure, now: int, left: list[str]) -> str:
    """How far a relay has come that has left. `left`: what it still has to do, nothing when it is done."""
    if now < plan.serves_until:
        return f"serves to the end of epoch {plan.last_epoch}, {moment(plan.serves_until)}; then it winds up"
    if now < plan.grace_until:
        return f"takes only packets that are on their way, until {moment(plan.grace_until)}"
    return f"winding up: {'; '.join(left)}" if left else "everything is settled and claimed"
