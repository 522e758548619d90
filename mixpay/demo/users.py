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
from mixpay.demo.evidence import Carried, Counts, added
from mixpay.demo.processes import Command, Processes
from mixpay.passes import TICKS
from mixpay.types import Account, RelayId

_LIMIT = 60.0
_SECONDS_A_PACKET = 0.5
"""What sending may take at most for each packet: six times the mean pace of profile `fast`."""


_WAIT = 300
"""Seconds for an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sending client counted.

    Of a message that was acknowledged, too: `repeated`, packets that were sent again from end to end; `paths`
    of all of them; `fetched`, packets that it took out of its own mailbox.
    """

    packets_sent: int
    packets_accepted: int
    counts: Mapping[RelayId, Counts]
    repeated: int = 0
    paths: tuple[Carried, ...] = ()
    fetched: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """What a receiving client found: the file it wrote (None: no message was complete), packets fetched; and
    what its acknowledgements took.
    """

    path: Path | None
    packets: int
    acks: tuple[Sent, ...] = ()


class User:
    """A person with a folder and a password, and nothing else."""

    def __init__(self, name: str, folder: Path, processes: Processes) -> None:
        self.name, self._folder, self._processes = name, folder, processes
        self._home = folder / name
        self._password = secrets.token_urlsafe(12)

    def init(self, rpc_url: str, deployment: Path, sponsor_url: str, *shown: str) -> None:
        """`mixpay init`. `shown`: options with what the sponsor's policy asks for."""
        network = "--rpc", rpc_url, "--deployment", str(deployment), "--sponsor", sponsor_url
        self._run("init", *network, *shown)

    def address(self) -> str:
        """`mixpay address --direct`: makes the mailbox."""
        found = json.loads(self._run("address", "--light-keys", "--direct", "--json"))
        return str(found["address"])

    def send(self, address: str, file: Path, packets: int, meanwhile: Callable[[], None]) -> Sent:
        """`mixpay send`; `packets`: how many it takes at least."""
        return self._send(address, file, packets, meanwhile)

    def send_acknowledged(
        self, address: str, file: Path, packets: int, meanwhile: Callable[[], None]
    ) -> Sent:
        """`mixpay send --acknowledged`: until the receiver has it."""
        return self._send(
            address, file, packets, meanwhile, "--acknowledged", "--direct", "--wait", str(_WAIT)
        )

    def _send(
        self, address: str, file: Path, packets: int, meanwhile: Callable[[], None], *options: str
    ) -> Sent:
        limit = _LIMIT + _SECONDS_A_PACKET * packets + _WAIT * bool(options)
        what = (address, "--file", str(file), "--json", *options)
        return _sent(json.loads(self._run("send", *what, limit=limit, meanwhile=meanwhile)))

    def receive(self, folder: Path, *, silent: bool = False) -> Received:
        """`mixpay receive --direct`, once. `silent`: it acknowledges nothing."""
        options = ["--silent"] if silent else []
        output = self._run("receive", "--direct", "--out", str(folder), "--json", *options)
        answers = [json.loads(line) for line in output.splitlines()]
        files = [Path(answer["path"]) for answer in answers if answer["kind"] == "file"]
        packets = sum(answer["packets"] for answer in answers if answer["kind"] == "fetched")
        acks = tuple(_sent(answer) for answer in answers if answer["kind"] == "acknowledgements")
        return Received(files[0] if files else None, packets, acks)

    def tolls(self) -> Mapping[RelayId, Counts]:
        """What it has paid for its mailboxes in this period, by `mixpay passes`."""
        passes = json.loads(self._run("passes", "--json"))
        boxes = [each for each in passes if each["kind"] == "mailbox" and each["state"] == "in use"]
        return added({RelayId(each["relay"]): Counts(tolls=TICKS - each["ticks"])} for each in boxes)

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


def _sent(found: dict[str, Any]) -> Sent:
    paths = (
        Carried(tuple(map(RelayId, path["relays"])), path["packets"], path["arrived"])
        for path in found.get("paths", ())
    )
    return Sent(
        packets_sent=found["packets_sent"],
        packets_accepted=found["packets_accepted"],
        counts={RelayId(int(relay)): Counts(**duties) for relay, duties in found["hops"].items()},
        repeated=found.get("repeated", 0),
        paths=tuple(paths),
        fetched=found.get("packets_fetched", 0),
    )
