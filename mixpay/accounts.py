"""Accounts as people write them: hexadecimal with a checksum in its capital letters (EIP-55)."""

from __future__ import annotations

import re

from mixpay.crypto.hashing import keccak256
from mixpay.types import Account


def parse_account(text: str, name: str) -> Account:
    """Read an Ethereum address; capital letters in it must be its checksum (EIP-55).

    Raises ValueError, naming what `name` it was given for.
    """
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", text):
        raise ValueError(f"{name}: {text!r} is no account: it looks like 0x and 40 hexadecimal digits")
    account = Account(bytes.fromhex(text[2:]))
    if not any(account):
        raise ValueError(f"{name}: what is sent to the zero account is lost")
    if text[2:] not in (text[2:].lower(), text[2:].upper()) and text != show_account(account):
        raise ValueError(f"{name}: {text} has a wrong checksum; a digit is mistyped")
    return account


def show_account(account: Account) -> str:
    """An account in hexadecimal with its checksum (EIP-55)."""
    digits = account.hex()
    check = keccak256(digits.encode()).hex()
    return "0x" + "".join(d.upper() if c > "7" else d for d, c in zip(digits, check, strict=False))
