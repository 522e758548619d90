"""Policy `wallet`: signed messages for one pass, and accounts as a real chain knows them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as EthAccount
from hypothesis import given
from hypothesis import strategies as st

from mixpay import eip712, eip4361
from mixpay.chain.devchain import DevChain
from mixpay.chain.past import Past
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc
from mixpay.chain.sender import Sender
from mixpay.client.credentials import Wanted
from mixpay.client.errors import IssuerUnavailable
from mixpay.client.makers import WalletMaker, key_file
from mixpay.eip4361 import Login, LoginTerms
from mixpay.errors import ChainUnavailable, UserError
from mixpay.keystore import Secret
from mixpay.sponsor import api
from mixpay.sponsor.binding import login_nonce
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policies.wallet import Settings, Standing, WalletPolicy, make
from mixpay.sponsor.policy import Quotas
from mixpay.types import Account
from policy_world import BLINDED, NOW, SCOPE, asked, identify, refused

KEY = b"\x11" * 32
URL = "https://passes.example"
TERMS = LoginTerms("passes.example", URL, 31337, "Get a Mixpay pass.")
ETHER = 10**18


def policy(standing: Standing | None = None) -> WalletPolicy:
    return WalletPolicy(TERMS, standing, Quotas())


def login(**changes: Any) -> Login:
    nonce = login_nonce(SCOPE, BLINDED)
    return replace(Login(TERMS, eip712.account_of(KEY), nonce, NOW, NOW + 600), **changes)


def shown(signed: Login, key: bytes = KEY, **changes: object) -> str:
    signature = f"0x{eip4361.sign(signed, key).hex()}"
    return json.dumps({"message": signed.text(), "signature": signature} | changes)


GOOD = shown(login())


def test_theOwner_isItsAccount() -> None:
    found = identify(policy(), asked(GOOD))
    assert found.identity == b"account:" + eip712.account_of(KEY)
    assert found == identify(policy(), asked(shown(login(issued=NOW - 30, expires=NOW + 1))))
    other = login(address=eip712.account_of(b"\2" * 32))
    assert found != identify(policy(), asked(shown(other, b"\2" * 32)))


@pytest.mark.parametrize(
    "request_",
    [
        # heard, and used for another pass, in another period, of another campaign, or later
        asked(GOOD, blinded=b"\7" * 256),
        asked(GOOD, scope=replace(SCOPE, period=8)),
        asked(GOOD, scope=replace(SCOPE, kind=2)),
        asked(GOOD, scope=replace(SCOPE, campaign=4)),
        asked(GOOD, scope=replace(SCOPE, pool=b"\6" * 20)),
        asked(GOOD, scope=replace(SCOPE, chain_id=1)),
        asked(GOOD, now=NOW + 600),
        asked(GOOD, now=NOW - 61),
        # signed for something else
        asked(shown(login(terms=replace(TERMS, domain="evil.example")))),
        asked(shown(login(terms=replace(TERMS, uri="https://evil.example")))),
        asked(shown(login(terms=replace(TERMS, chain_id=1)))),
        asked(shown(login(terms=replace(TERMS, statement="Send all.")))),
        asked(shown(login(nonce="a" * 32))),
        asked(shown(login(expires=NOW + 601))),
        # signed by somebody else
        asked(shown(login(), b"\2" * 32)),
        asked(shown(login(), signature="0x" + "00" * 65)),
        asked(shown(login(), signature="0x" + "ff" * 65)),
        asked(shown(login(), signature="0x" + "\u0663" * 130)),
        asked(shown(login(), signature="")),
        asked(shown(login(), signature=GOOD.split('"')[7].removeprefix("0x"))),
        asked(shown(login(), message=login().text().replace("0x", "0X"))),
        asked(shown(login(), message=login().text().lower())),
        asked(shown(login(), message=login().text() + "\n")),
        # not JSON of that form
        asked("{}"),
        asked("0x"),
        asked(GOOD[:-1]),
        asked(GOOD[:-1] + ',"more":1}'),
        asked(json.dumps([GOOD])),
        asked("\x00" * 4096),
    ],
)
def test_aMessageOfSomethingElse_isRefused(request_: Any) -> None:
    assert refused(policy(), request_) == "identity_refused"


def test_theSignatureWithTheOtherS_isRefused() -> None:
    signature = eip4361.sign(login(), KEY)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = order - int.from_bytes(signature[32:64], "big")
    other = signature[:32] + s.to_bytes(32, "big") + bytes((55 - signature[64],))
    assert refused(policy(), asked(shown(login(), signature=f"0x{other.hex()}"))) == "identity_refused"


def test_withoutAMessage_oneIsRequired() -> None:
    assert refused(policy(), asked()) == "identity_required"


@given(st.text(max_size=30), st.integers(0, len(GOOD)), st.integers(0, 9))
def test_aChangedCredential_isRefused_orTheSame(inserted: str, at: int, cut: int) -> None:
    changed = GOOD[:at] + inserted + GOOD[at + cut :]
    try:
        same = json.loads(changed) == json.loads(GOOD)
    except ValueError:
        same = False
    if not same and changed.lower() != GOOD.lower():
        assert refused(policy(), asked(changed)) in ("identity_refused", "identity_required")


# ---------------------------------------------------------------------- on a chain


@pytest.fixture(scope="module")
def old(chain: DevChain) -> Sender:
    """An account with a past of an hour: it holds two ether, and has sent a transaction."""
    sender = Sender(chain.rpc, b"\x31" * 32)
    chain.fund(sender.account, 3 * ETHER)
    sender.send(Call("a gift", Account(b"\x99" * 20), b"", ETHER))
    chain.fund(Account(b"\x32" * 20), 2 * ETHER)  # has a past, and sent nothing
    chain.mine()
    chain.advance_time(3600)
    chain.fund(Account(b"\x33" * 20), 2 * ETHER)  # has none
    chain.mine()
    return sender


def test_standing_isWhatTheChainSays(chain: DevChain, old: Sender) -> None:
    holder, fresh, nobody = (Account(bytes((n,)) * 20) for n in (0x32, 0x33, 0x34))
    accounts = old.account, holder, fresh, nobody

    def suffices(balance: int, age: int) -> list[bool]:
        standing = Standing(chain.rpc, balance, age)
        return [standing.suffices(account) for account in accounts]

    assert suffices(ETHER, 0) == [True, True, True, False]
    assert suffices(3 * ETHER, 0) == [False, False, False, False]
    assert suffices(0, 3000) == [True, False, False, False], "only who has sent something"
    assert suffices(ETHER, 3000) == [True, True, False, False], "or had the balance then"
    assert suffices(0, 1 << 31) == [False] * 4, "the chain is younger"


def test_past_findsTheBlock_andRemembersIt(chain: DevChain, old: Sender) -> None:
    past = Past(chain.rpc)
    latest = chain.rpc.latest()
    found = past.block_before(3000)
    assert found is not None
    at, after = chain.rpc.block(found), chain.rpc.block(found + 1)
    assert at is not None and after is not None
    assert at.timestamp <= latest.timestamp - 3000 < after.timestamp
    assert past.block_before(3000) == found
    assert past.block_before(0) == latest.number
    assert past.block_before(1 << 31) is None


def test_anAccountOfTooLittle_isRefused(chain: DevChain, old: Sender) -> None:
    strict = policy(Standing(chain.rpc, ETHER, 3000))
    assert refused(strict, asked(GOOD)) == "identity_refused"
    key = b"\x31" * 32
    good = login(address=eip712.account_of(key))
    assert identify(policy(Standing(chain.rpc, ETHER, 3000)), asked(shown(good, key)))


class Pruned(Rpc):
    """A node that keeps the newest states only, as most do."""

    def request(self, method: str, *params: object) -> Any:
        if method == "eth_getTransactionCount" and params[1] not in ("latest", "pending"):
            return super().request(method, params[0], "0xffffffff")
        return super().request(method, *params)


def test_aNodeWithoutThePast_makesThePolicyUnavailable(
    chain: DevChain, old: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    forgetful = policy(Standing(Pruned(chain.rpc.shown), 0, 3000))
    assert refused(forgetful, asked(GOOD)) == "policy_unavailable"
    assert "archive node" in caplog.text


def test_aNodeThatIsAway_makesThePolicyUnavailable(unused_tcp_port: int) -> None:
    away = policy(Standing(Rpc(f"http://127.0.0.1:{unused_tcp_port}", attempts=1), 1, 0))
    assert refused(away, asked(GOOD)) == "policy_unavailable"


def test_make_checksTheSettings(chain: DevChain, tmp_path: Path) -> None:
    around = Surroundings(tmp_path, chain.rpc, 31337)
    made = make("wallet", Quotas(), Settings("passes.example"), around)
    assert made.terms()["uri"] == URL and made.terms()["chain_id"] == "31337"
    with pytest.raises(UserError, match="is not on chain 1"):
        make("wallet", Quotas(), Settings("passes.example", chain_id=1, min_balance=1), around)
    with pytest.raises(UserError, match="printable ASCII"):
        make("wallet", Quotas(), Settings("pässe.example"), around)
    nowhere = Settings("passes.example", rpc_url="http://127.0.0.1:1", min_balance=1)
    with pytest.raises(ChainUnavailable):
        make("wallet", Quotas(), nowhere, around)


# ---------------------------------------------------------------------- the client


def wanted(**terms: str) -> tuple[api.PolicyOffer, Wanted]:
    offer = api.PolicyOffer("wallet", "wallet", [], dict(policy().terms()) | terms)
    campaign = api.CampaignAnswer(SCOPE.chain_id, SCOPE.pool, SCOPE.campaign, 7, 1, [offer], [])
    return offer, Wanted(campaign, SCOPE.kind, SCOPE.period, BLINDED)


def maker(told: list[str], url: str = URL) -> WalletMaker:
    return WalletMaker(url, lambda: Secret(KEY), told.append, lambda: NOW)


async def test_whatTheClientSigns_isTaken() -> None:
    told: list[str] = []
    making = maker(told)
    for _ in range(2):
        credential = await making(*wanted())
    assert await policy().identify(asked(credential))
    assert told == [
        "signing in at passes.example with the account 0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
    ]


@pytest.mark.parametrize(
    "terms",
    [{"domain": "bank.example"}, {"uri": "https://bank.example"}, {"domain": "bank.example", "uri": "x"}],
)
async def test_theClient_signsForNobodyElsesDomain(terms: dict[str, str]) -> None:
    with pytest.raises(UserError, match="nothing was signed"):
        await maker([])(*wanted(**terms))
    with pytest.raises(UserError, match="nothing was signed"):
        await maker([], "https://other.example")(*wanted())


@pytest.mark.parametrize("terms", [{"chain_id": "one"}, {"statement": "a\nb"}, {"domain": ""}])
async def test_malformedTerms_areTheSponsorsFault(terms: dict[str, str]) -> None:
    with pytest.raises(IssuerUnavailable, match="malformed"):
        await maker([])(*wanted(**terms))


def test_aKeyFileOfAnotherProgram_isRead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, word = tmp_path / "key.json", tmp_path / "word"
    path.write_text(json.dumps(EthAccount.encrypt(KEY, "geheim", kdf="pbkdf2", iterations=2)))
    word.write_text("geheim\n")
    for file in (path, word):
        file.chmod(0o600)
    assert key_file(path, word)() == KEY
    monkeypatch.setenv("MIXPAY_PASSWORD", "geheim")
    assert key_file(path, None)() == KEY
    monkeypatch.setenv("MIXPAY_PASSWORD", "falsch")
    with pytest.raises(UserError, match=r"wrong password for .*key\.json"):
        key_file(path, None)()
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        key_file(path, word)()
    with pytest.raises(UserError, match="there is no key file"):
        key_file(tmp_path / "absent", word)()
