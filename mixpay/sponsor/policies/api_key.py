"""Policy `api-key`: the backend of a dApp asks for its users, and says which user it is.

Credential: JSON {"key": "...", "user": "..."}; the user is any text of 1 to 256 characters that the dApp
tells its users apart by (a number or a hash does; the issuer keeps a keyed hash of it). The user's program
makes the blinded message, and the backend sends it with its key, which never leaves the backend.

The file of keys has one a line, `name: hash`; `mixpay sponsor api-key NAME` makes one and prints the key
once. It is read again when it changes: take a line out, and the key is dead. Two keys of one name are one
dApp's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from mixpay.errors import UserError
from mixpay.http import NotJson, read_json
from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policies.watched_file import Unreadable, WatchedFile
from mixpay.sponsor.policy import Asked, Identified, PolicyRefusal, Quotas, Share
from mixpay.types import Random

KEYS = "api-keys.txt"
_KEY_BYTES = 32
_LINE = re.compile(r"([a-z0-9][a-z0-9_-]{0,63}): ([0-9a-f]{64})")

User = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Passes = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keys`: the file. `key_entry_passes`, `key_mailbox_passes`: for all users of a key together, 0: any."""

    keys: str = KEYS
    key_entry_passes: _Passes = 0
    key_mailbox_passes: _Passes = 0


class _Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    user: User


class ApiKeyPolicy:
    """The users of whoever has a key. Raises UserError if the keys cannot be read, or others can read
    them."""

    kind = "api-key"

    def __init__(self, keys: Path, quotas: Quotas, of_a_key: Quotas, name: str = "api-key") -> None:
        self.quotas, self.name, self._of_a_key = quotas, name, of_a_key
        self._keys = WatchedFile(keys, "the API keys", "mixpay sponsor api-key NAME", _parse)

    def terms(self) -> Mapping[str, str]:
        return {}

    async def identify(self, asked: Asked) -> Identified:
        if not asked.credential:
            raise PolicyRefusal("identity_required", "this way to get passes is for the backends of dApps")
        try:
            shown = read_json(asked.credential.encode("utf-8", "surrogatepass"), _Credential)
        except NotJson:
            raise PolicyRefusal("identity_refused", "the credential is not {key, user} in JSON") from None
        # Looked up by its hash: how long that takes tells nothing about the keys.
        owner = self._keys.content().get(key_hash(shown.key))
        if owner is None:
            raise PolicyRefusal("identity_refused", "this API key is not known")
        identity = b"user:" + owner.encode() + b"\0" + shown.user.encode()
        limit = self._of_a_key.of(asked.scope.kind)
        shares = (Share(b"key:" + owner.encode(), limit),) if limit else ()
        return Identified(self.name, identity, self.quotas, shares)

    async def close(self) -> None:
        pass


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> ApiKeyPolicy:
    """From the settings. Raises UserError if the keys cannot be read."""
    of_a_key = Quotas(settings.key_entry_passes, settings.key_mailbox_passes)
    return ApiKeyPolicy(around.path(settings.keys), quotas, of_a_key, name)


def new_key(name: str, random: Random) -> tuple[str, str]:
    """A key for a dApp, and the line to put into the file of keys. Raises UserError for a wrong name."""
    key = base64.urlsafe_b64encode(random(_KEY_BYTES)).decode().rstrip("=")
    line = f"{name}: {key_hash(key).hex()}"
    if not _LINE.fullmatch(line):
        raise UserError(f"{name!r} cannot be a name: use small letters, digits, - and _, at most 64")
    return key, line


def key_hash(key: str) -> bytes:
    """What the file has of a key: 32 bytes. Keys are random, so that this needs no salt and no slowness."""
    data = key.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=32, person=b"mixpay-apikey-01").digest()


def _parse(lines: list[str]) -> Mapping[bytes, str]:
    """Hash → name."""
    found = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise Unreadable("a line is not `name: hash`; `mixpay sponsor api-key NAME` writes such lines")
        found[bytes.fromhex(match[2])] = match[1]
    return found
