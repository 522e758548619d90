"""Relays in one process, of which the first has a folder as an operator has it, with keys and settings."""

from __future__ import annotations

import asyncio
import os

from mixpay.accounts import show_account
from mixpay.keystore import Kdf
from mixpay.types import Epoch
from relay import config as configs
from relay.config import TreasuryRules
from relay.daemon import Daemon
from relay.home import Home, initialise
from relay_world import RelayWorld

PASSWORD = "pw"


class FolderWorld(RelayWorld):
    """The first relay has a folder as `mixpay-relay init` makes it, and runs in the relay process's parts."""

    treasury = TreasuryRules(fund=2_000, top_up_below=500, float_=1_000_000)

    def _home(self, number: int, ports: list[int]) -> Home:
        if number:
            return super()._home(number, ports)
        text = configs.render(
            rpc_url=self.chain.url,
            deployment=str(self.folder / "deployment.json"),
            host="127.0.0.1",
            listen="127.0.0.1",
            link_port=ports[0],
            client_port=ports[1],
            owner=show_account(self.faucet.account),
            settings={"poll_interval": "0.1", "treasury.fund": "2000", "treasury.top_up_below": "500"},
        )
        initialise(self.folder / "relay", text, PASSWORD, Kdf.LIGHT)
        return Home.open(self.folder / "relay", PASSWORD)

    def ready(self, daemon: Daemon, epoch: int) -> bool:
        links = daemon.dialer.links.values()
        directories = daemon.state.directories
        return (
            daemon.state.epoch == epoch
            and Epoch(epoch) in daemon.state.epoch_keys()
            and not directories.missing(Epoch(epoch))
            and bool(links)
        )

    async def carry(self, entry: Daemon, epoch: int, packets: int) -> None:
        """Send packets from an entry through all first mixes in turn, each to some mailbox relay."""
        layers = self.layers(Epoch(epoch))
        for _ in range(packets):
            mailbox = next(d for d in reversed(self.daemons) if d is not entry and self.ready(d, epoch))
            path = layers.draw_path(entry.me, mailbox.me, lambda relay: True, os.urandom)
            built = self.packet(path, mailbox.me, os.urandom(16), epoch=Epoch(epoch))
            sent = entry.router.submit(built.first_relay, Epoch(epoch), built.lock, built.hint, built.packet)
            await asyncio.wait_for(sent, 20)
