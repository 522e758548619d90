"""Signing in with Ethereum: one form of the message, read strictly, and whose signature it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from mixpay import eip712
from mixpay.accounts import show_account
from mixpay.eip4361 import Login, LoginError, LoginTerms, check, parse, sign, signer
from mixpay.types import Account

KEY = b"\x11" * 32
TERMS = LoginTerms("passes.example", "https://passes.example", 1, "Get a Mixpay pass.")
LOGIN = Login(TERMS, eip712.account_of(KEY), "32891756aabbccdd", 1_767_323_045, 1_767_323_645)

TEXT = """\
passes.example wants you to sign in with your Ethereum account:
0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A

Get a Mixpay pass.

URI: https://passes.example
Version: 1
Chain ID: 1
Nonce: 32891756aabbccdd
Issued At: 2026-01-02T03:04:05Z
Expiration Time: 2026-01-02T03:14:05Z"""

_LINE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def test_theText_isTheStandards() -> None:
    assert LOGIN.text() == TEXT
    assert parse(TEXT) == LOGIN


def test_theSignature_isWhatWalletsMake() -> None:
    theirs = EthAccount.sign_message(encode_defunct(text=TEXT), KEY).signature
    assert sign(LOGIN, KEY) == bytes(theirs)
    assert signer(TEXT, bytes(theirs)) == LOGIN.address
    account = EthAccount.recover_message(encode_defunct(text=TEXT), signature=theirs)
    assert account == show_account(LOGIN.address)


_ADDRESS = st.binary(min_size=20, max_size=20)


@given(_LINE, _LINE, st.integers(0, 1 << 63), _LINE, _ADDRESS, st.integers(0, 1 << 32))
def test_whatIsWritten_isRead(
    domain: str, uri: str, chain_id: int, statement: str, address: bytes, issued: int
) -> None:
    terms = LoginTerms(domain, uri, chain_id, f"{statement} {statement}")
    login = Login(terms, Account(address), "a" * 8, issued, issued + 1)
    assert parse(login.text()) == login


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TEXT, ""),
        (TEXT, TEXT + "\n"),
        (TEXT, "\n" + TEXT),
        (TEXT, "https://" + TEXT.replace("\n", "\r\n")),
        ("\n\nGet a Mixpay pass.\n", "\n"),
        ("Version: 1", "Version: 2"),
        ("Version: 1", "Version: 01x"),
        ("Chain ID: 1", "Chain ID: 01"),
        ("Chain ID: 1", "Chain ID: -1"),
        ("Chain ID: 1", "Chain ID: \u0661"),
        ("Chain ID: 1", "Chain ID: 0x1"),
        ("aabbccdd", "aabb-ccdd"),
        ("32891756aabbccdd", "1234567"),
        ("0x19E7", "0x19e7"),
        ("0x19E7E376", "0x19E7E37"),
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05Z"),
        ("2026-01-02T03:04:05Z", "2026-13-02T03:04:05Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T25:04:05Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+99:99"),
        ("\nExpiration Time: 2026-01-02T03:14:05Z", ""),
        ("14:05Z", "14:05Z\nNot Before: 2026-01-02T03:04:05Z"),
        ("14:05Z", "14:05Z\nRequest ID: 1"),
        ("14:05Z", "14:05Z\nResources:\n- https://passes.example"),
        ("URI: https://passes.example\nVersion: 1", "Version: 1\nURI: https://passes.example"),
        ("Get a Mixpay pass.", "Get a Mixpay\npass."),
        ("Get a Mixpay pass.", "Get a Mixpáy pass."),
        ("passes.example wants", "passes.example\u200b wants"),
    ],
)
def test_anotherForm_isRefused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(LoginError):
        parse(TEXT.replace(old, new, 1))


@given(st.text(max_size=40), st.integers(0, len(TEXT)), st.integers(0, 12))
def test_aChangedText_isRefused_orReadAsWhatItSays(inserted: str, at: int, cut: int) -> None:
    text = TEXT[:at] + inserted + TEXT[at + cut :]
    try:
        login = parse(text)
    except LoginError:
        return
    assert login != LOGIN or text == TEXT


def test_timesOfOtherZonesAndFractions_areRead() -> None:
    for written in ("2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05.000Z"):
        assert parse(TEXT.replace("2026-01-02T03:04:05Z", written)) == LOGIN


def problem(login: Login, **changes: Any) -> str:
    known = {"terms": TERMS, "nonce": LOGIN.nonce, "now": LOGIN.issued + 1} | changes
    with pytest.raises(LoginError) as caught:
        check(login, **known)
    return str(caught.value)


def test_check_takesWhatIsForUsAndForNow() -> None:
    for now in (LOGIN.issued - 60, LOGIN.issued, LOGIN.expires - 1):
        check(LOGIN, TERMS, LOGIN.nonce, now)


def test_check_refusesWhatIsNot() -> None:
    assert "domain" in problem(LOGIN, terms=replace(TERMS, domain="evil.example"))
    assert "uri" in problem(LOGIN, terms=replace(TERMS, uri="https://evil.example"))
    assert "chain id" in problem(LOGIN, terms=replace(TERMS, chain_id=2))
    assert "statement" in problem(LOGIN, terms=replace(TERMS, statement="Give all."))
    assert "nonce" in problem(LOGIN, nonce="32891756aabbccde")
    assert "future" in problem(LOGIN, now=LOGIN.issued - 61)
    assert "expired" in problem(LOGIN, now=LOGIN.expires)
    assert "at most 600" in problem(replace(LOGIN, expires=LOGIN.issued + 601))
    assert "at most 600" in problem(replace(LOGIN, expires=LOGIN.issued))


@pytest.mark.parametrize("signature", [b"", bytes(65), b"\xff" * 65, sign(LOGIN, KEY)[:64] + b"\0"])
def test_whatIsNoSignature_isRefused(signature: bytes) -> None:
    with pytest.raises(LoginError):
        signer(TEXT, signature)


@pytest.mark.parametrize("field", ["domain", "uri", "statement"])
@pytest.mark.parametrize("value", ["", "a\nb", "é", "\x00"])
def test_terms_areOneLineOfAscii(field: str, value: str) -> None:
    with pytest.raises(LoginError):
        replace(TERMS, **{field: value})
