"""The running issuer on a real chain, over real HTTP: passes out, vouchers out, money in."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import msgspec
import pytest

from issuer_world import Issuer, serving
from mixpay.chain.devchain import DevChain
from mixpay.crypto.blind_rsa import PublicKey, SecretKey, SigningFault
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.parameters import DEMO
from mixpay.passes import (
    EntryPassBook,
    OwnedPass,
    PassRules,
    PassSpender,
    Redemption,
    drawn_position,
)
from mixpay.sponsor import api, app, openapi, statuses
from mixpay.sponsor.issuer import Issuer as IssuerRules
from mixpay.sponsor.signer import Signer
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.redeem.pool_view import ChainPool
from relay.store import StoredPoolVoucher
from sponsor_world import PASSWORD, World


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    world = World(chain, tmp_path)
    world.settle_in()
    world.configure(poll_seconds=0.05, entry_passes=3)
    return world


def spent(world: World, owned: OwnedPass, number: int) -> bytes:
    """What the drawn entry hands in after `number` ticks."""
    frozen = world.contracts.registry.frozen(Epoch(owned.scope.period))
    on_chain = world.contracts.pool.key(owned.scope.campaign, owned.scope.kind, owned.scope.period)
    position = drawn_position(owned.signature, frozen.beacon, frozen.count)
    public = PublicKey.from_bytes(MODULI[on_chain.key_hash])
    rules = PassRules(owned.scope, public, on_chain.hop_price, frozen.beacon, frozen.count)
    spender, book = PassSpender(owned), EntryPassBook(max_gap=1 << 14)
    spender.reserve(number)
    ticks = [spender.next_tick() for _ in range(number)]
    book.accept_tick(book.present(owned.shown(), rules, position, 1 << 20).pass_id, ticks[-1])
    book.close(owned.scope.kind, owned.scope.period)
    ((_, redemption),) = book.redemptions(owned.scope)
    return redemption.encode()


MODULI: dict[bytes, bytes] = {}


def remember(answer: api.CampaignAnswer) -> None:
    for found in answer.keys:
        MODULI[PublicKey.from_bytes(found.modulus).key_hash()] = found.modulus


async def test_wholeWay_fromABlindedPassToMoneyOnChain(world: World) -> None:
    relay, operator = world.register()
    async with serving(world) as issuer:
        remember(await issuer.until_epoch(world.join()))
        owned, period = await issuer.buy(), world.epoch()
        bundle = spent(world, owned, 40)
        status, early = await issuer.redeem(relay, 1, period, bundle)
        assert (status, early["error"]) == (409, "period_open")
        await issuer.until_epoch(world.next_epoch())
        status, answer = await issuer.redeem(relay, 1, period, bundle, bytes(len(bundle)))
        assert status == 200, answer
        voucher = msgspec.convert(answer, api.RedeemAnswer)
        assert voucher.operator == operator and voucher.added == 40
        assert [(b.index, b.reason) for b in voucher.refused] == [(1, "tick_out_of_range")]
        assert voucher.amount == 40 * 5 * DEMO.hop_price
        again = await issuer.redeem(relay, 1, period, bundle)
        assert again[1] | {"refused": []} == answer | {"added": 0, "refused": []}
        pool, channels = world.contracts.pool, world.contracts.channels
        call = pool.claim(voucher.campaign, Epoch(voucher.period), voucher.amount, voucher.signature)
        world.operator(relay).send(call)
        assert channels.balance_of(operator) == voucher.amount
    assert not world.home.service_file.exists()
    # A restart forgets nothing and pays nothing twice.
    async with serving(world) as issuer:
        status, later = await issuer.redeem(relay, 1, period, bundle)
        assert (status, later["added"], later["cumulative"]) == (200, 0, answer["cumulative"])


async def test_whatIsRedeemedAtThePool_isCountedByAServiceThatWasAway(world: World) -> None:
    relay, operator = world.register()
    async with serving(world) as issuer:
        remember(await issuer.until_epoch(world.join()))
        passes, period = [await issuer.buy() for _ in range(2)], world.epoch()
    world.next_epoch()
    first, second = (spent(world, owned, ticks) for owned, ticks in zip(passes, (40, 30), strict=True))
    view = NetworkView(world.rpc, world.deployment)
    view.refresh()
    pool = ChainPool(world.contracts, world.operator(relay), view, relay)
    modulus = MODULI[world.contracts.pool.key(1, 1, period).key_hash]
    pool.redeem(passes[0].scope, modulus, period, [Redemption.decode(first)])
    assert world.contracts.channels.balance_of(operator) == 40 * 5 * DEMO.hop_price
    async with serving(world) as issuer:
        status, answer = await issuer.redeem(relay, 1, period, first, second)
        assert (status, answer["added"]) == (200, 30)
        voucher = msgspec.convert(answer, api.RedeemAnswer)
        assert voucher.amount == 70 * 5 * DEMO.hop_price
        pool.claim(StoredPoolVoucher(1, voucher.period, voucher.amount, voucher.signature))
        assert world.contracts.channels.balance_of(operator) == voucher.amount


async def test_mailboxPass_isRedeemedInTheTermsLastEpoch(world: World) -> None:
    relay, _ = world.register()
    async with serving(world) as issuer:
        remember(await issuer.until_epoch(world.join()))
        owned = await issuer.buy(kind=2)
        bundle = spent(world, owned, 3)
        await issuer.until_epoch(world.next_epoch())
        status, answer = await issuer.redeem(relay, 2, owned.scope.period, bundle)
        assert (status, answer["period"], answer["added"]) == (200, owned.scope.period, 3)


async def test_redeem_paysNobodyForARelayThatCameLaterOrLeft(world: World) -> None:
    first, _ = world.register()
    async with serving(world) as issuer:
        remember(await issuer.until_epoch(world.join()))
        period, owned = world.epoch(), await issuer.buy()
        bundle = spent(world, owned, 1)
        world.leave(first)
        # Takes the position that has fallen free, which is the one that the pass draws.
        second, _ = world.register()
        await issuer.until_epoch(world.next_epoch())
        status, answer = await issuer.redeem(second, 1, period, bundle)
        assert (status, answer["added"]) == (200, 0)
        assert answer["refused"] == [{"index": 0, "reason": "wrong_relay"}]
        status, answer = await issuer.redeem(first, 1, period, bundle)
        assert (status, answer["added"]) == (200, 1)
        status, answer = await issuer.redeem(RelayId(99), 1, period, bundle)
        assert (status, answer["error"]) == (404, "unknown_relay")


async def test_whatRelaysHandIn_keepsNobodyFromTheKeys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand bundles take a quarter of a second, anybody may hand them in, and they wait in a line."""
    begun, may_redeem = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        begun.set()
        may_redeem.wait(20)

    relay, _ = world.register()
    world.configure(waiting=2)
    async with serving(world) as issuer:
        await issuer.until_epoch(world.join())
        period = world.epoch()
        await issuer.until_epoch(world.next_epoch())
        monkeypatch.setattr(IssuerRules, "redeem", slow)
        asked = [asyncio.create_task(issuer.redeem(relay, 1, period)) for _ in range(4)]
        try:
            await asyncio.to_thread(begun.wait, 10)
            async with asyncio.timeout(5):
                assert (await issuer.campaign()).keys
        finally:
            may_redeem.set()
            await asyncio.gather(*asked)


async def test_aStop_answersWhatIsInProgress(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that are counted, or wait to be, when the stop comes."""
    begun, may_sign = threading.Event(), threading.Event()
    sign = Signer.sign

    def slow(
        signer: Signer, key: SecretKey, blinded: Sequence[bytes]
    ) -> Iterator[list[bytes | SigningFault]]:
        begun.set()
        may_sign.wait(10)
        return sign(signer, key, blinded)

    monkeypatch.setattr(Signer, "sign", slow)
    async with serving(world) as issuer:
        answer = await issuer.until_epoch(world.join())
        bodies = [
            msgspec.json.encode(api.SignRequest(1, answer.epoch, bytes(255) + bytes([number])))
            for number in (2, 3, 4)
        ]
        asked = [asyncio.create_task(issuer.post(api.SIGN_PATH, body)) for body in bodies]
        await asyncio.to_thread(begun.wait, 10)
        issuer.stop.set()
        asyncio.get_running_loop().call_later(0.1, may_sign.set)
        assert [status for status, _ in await asyncio.gather(*asked)] == [200, 200, 200]


async def test_sign_refusesWithLabels(world: World) -> None:
    async with serving(world) as issuer:
        answer = await issuer.until_epoch(world.join())
        body = msgspec.json.encode(api.SignRequest(1, answer.epoch, bytes(255) + b"\2"))
        for expected in (2, 2, 2):
            status, signed = await issuer.post(api.SIGN_PATH, body)
            assert (status, signed["left"]) == (200, expected)
        for _ in range(2):
            await issuer.buy()
        other = msgspec.json.encode(api.SignRequest(1, answer.epoch, bytes(255) + b"\3"))
        assert (await issuer.post(api.SIGN_PATH, other))[0] == 429
        # Nobody's own word for its address counts while no proxy is configured.
        assert (await issuer.post(api.SIGN_PATH, other, **{"X-Forwarded-For": "192.0.2.1"}))[0] == 429
        past = msgspec.json.encode(api.SignRequest(1, answer.epoch - 1, bytes(256)))
        assert (await issuer.post(api.SIGN_PATH, past))[1]["error"] == "wrong_period"


async def test_http_answersBadRequestsInJson(world: World) -> None:
    blinded = b'"blinded":"AA=="'
    cases = [
        (api.SIGN_PATH, b"", 400, "malformed"),
        (api.SIGN_PATH, b"[]", 400, "malformed"),
        (api.SIGN_PATH, b"\xff", 400, "malformed"),
        (api.SIGN_PATH, b'{"kind":1,"period":2,"blinded":"\xff"}', 400, "malformed"),
        (api.SIGN_PATH, b'{"\xff":1}', 400, "malformed"),
        (api.SIGN_PATH, b'{"kind":1,"period":2,%b}' % blinded, 400, "malformed"),
        (api.SIGN_PATH, b'{"kind":3,"period":2,%b}' % blinded, 400, "malformed"),
        (api.SIGN_PATH, b'{"kind":1,"period":2,%b,"more":1}' % blinded, 400, "malformed"),
        (api.SIGN_PATH, b" " * (statuses.MAX_SIGN_BODY + 1), 413, "too_large"),
        (api.REDEEM_PATH, b'{"relay":1,"kind":1,"period":0,"bundles":["AA=="]}', 400, "malformed"),
        (api.REDEEM_PATH, b'{"relay":1,"kind":1,"period":4294967295,"bundles":[]}', 409, "period_open"),
        (api.REDEEM_PATH, b'{"relay":-1,"kind":1,"period":0,"bundles":[]}', 400, "malformed"),
        (api.REDEEM_PATH, b" " * 800_000, 413, "too_large"),
        (api.CAMPAIGN_PATH, b"", 405, "method_not_allowed"),
        ("/v1/other", b"", 404, "not_found"),
    ]
    async with serving(world) as issuer:
        for path, body, status, label in cases:
            got, answer = await issuer.post(path, body)
            assert (got, answer["error"]) == (status, label), (path, body[:60])
            assert set(answer) == {"error", "detail"}
        assert await issuer.get(api.OPENAPI_PATH) == (200, json.loads(openapi.document()))
        async with issuer.session.delete(issuer.url + api.SIGN_PATH) as response:
            assert (response.status, response.headers["Allow"]) == (405, "POST")
        zero = f"{api.CAMPAIGN_PATH}?pool=0x{bytes(20).hex()}"
        status, answer = await issuer.get(zero)
        assert (status, answer["error"]) == (404, "no_campaign")


async def test_sign_refusesAsBusyWhatWouldWaitTooLong(world: World) -> None:
    world.configure(waiting=1, entry_passes=1000)
    async with serving(world) as issuer:
        answer = await issuer.until_epoch(world.join())
        bodies = [
            msgspec.json.encode(api.SignRequest(1, answer.epoch, number.to_bytes(256, "big")))
            for number in range(2, 42)
        ]
        answers = await asyncio.gather(*(issuer.post(api.SIGN_PATH, body) for body in bodies))
        statuses = [status for status, _ in answers]
        assert set(statuses) == {200, 503}
        assert {a["error"] for status, a in answers if status == 503} == {"busy"}
        # What was refused was not counted, and works later.
        late = bodies[statuses.index(503)]
        status, signed = await issuer.post(api.SIGN_PATH, late)
        assert (status, signed["left"]) == (200, 1000 - statuses.count(200) - 1)


async def test_service_goesOnWhileTheChainIsAway(tmp_path: Path) -> None:
    with DevChain() as chain:
        world = World(chain, tmp_path)
        world.settle_in()
        world.configure(poll_seconds=0.05)
        relay, _ = world.register()
        async with serving(world) as issuer:
            remember(await issuer.until_epoch(world.join()))
            period = world.epoch()
            bundle = spent(world, await issuer.buy(), 7)
            await issuer.until_epoch(world.next_epoch())
            chain.stop()
            body = msgspec.json.encode(api.SignRequest(1, period + 1, bytes(255) + b"\2"))
            assert (await issuer.post(api.SIGN_PATH, body))[0] == 200
            status, answer = await issuer.redeem(relay, 1, period, bundle)
            assert (status, answer["added"]) == (200, 7)
            # Nobody makes the service ask the chain: what it has followed is what it knows.
            status, answer = await issuer.redeem(RelayId(5), 1, period)
            assert (status, answer["error"]) == (404, "unknown_relay")


async def test_service_endsWhileATransactionWaitsForItsBlock(tmp_path: Path) -> None:
    """Keys of the next epoch are sent, and no block comes: who ends the service need not wait for one."""
    with DevChain() as chain:
        world = World(chain, tmp_path)
        world.settle_in()
        world.configure(poll_seconds=0.05)
        world.register()
        async with serving(world) as issuer:
            await issuer.until_epoch(world.join())
            world.rpc.request("evm_setAutomine", False)
            chain.advance_time(DEMO.epoch_length)
            async with asyncio.timeout(10):
                while world.rpc.request("txpool_status")["pending"] == "0x0":
                    await asyncio.sleep(0.02)


async def test_service_saysThatItHasNotReadTheChain(world: World) -> None:
    office = await asyncio.to_thread(app.Office, world.home, PASSWORD)
    try:
        async with office.listening() as url, aiohttp.ClientSession() as session:
            status, answer = await Issuer(url, session, world, asyncio.Event()).get(api.CAMPAIGN_PATH)
            assert (status, answer["error"]) == (503, "chain_unavailable")
            for _ in range(2):
                assert (await Issuer(url, session, world, asyncio.Event()).get("/v1/nothing"))[0] == 404
        assert office.refusals.by_reason() == {"not_found": 2, "chain_unavailable": 1}
    finally:
        await office.close()


async def test_invitations_andAProxysWord(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world.configure(kind='"invitation"', behind_proxy="true")
    with pytest.raises(UserError, match="cannot read the invitation codes"):
        async with serving(world):
            pass
    codes = world.home.folder / "invitations.txt"
    codes.touch(0o600)
    codes.write_text("aaaabbbbccccdddd\n")
    async with serving(world) as issuer:
        answer = await issuer.until_epoch(world.join())
        assert [offer.name for offer in answer.policies] == ["invitation"]
        request = api.SignRequest(1, answer.epoch, bytes(255) + b"\2")
        body = msgspec.json.encode(request)
        status, refused = await issuer.post(api.SIGN_PATH, body)
        assert (status, refused["error"]) == (401, "identity_required")
        status, refused = await issuer.post(
            api.SIGN_PATH, msgspec.json.encode(msgspec.structs.replace(request, credential="nonsense"))
        )
        assert (status, refused["error"]) == (403, "identity_refused")
        assert await issuer.buy(credential="aaaabbbbccccdddd")
    assert "aaaabbbb" not in caplog.text and "nonsense" not in caplog.text


async def test_ofSeveralForwardedFors_theLastOneIsTheProxys(world: World) -> None:
    """Some proxies append a header of their own to those that the client wrote, instead of an entry."""
    world.configure(entry_passes=1, behind_proxy="true")
    async with serving(world) as issuer:
        answer = await issuer.until_epoch(world.join())

        async def ask(number: int, *forwarded: str) -> int:
            body = msgspec.json.encode(api.SignRequest(1, answer.epoch, bytes(255) + bytes([number])))
            headers = [("X-Forwarded-For", one) for one in forwarded]
            async with issuer.session.post(issuer.url + api.SIGN_PATH, data=body, headers=headers) as found:
                return found.status

        assert await ask(2, "203.0.113.1", "192.0.2.1") == 200
        assert await ask(3, "203.0.113.2", "192.0.2.1") == 429
        assert await ask(3, "203.0.113.2, 192.0.2.1", "203.0.113.3, 192.0.2.2") == 200
        assert await ask(4, "192.0.2.2") == 429


async def test_aSecondServiceInOneFolder_isRefused_andLeavesTheFirstOneAlone(world: World) -> None:
    """It would take `api.json` and `service.json` with it when it ends."""
    files = world.home.folder / "api.json", world.home.service_file
    async with serving(world):
        before = [file.read_bytes() for file in files]
        with pytest.raises(UserError, match="another service runs in this folder"):
            await app.serve(world.home, PASSWORD, asyncio.Event(), print)
        assert [file.read_bytes() for file in files] == before
    async with serving(world):
        pass


async def test_serve_failsForWhatIsNotItsCampaign(world: World) -> None:
    good = world.home.config_path.read_text()
    with pytest.raises(UserError, match="wrong password"):
        await app.serve(world.home, "other", asyncio.Event(), print)
    world.configure(campaign=99)
    with pytest.raises(UserError, match="there is no campaign 99"):
        await app.serve(world.home, PASSWORD, asyncio.Event(), print)
    world.configure(campaign=0)
    with pytest.raises(UserError, match="sponsor create"):
        await app.serve(world.home, PASSWORD, asyncio.Event(), print)
    world.home.config_path.write_text(good)
    call = world.contracts.pool.create_campaign(Account(b"\1" * 20), Amount(1), Amount(1))
    world.deployer.send(call)
    world.configure(campaign=world.contracts.pool.campaign_count())
    with pytest.raises(UserError, match="is signed for by 0x01"):
        await app.serve(world.home, PASSWORD, asyncio.Event(), print)


async def test_serve_failsIfTheSignerHasNoEther(world: World) -> None:
    signer = world.contracts.pool.campaign(1).signer
    world.chain.fund(signer, 0)
    with pytest.raises(UserError, match="ether"):
        async with serving(world):
            pass
