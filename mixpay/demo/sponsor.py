"""The network's sponsor: `mixpay sponsor create`, `fund`, `serve`, as a dApp types them; or somebody else."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import msgspec

from mixpay import keystore
from mixpay.demo.chain import DemoChain
from mixpay.demo.processes import Command, Processes
from mixpay.demo.relays import by_hand, write_secret
from mixpay.demo.status import NO_ANSWER, OPENER
from mixpay.parameters import TOKEN
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.sponsor.api import CAMPAIGN_PATH, CampaignAnswer
from mixpay.typed import typed
from mixpay.types import Account, Amount, Epoch

BUDGET, GIFT = 1_000, 100
PERIOD_CAP, RELAY_CAP = 500, 50
"""Tokens: enough for 1 MiB many times over, even if one relay were every user's entry."""

OPEN = "open,entry_passes=1000,mailbox_passes=1000"
"""The policy of a sponsor of one machine's users: they all have one address."""
WORK = "work,difficulty=1024"
"""The policy of the commons: about half a second of a core for a pass, where a real one asks for two."""

_LIMIT = 60.0
_ANSWER_SECONDS = 10.0


class Sponsor:
    """A sponsor that somebody else runs. `url`: where it issues the passes of campaign 1, the first one."""

    def __init__(self, url: str) -> None:
        self.url, self.campaign = url, 1

    def has_keys(self, chain: DemoChain, epoch: Epoch) -> bool:
        """Whether the chain has the keys of an epoch and its term."""
        term = chain.schedule.term_of(epoch)
        periods = ((KIND_ENTRY, epoch), (KIND_MAILBOX, term))
        keys = (chain.contracts.pool.key(self.campaign, kind, period) for kind, period in periods)
        return all(any(key.key_hash) for key in keys)

    def epoch(self) -> Epoch | None:
        """The epoch in which the issuer is, None while it does not answer."""
        try:
            with OPENER.open(self.url + CAMPAIGN_PATH, timeout=_ANSWER_SECONDS) as answer:
                return Epoch(msgspec.json.decode(answer.read(), type=typed(CampaignAnswer)).epoch)
        except NO_ANSWER:
            return None


class DemoSponsor(Sponsor):
    """One campaign with a budget, and the process that issues its passes.

    `port`: where it listens; `name`: of its folder and its process; `policy`: who gets passes.
    """

    def __init__(
        self, folder: Path, port: int, processes: Processes, name: str = "sponsor", policy: str = OPEN
    ) -> None:
        super().__init__(f"http://127.0.0.1:{port}")
        self.name, self._policy, self.invitation = name, policy, ""
        self._home, self._port, self._processes = folder / name, port, processes
        self._password = secrets.token_urlsafe(12)
        self._environment = {
            "MIXPAY_SPONSOR_HOME": str(self._home),
            keystore.PASSWORD_VARIABLE: self._password,
        }

    def open(self, chain: DemoChain) -> None:
        """Create the campaign and fund it, having got ether and tokens."""
        place = ("--rpc", chain.url, "--deployment", str(chain.deployment_file), "--port", str(self._port))
        made = json.loads(self._run("init", *place, "--policy", self._policy, "--light-keys", "--json"))
        chain.give(Account(bytes.fromhex(made["account"][2:])), 10, Amount(BUDGET * TOKEN))
        caps = ("--period-cap", str(PERIOD_CAP), "--relay-cap", str(RELAY_CAP))
        self.campaign = json.loads(self._run("create", *caps, "--json"))["campaign"]
        self._run("fund", str(BUDGET - GIFT))
        if self._policy == "invitation":
            self.invitation = self._run("invite").strip()

    def give(self, other: DemoSponsor) -> None:
        """Add to another one's budget, as anybody may."""
        self._run("fund", str(GIFT), "--campaign", str(other.campaign))

    def serve(self) -> None:
        """Start to issue passes."""
        self._processes.start(self.name, self._command("serve"))

    def by_hand(self) -> str:
        """What starts it by hand: writes its password into a file for that, beside its folder."""
        path = self._home.with_name("sponsor.password")
        write_secret(path, self._password)
        return by_hand("mixpay sponsor serve", self._home, path)

    def _run(self, command: str, *arguments: str) -> str:
        return self._processes.run(f"{self.name}-{command}", self._command(command, *arguments), limit=_LIMIT)

    def _command(self, *arguments: str) -> Command:
        return Command("mixpay.cli.main", ["sponsor", *arguments], self._environment)
