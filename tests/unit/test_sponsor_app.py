"""The loops of a running service: what one's trouble does to the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mixpay.chain.devchain import DevChain
from mixpay.errors import ChainUnavailable, UserError
from mixpay.sponsor import app
from mixpay.sponsor.loops import each
from sponsor_world import PASSWORD, World


async def test_oneCampaignsTrouble_keepsNoOtherWaiting() -> None:
    """An old one, whose events a node has forgotten, would cost the new one its keys."""
    done = []

    async def work(campaign: str) -> None:
        done.append(campaign)
        if campaign == "first":
            raise ChainUnavailable("it has forgotten them")
        if campaign == "second":
            raise UserError("no ether")

    with pytest.raises(ChainUnavailable, match="forgotten"):
        await each(("first", "second", "third"), work)
    assert done == ["first", "second", "third"]


async def test_aLoopThatFails_isSaidAtOnce_andEndsTheOthers(
    chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They would go on with what is closed next."""
    world = World(chain, tmp_path)
    world.settle_in()
    world.configure(poll_seconds=0.05)

    async def fail(_: app.Office) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        async with app.running(world.home, PASSWORD):
            monkeypatch.setattr(app.Office, "look", fail)
            async with asyncio.timeout(10):
                while "follows the chain no more" not in caplog.text:
                    await asyncio.sleep(0.01)
            running = [getattr(task.get_coro(), "__name__", "") for task in asyncio.all_tasks()]
    assert running, "of the service itself"
    assert not {"repeat", "hurry"} & set(running)
