"""A campaign on a real chain with a real service: status, figures, invoice, pausing, taking money back."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy.engine import make_url

from mixpay.chain.devchain import DevChain
from mixpay.chain.rpc import Rpc
from mixpay.cli.sponsor import sponsor
from mixpay.errors import ChainUnavailable, UserError
from mixpay.network import NetworkView
from mixpay.parameters import DEMO, TOKEN
from mixpay.passes import Redemption
from mixpay.sponsor import api, app, campaigns
from mixpay.sponsor.campaign_reader import SET_KEY_GAS, CampaignReader
from mixpay.sponsor.invoice import Span, invoice
from mixpay.sponsor.movements import PAYMENTS, Movement, What, total
from mixpay.types import Account, Amount, Epoch, RelayId
from relay.redeem.pool_view import ChainPool
from sponsor_world import PASSWORD, World
from test_sponsor_service import MODULI, Issuer, remember, serving, spent

TICK = 5 * DEMO.hop_price
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(chain: DevChain, tmp_path: Path) -> World:
    world = World(chain, tmp_path)
    world.settle_in()
    world.configure(poll_seconds=0.05, entry_passes=5)
    return world


async def told(world: World, *arguments: str) -> str:
    """What a command prints."""

    def run() -> str:
        environ = {"MIXPAY_PASSWORD": PASSWORD, "MIXPAY_SPONSOR_HOME": str(world.home.folder)}
        result = CliRunner().invoke(sponsor, list(arguments), env=environ, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return await asyncio.to_thread(run)


async def status(world: World) -> dict[str, Any]:
    return json.loads(await told(world, "status", "--json"))


def ask(world: World, path: str) -> bytes:
    """What the service that runs answers its sponsor."""
    file = json.loads((world.home.folder / "api.json").read_bytes())
    headers = {"Authorization": f"Bearer {file['token']}"}
    request = urllib.request.Request(f"http://127.0.0.1:{file['port']}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310 our own
        return response.read()


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.05)


async def carry(world: World, issuer: Issuer) -> tuple[RelayId, Account, Epoch]:
    """Three passes in one epoch: one redeemed at the pool, one at the issuer and claimed, one never."""
    relay, operator = world.register()
    remember(await issuer.until_epoch(world.join()))
    passes, period = [await issuer.buy() for _ in range(3)], world.epoch()
    await issuer.until_epoch(world.next_epoch())
    at_pool, at_issuer, _ = (spent(world, owned, n) for owned, n in zip(passes, (40, 30, 5), strict=True))
    view = NetworkView(world.rpc, world.deployment)
    view.refresh()
    pool = ChainPool(world.contracts, world.operator(relay), view, relay)
    modulus = MODULI[world.contracts.pool.key(1, 1, period).key_hash]
    pool.redeem(passes[0].scope, modulus, period, [Redemption.decode(at_pool)])

    async def is_counted() -> bool:
        answered = await issuer.redeem(relay, 1, period)
        return bool(answered[1]["cumulative"] == str(40 * TICK))

    await until(is_counted)
    _, answer = await issuer.redeem(relay, 1, period, at_issuer)
    voucher = msgspec.convert(answer, api.RedeemAnswer)
    assert voucher.amount == 70 * TICK
    claim = world.contracts.pool.claim(1, Epoch(voucher.period), voucher.amount, voucher.signature)
    world.operator(relay).send(claim)
    return relay, operator, period


def facts(world: World) -> tuple[CampaignReader, tuple[Movement, ...]]:
    reader = CampaignReader(world.rpc, world.deployment, 1)
    return reader, reader.read().movements


# ---------------------------------------------------------------------- status


async def test_status_andMetrics_sayWhatHappened_withAndWithoutAService(world: World) -> None:
    young = await status(world)
    assert young["money"]["budget"] == str(1000 * TOKEN) and young["serving"] is False
    assert (young["pace"]["seconds_left"], young["refusals"], young["keys"]["until_epoch"]) == (None,) * 3
    assert not world.home.database("").may_exist, "to look makes nothing"
    async with serving(world) as issuer:
        relay, operator, period = await carry(world, issuer)
        paid = 70 * TICK
        await issuer.redeem(RelayId(99), 1, period)
        running = await status(world)
        assert running["serving"] and running["refusals"]["unknown_relay"] == 1

        async def is_reported() -> bool:
            try:
                found = json.loads(await asyncio.to_thread(ask, world, "/status"))
                return bool(found["money"]["paid"] == str(paid))
            except urllib.error.HTTPError:  # it has read nothing yet
                return False

        await until(is_reported)
        metrics = (await asyncio.to_thread(ask, world, "/metrics")).decode()
        text = await told(world, "status")
    assert f"mixpay_sponsor_paid_tokens {paid / TOKEN!r}" in metrics
    assert 'mixpay_sponsor_refusals_total{reason="unknown_relay"} 1.0' in metrics
    stopped = await status(world)
    assert stopped["serving"] is False and stopped["refusals"] is None
    for found in (running, stopped):
        (entry,) = [one for one in found["periods"] if (one["kind"], one["period"]) == (1, period)]
        assert (entry["issued"], entry["identities"], entry["redeemed"], entry["ticks"]) == (3, 1, 2, 70)
        assert (entry["over"], entry["value"]) == (True, str(paid))
        (top,) = found["top"]
        assert (top["relay"], top["passes"], top["ticks"], top["paid"]) == (relay, 2, 70, str(paid))
        assert found["money"]["paid"] == str(paid) and found["money"]["owed"] == "0"
        assert found["money"]["budget"] == str(world.contracts.pool.campaign(1).budget)
        assert found["pace"]["spent"] == str(paid) and found["pace"]["user_epoch"] == str(paid)
        assert found["keys"]["until_epoch"] >= world.epoch() + 1 and found["keys"]["registrations"] > 100
        assert found["policies"] == [{"name": "open", "kind": "open", "entry": 5, "mailbox": 4}]
    assert f"  relay {relay}: 0.00035 tokens (100.0 %" in text and "  1 unknown_relay\n" in text
    assert operator.hex() not in text.lower()


async def test_status_tellsOfVouchersThatNobodyClaims(world: World) -> None:
    async with serving(world) as issuer:
        relay, _ = world.register()
        remember(await issuer.until_epoch(world.join()))
        owned, period = await issuer.buy(), world.epoch()
        await issuer.until_epoch(world.next_epoch())
        await issuer.redeem(relay, 1, period, spent(world, owned, 9))
        found = await status(world)
    assert (found["money"]["owed"], found["money"]["paid"]) == (str(9 * TICK), "0")
    assert found["money"]["left"] == str(1000 * TOKEN - 9 * TICK)


def test_keysAreCountedAtWhatTheyCost() -> None:
    """The gas of a registration is what the snapshot says."""
    assert json.loads((ROOT / "docs/gas-snapshot.json").read_bytes())["set_key"] == SET_KEY_GAS


def test_aNodeThatHasLostEvents_isFoundOut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rpc, "logs", lambda self, *_: [])
    with pytest.raises(ChainUnavailable, match="come to a budget of 0 tokens, but there are 1000"):
        facts(world)


def test_reader_forgetsWhatAReorganisedChainTakesBack(world: World) -> None:
    reader, before = facts(world)
    kept = world.rpc.request("evm_snapshot")
    world.deployer.send(world.contracts.token.approve(world.contracts.pool.address, Amount(TOKEN)))
    world.deployer.send(world.contracts.pool.fund(1, Amount(TOKEN)))
    assert reader.read().terms.budget == 1001 * TOKEN
    world.rpc.request("evm_revert", kept)
    for _ in range(4):
        world.rpc.request("evm_mine")
    assert reader.read().movements == before


def test_reader_saysThatThereIsNoCampaign(world: World) -> None:
    with pytest.raises(UserError, match="there is no campaign 7 in this deployment"):
        CampaignReader(world.rpc, world.deployment, 7).read()


# ---------------------------------------------------------------------- invoice


async def test_invoice_addsUpToWhatThePoolHolds(world: World, tmp_path: Path) -> None:
    async with serving(world) as issuer:
        relay, operator, period = await carry(world, issuer)
    give = Amount(3 * TOKEN)
    world.deployer.send(world.contracts.token.approve(world.contracts.pool.address, give))
    world.deployer.send(world.contracts.pool.fund(1, give))
    campaigns.withdraw(world.home, PASSWORD, None, lambda _: None)
    world.chain.advance_time(seconds=DEMO.withdrawal_notice)
    done = campaigns.withdraw(world.home, PASSWORD, None, lambda _: None)
    assert done.paid == 1003 * TOKEN - 70 * TICK
    late = Amount(5 * TOKEN)
    world.deployer.send(world.contracts.token.approve(world.contracts.pool.address, late))
    world.deployer.send(world.contracts.pool.fund(1, late))
    budget = world.contracts.pool.campaign(1).budget
    out = tmp_path / "all.csv"
    assert await told(world, "invoice", "--from", "2000-01-01", "--to", "2199-12-31", "--out", str(out)) == ""
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["what"] for row in rows] == [
        *("opening", "funded", "redeemed", "claimed", "funded", "withdrawn", "funded"),
        *("paid_to_relays", "closing"),
    ]
    redeemed, claimed = rows[2], rows[3]
    for row, ticks in ((redeemed, 40), (claimed, 30)):
        assert (row["relay"], row["account"].lower()) == (str(relay), "0x" + operator.hex())
        assert row["period"] == str(period)
        assert Decimal(row["amount_tokens"]) * TOKEN == -ticks * TICK
        receipt = world.rpc.receipt(bytes.fromhex(row["transaction"][2:]))
        assert receipt is not None and receipt.block == int(row["block"])
    assert (redeemed["kind"], redeemed["ticks"], claimed["kind"], claimed["ticks"]) == ("entry", "40", "", "")
    moved = sum(Decimal(row["amount_tokens"]) for row in rows[1:-2])
    assert Decimal(rows[0]["budget_tokens"]) + moved == Decimal(rows[-1]["budget_tokens"])
    assert Decimal(rows[-1]["budget_tokens"]) * TOKEN == budget == late
    assert Decimal(rows[-2]["amount_tokens"]) * TOKEN == -70 * TICK
    # And of any span in between.
    reader, known = facts(world)
    times = [reader.time_of(movement.block) for movement in known]
    for begins in times:
        for ends in (*times, times[-1] + 1):
            found = invoice(Span(begins, ends), known, reader.time_of)
            lines = [movement for _, movement in found.lines]
            funded, withdrawn = total(lines, What.FUNDED), total(lines, What.WITHDRAWN)
            assert found.opening + funded - total(lines, *PAYMENTS) - withdrawn == found.closing
    assert invoice(Span(0, times[-1] + 1), known, reader.time_of).closing == budget


async def test_invoice_saysWhatIsWrongWithDays(world: World) -> None:
    with pytest.raises(UserError, match="the last day is before the first"):
        await told(world, "invoice", "--from", "2026-02-01", "--to", "2026-01-31")
    text = await told(world, "invoice", "--from", "2000-01-01", "--to", "2000-01-01")
    assert [row["budget_tokens"] for row in csv.DictReader(io.StringIO(text))] == ["0"] * 3


# ---------------------------------------------------------------------- pausing


async def test_pause_stopsIssuing_notRedeeming_andOutlivesTheService(world: World) -> None:
    relay, _ = world.register()

    async def is_paused(issuer: Issuer, period: int) -> bool:
        body = msgspec.json.encode(api.SignRequest(1, period, bytes(255) + b"\2"))
        code, answer = await issuer.post(api.SIGN_PATH, body)
        assert (code, answer.get("error")) in ((200, None), (503, "paused")), answer
        return bool(code == 503)

    async with serving(world) as issuer:
        remember(await issuer.until_epoch(world.join()))
        owned, period = await issuer.buy(), world.epoch()
        said = await told(world, "pause")
        assert said == "paused: services issue no passes in 0.05 s at the latest\n"
        await until(lambda: is_paused(issuer, period))
        assert (await issuer.campaign()).keys, "what was issued needs the keys"
        await issuer.until_epoch(world.next_epoch())
        code, answer = await issuer.redeem(relay, 1, period, spent(world, owned, 9))
        assert (code, answer["added"]) == (200, 9)
    found = await status(world)
    assert found["paused"] and "issuing is paused: `mixpay sponsor resume`" in found["warnings"]
    async with serving(world) as issuer:
        epoch = (await issuer.campaign()).epoch
        assert await is_paused(issuer, epoch), "from the first request on"
        assert (await status(world))["refusals"] == {"paused": 1}
        await told(world, "resume")

        async def is_issuing() -> bool:
            return not await is_paused(issuer, epoch)

        await until(is_issuing)
    assert not (await status(world))["paused"]


async def test_pause_isHeard_whileTheNodeDoesNotAnswer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor while the issuer's thread is busy with what relays hand in: both are waited for in one loop."""
    answered, asked_for = threading.Event(), threading.Event()

    def refresh(_: NetworkView) -> None:
        asked_for.set()
        answered.wait(60)

    async with serving(world) as issuer:
        epoch = (await issuer.until_epoch(world.join())).epoch
        monkeypatch.setattr(NetworkView, "refresh", refresh)
        try:
            await asyncio.to_thread(asked_for.wait, 10)
            await told(world, "pause")

            async def is_paused() -> bool:
                body = msgspec.json.encode(api.SignRequest(1, epoch, bytes(255) + b"\2"))
                return (await issuer.post(api.SIGN_PATH, body))[0] == 503

            await until(is_paused)
        finally:
            answered.set()


async def test_pause_andStatus_goToTheDatabaseOfTheService(world: World, postgres: str) -> None:
    """That was named on the command line of `serve`; what the settings say would be another one."""
    database = make_url(postgres).set(database="pausing").render_as_string(hide_password=False)
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE DATABASE pausing")
    async with app.running(world.home, PASSWORD, database=database):
        for command in ("status", "pause", "resume"):
            with pytest.raises(UserError, match=r"works on postgresql://.*/pausing.*: say --database"):
                await told(world, command)
        assert not world.home.database("").may_exist
        await told(world, "pause", "--database", database)
        assert json.loads(await told(world, "status", "--json", "--database", database))["paused"]
    assert json.loads(await told(world, "status", "--json", "--database", database))["paused"]
    assert not (await status(world))["paused"], "of the settings' database"


# ---------------------------------------------------------------------- taking money back


async def test_withdraw_isShownWithItsDate_andCanBeTakenBack(world: World) -> None:
    world.register()
    with pytest.raises(UserError, match="no withdrawal from campaign 1 is under notice"):
        await told(world, "withdraw", "--cancel")
    await told(world, "withdraw")
    found, pool = await status(world), world.contracts.pool.campaign(1)
    money = found["money"]
    assert (money["withdrawal"], money["withdrawable_at"]) == (str(1000 * TOKEN), pool.withdrawable_at)
    assert (money["guaranteed"], money["share"], money["left"], money["budget"]) == (
        "0", "0", "0", str(1000 * TOKEN),
    )  # fmt: skip
    assert any("relays count on that part no more" in line for line in found["warnings"])
    text = await told(world, "status")
    assert "withdrawal of 1000 tokens: it can be paid out from 20" in text
    said = await told(world, "withdraw", "--cancel", "--json")
    assert json.loads(said) == {"budget": str(1000 * TOKEN)}
    assert world.contracts.pool.campaign(1).withdrawable_at == 0
    money = (await status(world))["money"]
    assert (money["withdrawal"], money["guaranteed"]) == ("0", str(1000 * TOKEN))
