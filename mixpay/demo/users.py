"""Alice and Bob: what they type, and what their commands answer. They own no ether and no tokens.

Every command is a process of its own, so between two of them a user is offline.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpay import eip712, keystore
from mixpay.demo.evidence import Counts
from mixpay.demo.processes import Command, Processes
from mixpay.types import Account, RelayId

_LIMIT = 60.0
_SECONDS_A_PACKET = 0.5
"""What sending may take at most for each packet: six times the mean pace of profile `fast`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What Alice's client counted."""

    packets_sent: int
    packets_accepted: int
    counts: Mapping[RelayId, Counts]


@dataclass(frozen=True, slots=True)
class Received:
    """What Bob's client found: the file it wrote (None: no message was complete), and packets fetched."""

    path: Path | None
    packets: int


class User:
    """A person with a folder and a password, and nothing else."""

    def __init__(self, name: str, folder: Path, processes: Processes) -> None:
        self.name, self._folder, self._processes = name, folder, processes
        self._home = folder / name
        self._password = secrets.token_urlsafe(12)

    def init(self, rpc_url: str, deployment: Path, sponsor_url: str) -> None:
        """`mixpay init`."""
        self._run("init", "--rpc", rpc_url, "--deployment", str(deployment), "--sponsor", sponsor_url)

    def address(self) -> str:
        """`mixpay address`: makes the mailbox."""
        found = json.loads(self._run("address", "--light-keys", "--json"))
        return str(found["address"])

    def send(self, address: str, file: Path, packets: int, meanwhile: Callable[[], None]) -> Sent:
        """`mixpay send`; `packets`: how many it takes at least."""
        limit = _LIMIT + _SECONDS_A_PACKET * packets
        output = self._run("send", address, "--file", str(file), "--json", limit=limit, meanwhile=meanwhile)
        found: dict[str, Any] = json.loads(output)
        counts = {RelayId(int(relay)): Counts(**duties) for relay, duties in found["hops"].items()}
        return Sent(found["packets_sent"], found["packets_accepted"], counts)

    def receive(self, folder: Path) -> Received:
        """`mixpay receive --direct`, once."""
        output = self._run("receive", "--direct", "--out", str(folder), "--json")
        answers = [json.loads(line) for line in output.splitlines()]
        files = [Path(answer["path"]) for answer in answers if answer["kind"] == "file"]
        packets = sum(answer["packets"] for answer in answers if answer["kind"] == "fetched")
        return Received(files[0] if files else None, packets)

    def account(self) -> Account:
        """The account that the user's key would own, had it ever been used on a chain.

        Raises UserError if the user has no key yet.
        """
        return eip712.account_of(keystore.load(self._home / "keys", "identity", self._password))

    def _run(
        self,
        command: str,
        *arguments: str,
        limit: float = _LIMIT,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> str:
        environment = {"MIXPAY_HOME": str(self._home), keystore.PASSWORD_VARIABLE: self._password}
        call = Command("mixpay.cli.main", [command, *arguments], environment)
        return self._processes.run(f"{self.name}-{command}", call, limit=limit, meanwhile=meanwhile)
