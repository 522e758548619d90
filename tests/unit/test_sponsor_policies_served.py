"""All policies at one running issuer, on a real chain and over real HTTP, asked by the client's own code."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from issuer_world import Issuer, serving
from mixpay import eip712, keystore
from mixpay.chain.devchain import DevChain
from mixpay.client.errors import IssuerRefused, IssuerUnavailable
from mixpay.client.home import ClientConfig
from mixpay.client.issuer import Issuer as ClientIssuer
from mixpay.client.makers import credentials_of
from mixpay.crypto.blind_rsa import PublicKey
from mixpay.passes import KIND_ENTRY, PassRequest, Scope
from mixpay.sponsor import api
from mixpay.sponsor.policies.api_key import new_key
from mixpay.sponsor.policies.callback import SIGNATURE_HEADER, signature_of
from sponsor_world import World

SECRET = "0123456789abcdef" * 2
KEY, LINE = new_key("shop", os.urandom)
ACCOUNT = b"\x41" * 32
ETHER = 10**18
# A port that the issuer is reached by is not known before it listens; a proxy's name is.
DOMAIN = "passes.example"

POLICIES = """
[[policy]]
kind = "invitation"
entry_passes = 2

[[policy]]
kind = "api-key"
entry_passes = 2
key_entry_passes = 3

[[policy]]
name = "login"
kind = "callback"
url = "{url}"
login_url = "https://dapp.example/login"

[[policy]]
kind = "wallet"
domain = "{domain}"
min_balance = 1_000_000_000_000_000_000
min_age_seconds = 60

[[policy]]
kind = "work"
difficulty = 8
raise_after = 2
all_entry_passes = 4
"""


@dataclass
class Dapp:
    """Knows tokens of the form "token of NAME"; away while `is_away`."""

    url: str = ""
    is_away: bool = False

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.headers[SIGNATURE_HEADER] == signature_of(SECRET.encode(), body)
        if self.is_away:
            return web.Response(status=502)
        token = json.loads(body)["token"]
        if not token.startswith("token of "):
            return web.Response(status=403)
        return web.json_response({"user": token.removeprefix("token of ")})


@asynccontextmanager
async def dapp_serving() -> AsyncIterator[Dapp]:
    dapp, app = Dapp(), web.Application()
    app.router.add_post("/mixpay", dapp.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    dapp.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mixpay"
    try:
        yield dapp
    finally:
        await runner.cleanup()


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def open_for_all(world: World, dapp: Dapp) -> None:
    """Write the settings of a sponsor with every policy."""
    home = world.home
    private(home.folder / "invitations.txt", "aaaabbbbccccdddd\n")
    private(home.folder / "api-keys.txt", f"{LINE}\n")
    private(home.folder / "callback-secret.txt", f"{SECRET}\n")
    text = home.config_path.read_text()
    before, after = text.split("[[policy]]\n", 1)
    later = after[after.index("[later_campaigns]") :]
    home.config_path.write_text(before + POLICIES.format(url=dapp.url, domain=DOMAIN) + later)
    world.configure(poll_seconds=0.05, per_second=1000.0)


class Buyer:
    """Buys with the client's settings; `issuer` is where passes come from."""

    def __init__(self, issuer: Issuer, campaign: api.CampaignAnswer, **settings: object) -> None:
        config = ClientConfig("", "", f"https://{DOMAIN}", **settings)  # type: ignore[arg-type]
        self._campaign = campaign
        self.told: list[str] = []
        credentials = credentials_of(config, self.told.append)
        self.asked = ClientIssuer(issuer.session, issuer.url, campaign.pool, credentials)

    def wanted(self) -> PassRequest:
        answer = self._campaign
        (key,) = [k for k in answer.keys if (k.kind, k.period) == (KIND_ENTRY, answer.epoch)]
        scope = Scope(answer.chain_id, answer.pool, answer.campaign, KIND_ENTRY, answer.epoch)
        return PassRequest.new(scope, PublicKey.from_bytes(key.modulus), os.urandom)

    async def buy(self, wanted: PassRequest | None = None) -> int:
        """A pass; how many are left."""
        request = wanted or self.wanted()
        answer = await self.asked.sign(KIND_ENTRY, self._campaign.epoch, request.blinded)
        request.finish(answer.signature)
        return answer.left

    async def refusal(self) -> str:
        with pytest.raises(IssuerRefused) as caught:
            await self.buy()
        return caught.value.label


async def test_everyPolicy_letsItsUsersIn_andNobodyElse(
    chain: DevChain, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    world = World(chain, tmp_path)
    world.settle_in()
    chain.fund(eip712.account_of(ACCOUNT), 2 * ETHER)
    chain.mine()
    keystore.put(tmp_path / "keys", "account", ACCOUNT, "word", kdf=keystore.Kdf.LIGHT)
    private(tmp_path / "word", "word\n")
    account = {"wallet_key_file": str(tmp_path / "keys" / "account.json")}
    account["wallet_password_file"] = str(tmp_path / "word")
    async with dapp_serving() as dapp:
        open_for_all(world, dapp)
        async with serving(world) as issuer:
            campaign = await issuer.until_epoch(world.join())
            names = [offer.name for offer in campaign.policies]
            assert names == ["invitation", "api-key", "login", "wallet", "work"]

            def buyer(**settings: object) -> Buyer:
                return Buyer(issuer, campaign, **settings)

            # Several: which one has to be said.
            plain = msgspec.json.encode(api.SignRequest(1, campaign.epoch, plain_message()))
            status, refused = await issuer.post(api.SIGN_PATH, plain)
            assert (status, refused["error"]) == (400, "policy_required")
            assert all(name in refused["detail"] for name in names)

            invited = buyer(invitation="aaaabbbbccccdddd")
            assert [await invited.buy(), await invited.buy()] == [1, 0]
            assert await invited.refusal() == "quota_exceeded"
            assert await buyer(invitation="aaaabbbbccccdddx").refusal() == "identity_refused"

            users = [buyer(policy="api-key", token=json.dumps({"key": KEY, "user": u})) for u in "abcd"]
            assert [await user.buy() for user in users[:3]] == [1, 1, 1]
            assert [await users[0].refusal(), await users[3].refusal()] == ["share_exceeded"] * 2

            alice = buyer(token="token of alice")
            assert await alice.buy() == 3
            assert await buyer(token="token of bob").buy() == 3
            assert await buyer(token="stolen").refusal() == "identity_refused"
            dapp.is_away = True
            with pytest.raises(IssuerUnavailable, match="policy_unavailable"):
                await alice.buy()
            dapp.is_away = False
            assert await alice.buy() == 2

            owner = buyer(policy="wallet", **account)
            assert await owner.buy() == 3
            assert owner.told[0].startswith("signing in at passes.example with the account 0x")

            # What was asked for once is given again, for a proof and a signature of their own.
            worker, request = buyer(policy="work"), buyer().wanted()
            assert [await worker.buy(request), await worker.buy(request)] == [0, 0]
            assert await worker.buy() == 0
            place = f"difficulty.1.{campaign.epoch}"
            assert {o.name: o.terms for o in (await issuer.campaign()).policies}["work"][place] == "16"
            assert [await buyer(policy="work").buy() for _ in range(2)] == [0, 0]
            assert await buyer(policy="work").refusal() == "share_exceeded"
    for secret in ("aaaabbbb", KEY, "token of", "stolen", SECRET):
        assert secret not in caplog.text


def plain_message() -> bytes:
    return bytes(255) + b"\2"


async def test_anAccountOfTooLittle_andAnUnknownPolicy(chain: DevChain, tmp_path: Path) -> None:
    world = World(chain, tmp_path)
    world.settle_in()
    keystore.put(tmp_path / "keys", "poor", b"\x42" * 32, "word", kdf=keystore.Kdf.LIGHT)
    private(tmp_path / "word", "word\n")
    poor = {"wallet_key_file": str(tmp_path / "keys" / "poor.json")}
    poor["wallet_password_file"] = str(tmp_path / "word")
    async with dapp_serving() as dapp:
        open_for_all(world, dapp)
        async with serving(world) as issuer:
            campaign = await issuer.until_epoch(world.join())
            assert await Buyer(issuer, campaign, policy="wallet", **poor).refusal() == "identity_refused"
            request = api.SignRequest(1, campaign.epoch, plain_message(), "nobody's", "x")
            status, refused = await issuer.post(api.SIGN_PATH, msgspec.json.encode(request))
            assert (status, refused["error"]) == (404, "policy_unknown")
            late = api.SignRequest(1, campaign.epoch + 9, plain_message(), "login", "token of alice")
            status, refused = await issuer.post(api.SIGN_PATH, msgspec.json.encode(late))
            assert (status, refused["error"]) == (409, "wrong_period")
            long = api.SignRequest(1, campaign.epoch, plain_message(), "login", "x" * 4097)
            status, refused = await issuer.post(api.SIGN_PATH, msgspec.json.encode(long))
            assert (status, refused["error"]) == (400, "malformed")


async def test_theSessionWithADapp_isClosedAtTheEnd(
    chain: DevChain, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    world = World(chain, tmp_path)
    world.settle_in()
    async with dapp_serving() as dapp:
        open_for_all(world, dapp)
        async with serving(world) as issuer:
            campaign = await issuer.until_epoch(world.join())
            assert await Buyer(issuer, campaign, token="token of alice").buy() == 3
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]
