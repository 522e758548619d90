"""Relays of retired keys beside the folder's own: started, told of, ended, tried again. A real chain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from chain_world import World
from mixpay.chain.devchain import DevChain
from relay.home import Home
from relay.home_lock import HomeLock
from relay.retired import RetiredRelays
from relay.rotation import plan as plans
from rotation_scene import PASSWORD, Scene, make_scene
from test_supervisor import until


@pytest_asyncio.fixture
async def scene(
    chain: DevChain, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> AsyncIterator[Scene]:
    """A rotation whose files are in their places, the old one's database as a daemon makes it."""
    scene = make_scene(World(chain), tmp_path / "relay")
    for path in scene.folder.glob("relay.sqlite*"):
        path.unlink()
    (scene.folder / "relay.sqlite").touch(0o600)
    text = (scene.folder / "relay.toml").read_text()
    (scene.folder / "relay.toml").write_text(text.replace("poll_interval = 2.0", "poll_interval = 0.05"))
    scene.begin()
    await asyncio.to_thread(scene.rotation().go_on)
    yield scene


def retired(scene: Scene) -> RetiredRelays:
    homes = [Home.open(path, PASSWORD) for path in plans.retired_folders(scene.folder)]
    return RetiredRelays(scene.folder, homes, pause=0.05)


async def test_oldRelay_isWoundUp_markedAndNotStartedAgain(scene: Scene) -> None:
    relays = retired(scene)
    assert any("is being started" in note for note in relays.notes())
    relays.start()
    try:
        await asyncio.wait_for(relays.ended(), 30)
    finally:
        await relays.stop()
    assert (scene.retired / plans.SETTLED).exists()
    notes = relays.notes()
    assert "`mixpay-relay rotate-key` pays out what is left" in notes[0]
    assert notes[1].endswith("everything is settled")
    assert retired(scene).notes()[1:] == []
    assert plans.retired_folders(scene.folder) == []
    assert scene.tokens() > 0 and scene.ledger(scene.old) == 0, "the ledger was paid out to the owner"


async def test_folderInUseElsewhere_isWaitedFor_andTold_andTheOthersServeOn(scene: Scene) -> None:
    """Somebody has started the old relay by hand: two processes with its key must not run."""
    relays = retired(scene)
    with HomeLock(scene.retired):
        relays.start()
        await until(lambda: any("it cannot be wound up now" in note for note in relays.notes()))
        assert any("in use by another relay daemon" in note for note in relays.notes())
        assert relays.running == {} and relays.drains() == []
    try:
        await asyncio.wait_for(relays.ended(), 30)
    finally:
        await relays.stop()


async def test_oldRelayThatCannotRun_isTriedAgain(scene: Scene) -> None:
    relays = retired(scene)
    (scene.retired / "relay.sqlite").write_bytes(b"not a database at all, but long enough to look at" * 100)
    relays.start()
    try:
        await until(lambda: any("is damaged" in note for note in relays.notes()))
        assert not (scene.retired / plans.SETTLED).exists()
        (scene.retired / "relay.sqlite").unlink()
        (scene.retired / "relay.sqlite").touch(0o600)
        await asyncio.wait_for(relays.ended(), 30)
    finally:
        await relays.stop()
    assert (scene.retired / plans.SETTLED).exists()


async def test_mistakeOfOurs_isToldAndTriedAgain(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a mistake")

    relays = retired(scene)
    with monkeypatch.context() as patched:
        patched.setattr("relay.retired.Supervisor", fail)
        relays.start()
        await until(lambda: any("a mistake" in note for note in relays.notes()))
    try:
        await asyncio.wait_for(relays.ended(), 30)
    finally:
        await relays.stop()


async def test_rotationThatIsNotFinished_isTold(chain: DevChain, tmp_path: Path) -> None:
    scene = await asyncio.to_thread(make_scene, World(chain), tmp_path / "other")
    scene.begin()
    (note,) = RetiredRelays.open(scene.folder, PASSWORD).notes()
    assert "stop the daemon and run `mixpay-relay rotate-key`" in note


@pytest.mark.parametrize("name", ["0xabc", "notes"])
async def test_otherThingsInTheFolder_areNoRelays(tmp_path: Path, name: str) -> None:
    (tmp_path / "retired" / name).mkdir(parents=True)
    (tmp_path / "retired" / name / plans.SETTLED).touch()
    assert plans.retired_folders(tmp_path) == []
