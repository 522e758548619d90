"""A development chain with the contracts on it, relays, and a sponsor's home, for the sponsor's tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mixpay import deployment as deployment_file
from mixpay import eip712
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.sender import Sender
from mixpay.epochs import Schedule
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.sponsor import campaigns
from mixpay.sponsor.campaigns import Caps
from mixpay.sponsor.config import Home
from mixpay.types import Account, Amount, Epoch, RelayId

PASSWORD = "pw"
ETHER = 10**18


def key(name: str) -> bytes:
    """A private key of 32 bytes, the same in every run."""
    return hashlib.blake2b(name.encode(), digest_size=32).digest()


class World:
    """Everything around one sponsor. The deployer has all tokens."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self.chain, self.rpc = chain, chain.rpc
        self.deployer = self.sender("deployer")
        self.deployment = deploy(self.rpc, self.deployer, DEMO)
        self.file = folder / "network.json"
        deployment_file.save(self.file, self.deployment)
        self.contracts = Contracts(self.rpc, self.deployment)
        self.schedule = Schedule(self.deployment.genesis, DEMO.epoch_length, DEMO.term_length)
        self.home = Home(folder / "sponsor")

    def sender(self, name: str) -> Sender:
        """A sender with ether."""
        sender = Sender(self.rpc, key(name))
        self.chain.fund(sender.account, 100 * ETHER)
        return sender

    def register(self, name: str) -> tuple[RelayId, Account]:
        """A staked relay: its id, and its operator's account."""
        owner, operator = self.sender(f"owner {name}"), eip712.account_of(key(f"operator {name}"))
        self.deployer.send(self.contracts.token.transfer(owner.account, DEMO.stake))
        owner.send(self.contracts.token.approve(self.deployment.registry, DEMO.stake))
        domain = eip712.registry_domain(self.deployment.chain_id, self.deployment.registry)
        consent = eip712.sign(
            key(f"operator {name}"), eip712.OperatorConsent(operator, owner.account).digest(domain)
        )
        call = self.contracts.registry.register(operator, key(f"link {name}"), "127.0.0.1:1:2", consent)
        owner.send(call)
        return self.contracts.registry.relay_of(operator), operator

    def leave(self, name: str, relay: RelayId) -> None:
        """A relay leaves."""
        self.sender(f"owner {name}").send(self.contracts.registry.leave(relay))

    def epoch(self) -> Epoch:
        """Of the newest block."""
        return self.contracts.network.current_epoch()

    def next_epoch(self, count: int = 1) -> Epoch:
        """Advance the chain's clock to the beginning of an epoch to come."""
        epoch = Epoch(self.epoch() + count)
        self.chain.advance_time(to=self.schedule.start(epoch))
        return epoch

    def freeze(self) -> None:
        """Somebody touches the registry."""
        self.deployer.send(self.contracts.registry.freeze())

    def join(self) -> Epoch:
        """Advance to the first epoch in which the relays registered now are frozen."""
        self.next_epoch()
        self.freeze()
        return self.next_epoch()

    def settle_in(self, *, budget: int = 1000) -> int:
        """Make the sponsor's home and its campaign, with a budget in tokens; the campaign's number."""
        self.home.write_template(self.rpc.shown, self.file, 0)
        account = campaigns.make_keys(self.home, PASSWORD, Kdf.LIGHT)
        self.chain.fund(account, 10 * ETHER)
        self.deployer.send(self.contracts.token.transfer(account, Amount(budget * TOKEN)))
        caps = Caps(Amount(1000 * TOKEN), Amount(100 * TOKEN))
        created = campaigns.create(self.home, PASSWORD, caps, ETHER, lambda _: None)
        campaigns.fund(self.home, PASSWORD, Amount(budget * TOKEN), lambda _: None)
        return created.campaign

    def configure(self, **settings: object) -> None:
        """Change settings of the home: name = value lines of the template."""
        lines = self.home.config_path.read_text().splitlines()
        for name, value in settings.items():
            (at,) = [i for i, line in enumerate(lines) if line.startswith(f"{name} = ")]
            lines[at] = f"{name} = {value}"
        self.home.config_path.write_text("\n".join(lines) + "\n")
