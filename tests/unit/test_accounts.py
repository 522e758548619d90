"""Accounts as people write and read them."""

from __future__ import annotations

import pytest

from mixpay.accounts import parse_account, show_account


@pytest.mark.parametrize(
    "address",  # the examples of EIP-55
    [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_accounts_have_checksums(address: str) -> None:
    account = parse_account(address, "it")
    assert show_account(account) == address
    assert parse_account(address.lower(), "it") == account
    with pytest.raises(ValueError, match="checksum"):
        parse_account(address[:-1] + ("e" if address[-1] != "e" else "d"), "it")


@pytest.mark.parametrize("text", ["", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x12", "0x" + "0" * 40])
def test_noAccount_isRefused_byName(text: str) -> None:
    with pytest.raises(ValueError, match=r"^owner: "):
        parse_account(text, "owner")
