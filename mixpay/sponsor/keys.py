"""The blind-signing keys of one campaign: made ahead, one for each kind and period, deleted after it.

Secret halves lie as PKCS #8 files in one private folder, encrypted under a secret from the key store, so that
the cost of guessing is the key store's scrypt. A file is on disk before its hash goes to the chain. After its
period a key is deleted: whoever takes the machine then cannot issue for the past.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from mixpay.crypto.blind_rsa import BlindRsaError, PublicKey, SecretKey
from mixpay.epochs import Schedule
from mixpay.errors import UserError
from mixpay.files import make_private_folder
from mixpay.keystore import check_private, write_private
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.types import Epoch, Term

_FILE = re.compile(r"kind-([12])-period-([0-9]{1,10})\.pem")
_BITS = 2048


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


class KeyFolder:
    """Secret keys on disk. `secret` (32 bytes, from the key store) encrypts the files."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        """Raises UserError if others can read the folder."""
        self._folder = folder
        self._password = secret.hex().encode()
        self._open: dict[Period, SecretKey] = {}
        make_private_folder(folder)
        check_private(folder, 0o700)

    def get(self, period: Period) -> SecretKey | None:
        """The secret key of a period, if it was made here. Raises UserError if its file does not open."""
        key = self._open.get(period)
        path = self._path(period)
        if key is None and path.exists():
            try:
                key = self._open[period] = SecretKey.from_pem(path.read_bytes(), self._password)
            except BlindRsaError as error:
                raise UserError(f"{path} is damaged or from another key store: {error}") from None
        return key

    def make(self, period: Period) -> PublicKey:
        """The public key of a period; its secret key is made first (about 0.1 s) if there is none."""
        known = self.get(period)
        if known is not None:
            return known.public
        key = SecretKey.generate(_BITS)
        write_private(self._path(period), key.to_pem(self._password))
        self._open[period] = key
        return key.public

    def delete_before(self, current: tuple[Period, ...]) -> list[Period]:
        """Delete the keys of all periods before these, of the same kinds; which ones."""
        gone = []
        for path in self._folder.iterdir():
            match = _FILE.fullmatch(path.name)
            period = Period(int(match[1]), int(match[2])) if match else None
            if period and any(period.kind == c.kind and period.number < c.number for c in current):
                path.unlink()
                self._open.pop(period, None)
                gone.append(period)
        return sorted(gone)

    def _path(self, period: Period) -> Path:
        return self._folder / f"kind-{period.kind}-period-{period.number}.pem"
