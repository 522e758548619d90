"""Reading a relay owner's key, which is never kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from eth_account import Account as KeyFiles

from mixpay import keystore
from mixpay.errors import UserError


def read_owner_key(path: Path, password: Callable[[], str]) -> bytes:
    """The owner's private key, 32 bytes, from a key file (version 3) or from 64 hexadecimal digits.

    `password` is asked for a key file. Raises UserError.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"cannot read the owner's key in {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"cannot read the owner's key in {path}: it is not a text file") from None
    if not text.startswith("{"):
        keystore.check_private(path, 0o600)
        if not re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
            raise UserError(f"{path} holds neither a key file nor 64 hexadecimal digits")
        return keystore.Secret(bytes.fromhex(text[-64:]))
    try:
        return keystore.Secret(KeyFiles.decrypt(json.loads(text), password()))
    except ValueError:
        raise UserError(f"wrong password for the owner's key in {path}, or it is damaged") from None
    except (KeyError, TypeError):
        raise UserError(f"{path} is not a key file of version 3") from None
