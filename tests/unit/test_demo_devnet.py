"""The devnet's clock and reports, with a network that a test makes up; tests/e2e has the real one."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from mixpay.chain.devchain import DevChain
from mixpay.demo.devnet import Devnet, Requests
from mixpay.demo.ground import Ground, ground
from mixpay.demo.network import PERIOD, Network
from mixpay.demo.processes import DemoFailed, Interrupted, Processes
from mixpay.demo.stage import Stage
from mixpay.errors import ChainUnavailable
from mixpay.types import Epoch


@dataclass
class Chain:
    """A chain whose clock a test moves; `epochs`: of the next blocks, None: there is no chain any more."""

    epochs: list[int | None]
    entered: list[int] = field(default_factory=list)
    now: int = 2

    def tick(self) -> Epoch:
        if self.epochs:
            found = self.epochs.pop(0)
            if found is None:
                raise ChainUnavailable("cannot connect")
            self.now = found
        return self.epoch()

    def epoch(self) -> Epoch:
        return Epoch(self.now)

    def enter(self, epoch: Epoch) -> None:
        self.entered.append(epoch)
        self.now = epoch


class MadeUp(Network):
    """A network of nothing but its chain."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain  # type: ignore[assignment]
        self.keys = {3}

    def ready(self, epoch: Epoch = PERIOD) -> bool | None:
        return epoch == 3 or None

    def prepared(self, epoch: Epoch) -> bool:
        return epoch in self.keys


class Scene:
    """A devnet that serves; every look is a moment after the one before."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *epochs: int | None) -> None:
        self.text, self.requests = io.StringIO(), Requests()
        self.processes = Processes(folder)
        stage = Stage(Console(file=self.text, width=200))
        self.chain = Chain(list(epochs))
        self.devnet = Devnet(Ground(folder, self.processes, DevChain()), stage, self.requests)
        monkeypatch.setattr(self.devnet, "_network", MadeUp(self.chain))
        monkeypatch.setattr(self.devnet, "_end", lambda epoch: "12:00 UTC")
        monkeypatch.setattr(self.devnet, "_told", Epoch(2))
        monkeypatch.setattr("mixpay.demo.devnet._BLOCK_INTERVAL", 0.0)
        monkeypatch.setattr(self.processes, "pause", self._pause)

    def _pause(self, seconds: float) -> None:
        if not self.chain.epochs:
            raise Interrupted

    def serve(self) -> str:
        self.devnet.serve()
        return self.text.getvalue()


def test_epochs_areTold_once_andWhenTheyAreReady(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Scene(tmp_path, monkeypatch, 2, 3, 3).serve()
    assert told.splitlines() == [
        "epoch 3 has begun; it ends at 12:00 UTC",
        "epoch 3: all relays are ready",
    ]


def test_epochWithoutKeys_isTold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Scene(tmp_path, monkeypatch, 5, 5).serve()
    assert "epoch 5 has begun" in told and "no new passes and addresses" in told
    assert "ready" not in told


def test_request_beginsTheNextEpoch_onceIfItIsPrepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, monkeypatch, 2, 3, 3)
    scene.requests.want(signal.SIGUSR1, None)
    scene.requests.want(signal.SIGUSR1, None)
    scene.serve()
    assert scene.chain.entered == [3]
    scene.chain.epochs = [3, 3]
    scene.requests.want(signal.SIGUSR1, None)
    assert "epoch 4 is not prepared yet: ask again in some seconds" in scene.serve()
    assert scene.chain.entered == [3]


def test_chainThatEnds_endsIt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DemoFailed, match="the chain has ended: cannot connect"):
        Scene(tmp_path, monkeypatch, 2, None).serve()


# ---------------------------------------------------------------------- the ground


@pytest.fixture
def stage() -> Iterator[Stage]:
    yield Stage(Console(file=io.StringIO()))


@pytest.mark.parametrize("keep", [False, True])
def test_ground_isRemoved_unlessItIsKept(stage: Stage, keep: bool) -> None:
    with ground(stage, "test", "anvil") as place:
        assert place.processes.folder.is_dir()
        place.keep = keep
    assert place.folder.exists() == keep
    place.keep = False
    place.clear()


def test_ground_staysAfterAFailure(stage: Stage) -> None:
    with pytest.raises(DemoFailed), ground(stage, "test", "anvil") as place:
        raise DemoFailed("a step failed")
    assert place.folder.exists()
    place.keep = False
    place.clear()
    assert not place.folder.exists()
