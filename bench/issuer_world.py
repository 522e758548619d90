"""Sponsors on a chain of their own, and their issuers' processes, for `bench.issuer`."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import msgspec

from bench.running import BenchFailed, Process
from mixpay import deployment as deployments
from mixpay.chain.contracts import Contracts
from mixpay.chain.deploy import deploy
from mixpay.chain.devchain import DevChain
from mixpay.chain.rpc import connect
from mixpay.chain.sender import Sender
from mixpay.demo.relays import write_secret
from mixpay.demo.status import OPENER
from mixpay.keystore import Kdf
from mixpay.parameters import DEMO, TOKEN
from mixpay.sponsor import campaigns
from mixpay.sponsor.api import CAMPAIGN_PATH, CampaignAnswer, PeriodKey
from mixpay.sponsor.campaigns import Caps
from mixpay.sponsor.config import Home
from mixpay.typed import typed
from mixpay.types import Amount

POLICY = "open, behind a proxy"
_PASSWORD = "bench"  # noqa: S105 -- of keys that own play money
_ETHER = 10**18
_BUDGET = Amount(1_000 * TOKEN)
_CAPS = Caps(Amount(1_000 * TOKEN), Amount(100 * TOKEN))
_UP = 60.0
_SETTINGS = {
    "behind_proxy = false": "behind_proxy = true",
    "entry_passes = 4": "entry_passes = 1_000_000",
    "keys_ahead = 3": "keys_ahead = 8",
}


class Sponsors:
    """A chain with the contracts, and sponsors who have a campaign each. Raises ChainError, UserError."""

    def __init__(self, chain: DevChain, folder: Path) -> None:
        self._chain, self._folder = chain, folder
        self._rpc = connect(chain.url)
        self._faucet = Sender(self._rpc, os.urandom(32))
        chain.fund(self._faucet.account, 10_000 * _ETHER)
        self._file = folder / "deployment.json"
        deployment = deploy(self._rpc, self._faucet, DEMO)
        deployments.save(self._file, deployment)
        self._token = Contracts(self._rpc, deployment).token
        self._password = folder / "password"
        write_secret(self._password, _PASSWORD)

    def open(self, name: str) -> Home:
        """A sponsor's folder, with a campaign."""
        home = Home(self._folder / name)
        home.write_template(self._rpc.shown, self._file, 0)
        account = campaigns.make_keys(home, _PASSWORD, Kdf.LIGHT)
        self._chain.fund(account, 10 * _ETHER)
        self._faucet.send(self._token.transfer(account, _BUDGET))
        campaigns.create(home, _PASSWORD, _CAPS, _ETHER, lambda _: None)
        campaigns.fund(home, _PASSWORD, _BUDGET, lambda _: None)
        text = home.config_path.read_text()
        for line, other in _SETTINGS.items():
            text = text.replace(f"\n{line}\n", f"\n{other}\n")
        home.config_path.write_text(text)
        return home

    def copy(self, home: Home, name: str) -> Home:
        """The same folder once more, for another instance."""
        return Home(Path(shutil.copytree(home.folder, self._folder / name)))

    def serve(self, home: Home, database: str = "") -> IssuerProcess:
        """`mixpay sponsor serve`."""
        return IssuerProcess(self._folder, home, self._password, database)


class IssuerProcess(Process):
    """An issuer that serves."""

    def __init__(self, folder: Path, home: Home, password: Path, database: str) -> None:
        words = ["sponsor", "serve", "--home", str(home.folder), "--password-file", str(password)]
        words += ["--database", database] if database else []
        log = folder / f"{home.folder.name}.log"
        said_before = log.stat().st_size if log.exists() else 0
        super().__init__(folder, home.folder.name, "mixpay.cli.main", *words)
        self.url = self._wait(said_before)
        self.pool = ""
        self.key = self._newest_key()

    def _wait(self, said_before: int) -> str:
        """Its address, which it prints when it serves."""
        end = time.monotonic() + _UP
        while time.monotonic() < end:
            for line in self.log.read_bytes()[said_before:].splitlines(keepends=True):
                if line.startswith(b"http://") and line.endswith(b"\n"):
                    return line.decode().strip()
            self.check()
            time.sleep(0.02)
        raise BenchFailed(f"the issuer does not begin to serve (log: {self.log})")

    def _newest_key(self) -> PeriodKey:
        """Of entry passes."""
        end = time.monotonic() + _UP
        while time.monotonic() < end:
            with OPENER.open(self.url + CAMPAIGN_PATH, timeout=10) as answer:
                found = msgspec.json.decode(answer.read(), type=typed(CampaignAnswer))
            self.pool = "0x" + found.pool.hex()
            keys = [key for key in found.keys if key.kind == 1]
            if keys:
                return keys[-1]
            time.sleep(0.1)
        raise BenchFailed(f"the issuer has no key for entry passes (log: {self.log})")
