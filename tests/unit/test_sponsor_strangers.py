"""Strangers at the running issuer's door: who wastes its time, its memory or its log gets nowhere."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from issuer_world import Issuer, serving
from mixpay.chain.devchain import DevChain
from mixpay.sponsor import api, service, statuses
from mixpay.sponsor.admin import refusals_of
from sponsor_world import World

STRANGER = "127.0.0.77"


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    world = World(chain, tmp_path)
    world.settle_in()
    world.configure(poll_seconds=0.05)
    return world


async def knock(issuer: Issuer, said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stranger's connection, and what it says first."""
    host, port = issuer.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(STRANGER, 0))
    writer.write(said)
    return reader, writer


async def refusals(issuer: Issuer) -> dict[str, int]:
    found = await asyncio.to_thread(refusals_of, issuer.world.home.folder)
    assert found is not None
    return found


async def test_strangersWhoWasteTime_areShownOut_andNotWrittenDown(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    monkeypatch.setattr(service, "BODY_SECONDS", 0.2)
    world.configure(connections_of_address=3, per_second=2.0)
    async with serving(world) as issuer:
        async with asyncio.timeout(10):
            slow = await knock(issuer, b"POST /v1/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert (await slow[0].readline()).startswith(b"HTTP/1.1 408")
            babbling = await knock(issuer, b"babble babble\r\n\r\n")
            await babbling[0].read()
            silent = [await knock(issuer, b"") for _ in range(3)]
            with suppress(ConnectionError):
                assert await silent[2][0].read() == b"" or await silent[1][0].read() == b""
            while (answer := await issuer.get(api.CAMPAIGN_PATH))[0] == 200:
                pass
            assert (answer[0], answer[1]["error"]) == (429, "too_fast")
        for _, writer in (slow, babbling, *silent):
            writer.close()
    assert "too_many_of_one_address" in caplog.text
    assert "babble" not in caplog.text
    assert STRANGER not in caplog.text


async def test_bodiesOfBundles_haveFewPlaces_thatAreFreeAgainLater(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may send 0.7 MB, on a thousand connections."""
    monkeypatch.setattr(service, "MOST_BUNDLES", 2)
    async with serving(world) as issuer:
        head = b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        slow = [await knock(issuer, head) for _ in range(2)]
        async with asyncio.timeout(10):
            while (answer := await issuer.post(api.REDEEM_PATH, b"{}"))[1]["error"] != "busy":
                assert answer[0] == 400  # theirs were not heard yet
            for reader, writer in slow:
                writer.write(b"}       ")
                assert (await reader.readline()).startswith(b"HTTP/1.1 400")
                writer.close()
            assert (await issuer.post(api.REDEEM_PATH, b"{}"))[0] == 400


async def test_bodiesOfBundles_ofOneAddress_leavePlacesToOthers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or one stranger, with a connection in each place, keeps all relays from being paid."""
    monkeypatch.setattr(service, "MOST_BUNDLES_OF_ADDRESS", 2)
    async with serving(world) as issuer, asyncio.timeout(10):
        head = b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"
        slow = [await knock(issuer, head) for _ in range(3)]
        heard = [asyncio.create_task(reader.readline()) for reader, _ in slow]
        done, _ = await asyncio.wait(heard, return_when=asyncio.FIRST_COMPLETED)
        assert [task.result()[:12] for task in done] == [b"HTTP/1.1 503"]
        assert (await issuer.post(api.REDEEM_PATH, b"{}"))[0] == 400
        for _, writer in slow:
            writer.write(b"}       ")
        assert sorted([(await task)[:12] for task in heard])[:2] == [b"HTTP/1.1 400"] * 2
        again = await knock(issuer, head + b"}       ")
        assert (await again[0].readline()).startswith(b"HTTP/1.1 400"), "theirs are free again"
        for _, writer in (*slow, again):
            writer.close()


async def test_bodiesThatAreNone_areTheirSendersFault(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No traceback, no failure of the issuer's among its figures: anybody can send them, all day."""
    post = b"POST /v1/sign HTTP/1.1\r\nHost: x\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    async with serving(world) as issuer, asyncio.timeout(10):
        for said, status in [
            (post + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n{xxxxxxxx", 400),
            (chunked + b"%x\r\n%b" % (80_000, b" " * (statuses.MAX_SIGN_BODY + 1)), 413),
        ]:
            reader, writer = await knock(issuer, said)
            assert (await reader.readline()).startswith(b"HTTP/1.1 %d" % status)
            writer.close()
        for begun in (post + b"Content-Length: 9\r\n\r\n{", chunked + b"1\r\n{\r\n"):
            _, writer = await knock(issuer, begun)
            await writer.drain()
            before = await refusals(issuer)  # when it answers, it has heard the other one, too
            writer.close()
            while (now := await refusals(issuer)) == before:
                await asyncio.sleep(0.01)
            assert now == {**before, "malformed": before["malformed"] + 1}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
