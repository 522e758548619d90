"""A sponsor's home beside a chain with contracts and relays, for the sponsor's tests."""

from __future__ import annotations

from pathlib import Path

import chain_world
from chain_world import ETHER
from mixpay import deployment as deployment_file
from mixpay.chain.devchain import DevChain
from mixpay.keystore import Kdf
from mixpay.parameters import TOKEN
from mixpay.sponsor import campaigns
from mixpay.sponsor.campaigns import Caps
from mixpay.sponsor.config import Home
from mixpay.types import Amount

PASSWORD = "pw"


class World(chain_world.World):
    """Everything around one sponsor."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        super().__init__(chain)
        self.file = folder / "network.json"
        deployment_file.save(self.file, self.deployment)
        self.home = Home(folder / "sponsor")

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
