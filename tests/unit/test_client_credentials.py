"""Which policy a client takes, and where what it shows comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mixpay.client import makers
from mixpay.client.credentials import NOTHING, Configured, Shown, Wanted
from mixpay.client.home import ClientConfig
from mixpay.client.makers import credentials_of
from mixpay.errors import UserError
from mixpay.sponsor import api

NETWORK = "http://rpc.example", "network.json", "https://passes.example"


def wanted(*policies: str, **terms: str) -> Wanted:
    """From a sponsor with these policies, `name` or `name:kind`."""
    offers = []
    for policy in policies:
        name, _, kind = policy.partition(":")
        offers.append(api.PolicyOffer(name, kind or name, [], terms))
    return Wanted(api.CampaignAnswer(1, b"\5" * 20, 3, 7, 1, offers, []), 1, 7, bytes(256))


def configured(**settings: Any) -> Configured:
    return credentials_of(ClientConfig(*NETWORK, **settings))


async def test_theFirstThatCanBeSatisfied_isTaken() -> None:
    every = wanted("staff:invitation", "login:callback", "wallet", "anybody:open")
    assert await configured()(every) == Shown("anybody")
    assert await configured(invitation="code")(every) == Shown("staff", "code")
    assert await configured(token="t", invitation="code")(every) == Shown("staff", "code")
    assert await configured(token="t")(every) == Shown("login", "t")


async def test_theNamedOne_isTaken() -> None:
    two = wanted("one:invitation", "two:invitation", "open")
    assert await configured(invitation="code", policy="two")(two) == Shown("two", "code")
    assert await configured(invitation="code", policy="open")(two) == Shown("open")


async def test_aKindThatThisProgramDoesNotKnow_getsTheToken_ifItIsNamed() -> None:
    both = wanted("club:membership", "open")
    assert await configured(token="card")(both) == Shown("open")
    assert await configured(token="card", policy="club")(both) == Shown("club", "card")


@pytest.mark.parametrize(
    ("settings", "offered", "says"),
    [
        ({}, ("staff:invitation",), r"asks who you are.* staff \(invitation, log in at https://a.example\)"),
        ({"policy": "x"}, ("open",), "has no policy 'x'; set another: open"),
        ({"policy": "staff"}, ("staff:invitation", "open"), "asks who you are"),
        ({}, (), "none"),
    ],
)
async def test_whoHasNothingToShow_isToldWhatThereIs(
    settings: dict[str, str], offered: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        await configured(**settings)(wanted(*offered, login_url="https://a.example"))


async def test_nothing_isForOpenPoliciesOnly() -> None:
    assert await NOTHING(wanted("open")) == Shown("open")
    with pytest.raises(UserError):
        await NOTHING(wanted("work"))


def test_shown_doesNotShowTheCredential() -> None:
    assert "secret" not in repr(Shown("p", "secret"))


# ---------------------------------------------------------------------- tokens


async def test_aTokenFile_isReadEachTime(tmp_path: Path) -> None:
    path = tmp_path / "token"
    source = configured(token_file=str(path))
    with pytest.raises(UserError, match="cannot read the token"):
        await source(wanted("callback"))
    for token in ("one", "two"):
        path.write_text(f"{token}\n")
        assert await source(wanted("callback")) == Shown("callback", token)
    for bad in (b"", b" \n", b"\xff", b"x" * 4097):
        path.write_bytes(bad)
        with pytest.raises(UserError, match="the token of"):
            await source(wanted("callback"))


def command(program: str) -> Configured:
    return configured(token_command=[sys.executable, "-c", program])


async def test_aTokenCommand_isRunEachTime(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    source = command(f"open({str(path)!r}, 'a').write('x'); print(open({str(path)!r}).read())")
    for token in ("x", "xx"):
        assert await source(wanted("callback")) == Shown("callback", token)


async def test_aTokenCommandThatFails_isSaid(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="failed with status 3"):
        await command("raise SystemExit(3)")(wanted("callback"))
    with pytest.raises(UserError, match="cannot start"):
        await configured(token_command=["/nonexistent/program"])(wanted("callback"))
    monkeypatch.setattr(makers, "COMMAND_SECONDS", 0.2)
    with pytest.raises(UserError, match="prints no token"):
        await command("import time; time.sleep(60)")(wanted("callback"))


def test_aTokenHasOneSource() -> None:
    with pytest.raises(UserError, match="say once"):
        configured(token="a", token_file="b")
