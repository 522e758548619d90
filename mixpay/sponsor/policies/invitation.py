"""Policy `invitation`: who brings a code gets passes.

The codes stand in a file, one a line, read again when it changes; `mixpay sponsor invite` makes some.
Credential: the code.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from mixpay.sponsor.policies.interface import Surroundings
from mixpay.sponsor.policies.watched_file import WatchedFile
from mixpay.sponsor.policy import Asked, Identified, PolicyRefusal, Quotas
from mixpay.types import Random

CODES = "invitations.txt"
_CODE_BYTES = 10


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`codes`: the file."""

    codes: str = CODES


class InvitationPolicy:
    """Who brings a code of the file. Raises UserError if that cannot be read."""

    kind = "invitation"

    def __init__(self, codes: Path, quotas: Quotas, name: str = "invitation") -> None:
        self.quotas, self.name = quotas, name
        maker = "mixpay sponsor invite"
        self._codes = WatchedFile(codes, "the invitation codes", maker, _digests)

    def terms(self) -> Mapping[str, str]:
        return {}

    async def identify(self, asked: Asked) -> Identified:
        if not asked.credential.strip():
            raise PolicyRefusal("identity_required", "this campaign asks for an invitation code")
        # Looked up by its hash: how long that takes tells nothing about the codes.
        digest = _digest(asked.credential)
        if digest not in self._codes.content():
            raise PolicyRefusal("identity_refused", "this invitation code is not known")
        return Identified(self.name, b"invitation:" + digest, self.quotas)

    async def close(self) -> None:
        pass


def make(name: str, quotas: Quotas, settings: Settings, around: Surroundings) -> InvitationPolicy:
    """From the settings. Raises UserError if the codes cannot be read."""
    return InvitationPolicy(around.path(settings.codes), quotas, name)


def new_code(random: Random) -> str:
    """An invitation code of 80 random bits in 16 characters: too many to guess, few enough to type."""
    return base64.b32encode(random(_CODE_BYTES)).decode().lower()


def _digests(codes: list[str]) -> frozenset[bytes]:
    return frozenset(map(_digest, codes))


def _digest(code: str) -> bytes:
    # Halves of surrogate pairs are no text, and match no code of a file.
    text = code.strip().lower().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16, person=b"mixpay-invite-01").digest()
