"""`mixpay devnet`: the demo's network, without its story, until somebody ends it.

The chain's clock is this computer's: a block every few seconds carries it on, so epochs begin and end in real
time, and what daemons do in time they do by themselves. Nothing here renews keys, claims or settles.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mixpay.demo import faucet
from mixpay.demo.ground import Ground, ground
from mixpay.demo.guide import Facts, guide, variables
from mixpay.demo.network import Network
from mixpay.demo.processes import DemoFailed, Interrupted
from mixpay.demo.relays import LASTING, write_secret
from mixpay.demo.sponsor import DemoSponsor, Sponsor
from mixpay.demo.stage import Stage
from mixpay.errors import ChainUnavailable
from mixpay.parameters import HOUR
from mixpay.types import Epoch

_BLOCK_INTERVAL = 5.0
"""Seconds of real time between two blocks, if no transaction makes one."""
_LOOK_INTERVAL = 0.5
VARIABLES, GUIDE = "network.env", "guide.txt"
"""Files in its folder: for shells, as soon as there is a chain; the commands that use it, once it serves."""


def keep_network(
    stage: Stage,
    show: Callable[[str], None],
    *,
    keep: bool,
    program: str,
    folder: Path | None = None,
    sponsor_url: str | None = None,
) -> None:
    """Run a network until it is interrupted. `show`: is given the commands that use it, once it serves.

    `folder`: a new one for everything, else a temporary one. `sponsor_url`: of a sponsor that somebody else
    runs, for whose keys the network waits; else it has one of its own. Raises Interrupted if that comes
    before it serves; MixpayError if it cannot begin or go on.
    """
    with ground(stage, "devnet", program, folder) as place, _requests() as requests:
        place.keep = keep
        try:
            devnet = Devnet(place, stage, requests, None if sponsor_url is None else Sponsor(sponsor_url))
            devnet.begin()
            text = guide(devnet.facts())
            write_secret(place.folder / GUIDE, f"{text}\n")
            show(text)
            devnet.serve()
        except Interrupted:
            raise
        except BaseException:
            place.keep = True  # for the logs
            raise
    if not keep:
        stage.say(f"{'not all removed' if place.folder.exists() else 'removed'}: {place.folder}")


class Requests:
    """Whether somebody wants the next epoch."""

    def __init__(self) -> None:
        self._wanted = False

    def want(self, number: int, frame: object) -> None:
        """A signal came."""
        self._wanted = True

    def take(self) -> bool:
        """Whether one came since the last look."""
        wanted, self._wanted = self._wanted, False
        return wanted


@contextmanager
def _requests() -> Iterator[Requests]:
    """Those that come as SIGUSR1 meanwhile."""
    found = Requests()
    before = signal.signal(signal.SIGUSR1, found.want)
    try:
        yield found
    finally:
        signal.signal(signal.SIGUSR1, before)


class Devnet:
    """A network, its clock, and what is told of it."""

    def __init__(
        self, place: Ground, stage: Stage, requests: Requests, sponsor: Sponsor | None = None
    ) -> None:
        self._stage, self._requests, self._folder = stage, requests, place.folder
        self._processes = place.processes
        self._network = Network(
            place.folder,
            stage,
            place.processes,
            place.chain,
            capital=LASTING,
            sponsor=sponsor,
            opened=self._tell_where,
        )
        self._again: Mapping[str, str] = {}
        """What starts a process by hand, by its name."""
        self._told: Epoch | None = None
        self._ready: Epoch | None = None

    def begin(self) -> None:
        """From nothing to relays that serve."""
        self._network.begin()
        self._network.relays.write_passwords()
        sponsor = self._network.sponsor
        own = {"sponsor": sponsor.by_hand()} if isinstance(sponsor, DemoSponsor) else {}
        self._again = {**self._network.relays.by_hand(), **own}
        self._told = self._ready = self._network.chain.tick()

    def _tell_where(self) -> None:
        """There is a chain: say where, and put money aside for whoever wants some."""
        chain = self._network.chain
        faucet.fill(chain, self._folder)
        text = variables(chain.url, chain.deployment_file, os.getpid(), self._folder)
        write_secret(self._folder / VARIABLES, text)
        self._stage.say(f"chain: {chain.url}   contracts: {chain.deployment_file}")

    def facts(self) -> Facts:
        """What to tell about the network."""
        chain = self._network.chain
        epoch = chain.epoch()
        return Facts(
            folder=self._folder,
            rpc=chain.url,
            deployment=chain.deployment_file,
            sponsor=self._network.sponsor.url,
            is_guest=not isinstance(self._network.sponsor, DemoSponsor),
            relays=len(self._network.relays.places),
            hours=chain.schedule.epoch_length / HOUR,
            epoch=epoch,
            ends=self._end(epoch),
            pid=os.getpid(),
        )

    def serve(self) -> None:
        """Carry the clock on, and tell what happens. Returns when interrupted; raises DemoFailed."""
        due = time.monotonic()
        while True:
            try:
                self._report_ended()
                if self._requests.take():
                    self._advance()
                if time.monotonic() >= due:
                    due = time.monotonic() + _BLOCK_INTERVAL
                    self._report_epoch(self._network.chain.tick())
                self._processes.pause(_LOOK_INTERVAL)
            except Interrupted:
                return
            except ChainUnavailable as error:
                raise DemoFailed(f"the chain has ended: {error}") from None

    def _advance(self) -> None:
        following = Epoch(self._network.chain.epoch() + 1)
        if self._network.prepared(following):
            self._network.chain.enter(following)
        else:
            self._stage.say(f"epoch {following} is not prepared yet: ask again in some seconds")

    def _report_epoch(self, epoch: Epoch) -> None:
        if epoch != self._told:
            self._told = epoch
            self._stage.say(f"epoch {epoch} has begun; it ends at {self._end(epoch)}")
            if not self._network.prepared(epoch):  # the clock has jumped: this computer slept
                self._stage.say(
                    "the sponsor has no keys for it: no new passes and addresses until the next one"
                )
        if epoch != self._ready and self._network.ready(epoch):
            self._ready = epoch
            self._stage.say(f"epoch {epoch}: all relays are ready")

    def _report_ended(self) -> None:
        for name, what in self._processes.take_ended().items():
            self._stage.say(f"{what}; to start it again:\n  {self._again[name]}")

    def _end(self, epoch: Epoch) -> str:
        """When an epoch ends, by this computer's clock."""
        chain = self._network.chain
        left = chain.schedule.end(epoch) - chain.rpc.latest().timestamp
        return datetime.fromtimestamp(time.time() + left, UTC).strftime("%H:%M UTC")
