"""Blind-signing keys in a database of their own, for tests that share them: one takes a tenth of a second."""

from __future__ import annotations

from pathlib import Path

from mixpay.sponsor.keys import PassKeys
from mixpay.sponsor.store import Store

SECRET = b"\1" * 32


def pass_keys(folder: Path, secret: bytes = SECRET) -> PassKeys:
    """The keys in a folder, which is made."""
    folder.mkdir(exist_ok=True)
    return PassKeys(Store(folder / "pass-keys.db", 31337, bytes(20), 1), secret)
