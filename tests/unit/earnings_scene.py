"""A relay whose operator acts without a daemon, and what is read of its earnings."""

from __future__ import annotations

from pathlib import Path

from chain_world import ETHER, User, World
from mixpay import deployment as deployments
from mixpay import keystore
from mixpay.accounts import show_account
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.types import Amount
from relay import config
from relay.home import CONFIG, KEYS, OPERATOR_KEY, initialise
from relay.operator.earnings_reader import Earnings, read_earnings

PASSWORD = "correct horse"


class Relay:
    """A registered relay with a folder; its operator acts by itself here, there is no daemon."""

    def __init__(self, world: World, folder: Path, rpc_url: str = "") -> None:
        self.world, self.folder = world, folder
        self.owner = world.user(tokens=DEMO.stake // TOKEN + 5)
        network = folder.with_suffix(".json")
        deployments.save(network, world.deployment)
        text = config.render(
            rpc_url=world.rpc.shown,
            deployment=str(network),
            host="127.0.0.1",
            link_port=1,
            client_port=2,
            owner=show_account(self.owner.account),
        )
        initialise(folder, text, PASSWORD, Kdf.LIGHT)
        self.me = User(world, keystore.load(folder / KEYS, OPERATOR_KEY, PASSWORD))
        world.chain.fund(self.me.account, ETHER)
        self.owner.register(self.me, "127.0.0.1:1:2")
        self.id = world.contracts.registry.relay_of(self.me.account)
        self.ledger = world.contracts.channels

    def equip(self, amount: int) -> None:
        """Capital, from the owner."""
        self.owner.send(self.ledger.deposit(Amount(amount)))
        self.owner.send(self.ledger.move(self.me.account, Amount(amount)))

    def read(self) -> Earnings:
        """All bookings, each of them balanced."""
        found = read_earnings(self.folder, None, lambda text: None)
        for entry in found.entries:
            b = entry.booking
            assert b.earned - b.spent + b.capital == b.ledger + b.locked + b.stake, b
        return found

    def at(self, url: str) -> None:
        """From now on another node is asked."""
        path = self.folder / CONFIG
        path.write_text(path.read_text().replace(config.load(path).rpc_url, url))


def payer_of(relay: Relay, deposit: int) -> User:
    """A neighbour with a channel to the relay."""
    payer = relay.world.user(tokens=1)
    payer.send(relay.ledger.deposit(Amount(deposit)))
    payer.send(relay.ledger.fund(relay.me.account, Amount(deposit)))
    return payer
