"""Who gets a pass, and how many: the sponsor's policy.

A policy looks at what a request shows and names an identity, or refuses. The issuer counts passes for each
identity, kind and period. It stores a keyed hash that is different in each period, so that the database names
nobody and does not say that two periods' counts are the same person's.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mixpay.errors import MixpayError, UserError
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.types import Random

_CODE_BYTES = 10
_IPV6_SITE = 64


class PolicyRefusal(MixpayError):
    """No pass for this request. `label` is `identity_required` or `identity_refused`."""

    def __init__(self, label: str, detail: str) -> None:
        super().__init__(detail)
        self.label = label


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a request shows: its network address, and the token of its `Authorization: Bearer` header."""

    remote: str
    bearer: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Passes that one identity gets in one period, by kind."""

    entry: int = 4
    mailbox: int = 4

    def of(self, kind: int) -> int:
        """The quota of a pass kind."""
        return {KIND_ENTRY: self.entry, KIND_MAILBOX: self.mailbox}[kind]


class Policy(Protocol):
    """The plug-in: a name that users see, the quotas, and the identity a request stands for."""

    @property
    def name(self) -> str:
        """Shown to users, who must know what to bring."""

    @property
    def quotas(self) -> Quotas:
        """Passes for one identity and period."""

    def identify(self, evidence: Evidence) -> bytes:
        """Whose quota the request counts against. Raises PolicyRefusal."""


@dataclass(frozen=True, slots=True)
class OpenPolicy:
    """Everybody gets passes; what is counted is the network address (of IPv6 the first 64 bits: a site).

    For tests, demonstrations and closed networks: addresses are cheap, and many people may share one.
    """

    quotas: Quotas = Quotas()
    name: str = "open"

    def identify(self, evidence: Evidence) -> bytes:
        try:
            address = ipaddress.ip_address(evidence.remote.split("%", 1)[0])
        except ValueError:
            raise PolicyRefusal("identity_refused", "the request came from no network address") from None
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if mapped is not None:
            address = mapped
        packed = address.packed if address.version == 4 else address.packed[: _IPV6_SITE // 8]
        return b"address:" + packed


class InvitationPolicy:
    """Who brings an invitation code gets passes. The codes stand in a file, one a line, re-read on change."""

    name = "invitation"

    def __init__(self, codes: Path, quotas: Quotas) -> None:
        self._path = codes
        self.quotas = quotas
        self._stamp: tuple[int, int] | None = None
        self._known: frozenset[bytes] = frozenset()
        try:
            self._refresh()
        except OSError as error:
            raise UserError(f"cannot read the invitation codes in {codes}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UserError(f"cannot read the invitation codes in {codes}: it is not UTF-8 text") from None

    def identify(self, evidence: Evidence) -> bytes:
        if not evidence.bearer:
            raise PolicyRefusal("identity_required", "this campaign asks for an invitation code")
        # While the file is being replaced, or if it has become unreadable, the codes known so far stand.
        with suppress(OSError, UnicodeDecodeError):
            self._refresh()
        # Looked up by its hash: how long that takes tells nothing about the codes.
        try:
            digest = _digest(evidence.bearer)
        except UnicodeEncodeError:  # bytes of the header that were not UTF-8 stand in it as lone surrogates
            raise PolicyRefusal("identity_refused", "an invitation code is UTF-8 text") from None
        if digest not in self._known:
            raise PolicyRefusal("identity_refused", "this invitation code is not known")
        return b"invitation:" + digest

    def _refresh(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            codes = (line.split("#", 1)[0].strip() for line in lines)
            self._known = frozenset(_digest(code) for code in codes if code)
            self._stamp = stamp


def new_code(random: Random) -> str:
    """An invitation code of 80 random bits in 16 characters: too many to guess, few enough to type."""
    return base64.b32encode(random(_CODE_BYTES)).decode().lower()


def counted_identity(secret: bytes, identity: bytes, kind: int, period: int) -> bytes:
    """What the store knows of an identity: 16 bytes, under a secret of 32, other ones in each period."""
    scope = bytes([kind]) + period.to_bytes(4, "big")
    keyed = hashlib.blake2b(scope + identity, key=secret, digest_size=16, person=b"mixpay-identity1")
    return keyed.digest()


def _digest(code: str) -> bytes:
    return hashlib.blake2b(code.strip().lower().encode(), digest_size=16, person=b"mixpay-invite-01").digest()
