"""What a relay's life costs among a thousand others."""

from __future__ import annotations

from mixpay import eip712
from scripts.gas.stage import Person, Stage

RELAYS = 1_000

Figures = dict[str, int]
ENDPOINT = "relay.example.org:9443:9444"


def join(stage: Stage, owner: Person, operator: Person) -> int:
    """Registers a relay at the next position, for an owner with tokens; returns its gas."""
    domain = eip712.registry_domain(stage.deployment.chain_id, stage.deployment.registry)
    consent = eip712.OperatorConsent(operator.account, owner.account)
    signed = eip712.sign(operator.key, consent.digest(domain))
    link_key = stage.bytes(32)
    stage.relays.append((operator, link_key))
    return stage.do(owner, "RelayRegistry", "register", operator.account, link_key, ENDPOINT, signed)


def populate(stage: Stage, relays: int = RELAYS) -> None:
    """Registers relays of one owner until there are so many."""
    owner = stage.person()
    stage.give(owner, relays * stage.deployment.parameters.stake // 10**18, "RelayRegistry")
    while stage.read("RelayRegistry", "count") < relays:
        join(stage, owner, stage.person())


def measure(stage: Stage) -> Figures:
    """Every figure of RelayRegistry, at a thousand relays. The epoch is frozen already."""
    populate(stage)
    owner, operator = stage.person(), stage.person()
    stage.give(owner, 2 * stage.deployment.parameters.stake // 10**18, "RelayRegistry")
    figures = {"register": join(stage, owner, operator)}
    id_ = stage.read("RelayRegistry", "relayOf", operator.account)
    middle, _ = stage.relays[RELAYS // 2]
    stage.relays[RELAYS // 2] = middle, (link_key := stage.bytes(32))
    figures["update_relay"] = stage.do(middle, "RelayRegistry", "update", RELAYS // 2 + 1, link_key, ENDPOINT)
    figures["leave"] = stage.do(owner, "RelayRegistry", "leave", id_)
    stage.chain.advance_time(stage.deployment.parameters.unbonding)
    figures["freeze"] = stage.do(owner, "RelayRegistry", "freeze")
    figures["withdraw_stake"] = stage.do(owner, "RelayRegistry", "withdrawStake", id_, owner.account)
    return figures
