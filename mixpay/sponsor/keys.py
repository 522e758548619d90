"""The blind-signing keys of one campaign: made ahead, one for each kind and period, deleted after it.

Secret halves lie in the issuer's database as PKCS #8, encrypted under a secret from the key store, so that
the cost of guessing is the key store's scrypt, and all instances on one database sign with the same keys. A
key is in the database before its hash goes to the chain; of two that are made at once the first one written
counts. After its period a key is deleted: whoever takes the machine then cannot issue for the past.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mixpay.crypto.blind_rsa import BlindRsaError, PublicKey, SecretKey
from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.types import Epoch, Term

_FILE = re.compile(r"kind-([12])-period-([0-9]{1,10})\.pem")
_BITS = 2048
"""About 0.1 s to make."""


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A pass kind and its period: an epoch for kind 1, a term for kind 2."""

    kind: int
    number: int

    def first_epoch(self, schedule: Schedule) -> Epoch:
        """The epoch whose beacon draws the relays of its passes."""
        return Epoch(self.number) if self.kind == KIND_ENTRY else schedule.first_epoch(Term(self.number))

    def last_epoch(self, schedule: Schedule) -> Epoch:
        """The epoch that its vouchers count in."""
        return Epoch(self.number) if self.kind == KIND_ENTRY else schedule.last_epoch(Term(self.number))


def current_periods(schedule: Schedule, epoch: Epoch) -> tuple[Period, Period]:
    """The entry period and the mailbox period of an epoch."""
    return Period(KIND_ENTRY, epoch), Period(KIND_MAILBOX, schedule.term_of(epoch))


def periods_ahead(schedule: Schedule, epoch: Epoch, ahead: int) -> list[Period]:
    """The periods that should have a key by now: the next `ahead` epochs, and terms up to the next but one.

    The current ones are not among them, for their beacons are drawn; the next epoch's may be drawn too.
    """
    term = schedule.term_of(epoch)
    last = max(term + 2, schedule.term_of(Epoch(epoch + ahead)))
    entry = [Period(KIND_ENTRY, number) for number in range(epoch + 1, epoch + ahead + 1)]
    return entry + [Period(KIND_MAILBOX, number) for number in range(term + 1, last + 1)]


class SecretRows(Protocol):
    """Where encrypted keys are kept; `Store` is one."""

    def secret_key(self, kind: int, period: int) -> bytes | None:
        """What is kept for a period."""

    def agree_on_secret_key(self, kind: int, period: int, encrypted: bytes) -> bytes:
        """Keep this, unless something is kept for the period; what is kept now."""

    def drop_secret_keys(self, kind: int, before: int) -> list[int]:
        """Delete those of periods before this one; which ones."""


class PassKeys:
    """Secret keys in the database. `secret` (32 bytes, from the key store) encrypts them. Thread safe."""

    def __init__(self, rows: SecretRows, secret: bytes) -> None:
        self._rows = rows
        self._password = secret.hex().encode()
        self._open: dict[Period, SecretKey] = {}

    def get(self, period: Period) -> SecretKey | None:
        """The secret key of a period, if one was made. Raises UserError if it does not open."""
        key = self._open.get(period)
        if key is None:
            encrypted = self._rows.secret_key(period.kind, period.number)
            if encrypted is not None:
                key = self._open[period] = self._decrypted(period, encrypted)
        return key

    def make(self, period: Period) -> PublicKey:
        """The public key of a period; its secret key is made first if there is none. Raises UserError as
        `get`.
        """
        known = self.get(period)
        if known is not None:
            return known.public
        made = SecretKey.generate(_BITS).to_pem(self._password)
        kept = self._rows.agree_on_secret_key(period.kind, period.number, made)
        key = self._open[period] = self._decrypted(period, kept)
        return key.public

    def delete_before(self, current: tuple[Period, ...]) -> list[Period]:
        """Delete the keys of all periods before these, of the same kinds; which ones."""
        gone = []
        for first in current:
            numbers = self._rows.drop_secret_keys(first.kind, first.number)
            gone += [Period(first.kind, number) for number in numbers]
            opened = list(self._open)  # at once: other threads open keys meanwhile
            for period in [p for p in opened if p.kind == first.kind and p.number < first.number]:
                self._open.pop(period, None)
        return sorted(gone)

    def adopt(self, folder: Path) -> None:
        """Take over the files of a release that kept keys in a folder, and remove them with it.

        Raises UserError for a file that does not open.
        """
        if not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            if match := _FILE.fullmatch(path.name):
                period = Period(int(match[1]), int(match[2]))
                encrypted = path.read_bytes()
                self._decrypted(period, encrypted)
                self._rows.agree_on_secret_key(period.kind, period.number, encrypted)
                path.unlink()
        with contextlib.suppress(OSError):  # somebody keeps something else there
            folder.rmdir()

    def _decrypted(self, period: Period, encrypted: bytes) -> SecretKey:
        try:
            return SecretKey.from_pem(encrypted, self._password)
        except BlindRsaError as error:
            what = f"the blind-signing key of kind {period.kind}, period {period.number}"
            raise UserError(f"{what} is damaged or from another key store: {error}") from None
