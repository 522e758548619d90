"""Registering the issuer's keys on the chain, ahead of their periods. Blocks on the chain.

The pool takes a key only while the beacon of its period's first epoch is not drawn, and never a second one.
So keys are made and registered for several periods ahead, each is checked again until its period begins (a
reorganised chain may have lost it), and a period whose moment was missed stays without passes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mixpay.chain.contracts import Contracts
from mixpay.chain.errors import Reverted
from mixpay.chain.sender import Sender
from mixpay.epochs import Schedule
from mixpay.passes import KIND_ENTRY, KIND_MAILBOX
from mixpay.sponsor.keys import PassKeys, Period, current_periods, periods_ahead
from mixpay.sponsor.store import Store, StoredKey
from mixpay.types import Epoch

_NO_KEY = bytes(32)
_KINDS = {KIND_ENTRY: "entry", KIND_MAILBOX: "mailbox"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """What a round found: periods whose key is ours, those too late for one, those with somebody else's."""

    ours: tuple[Period, ...]
    late: tuple[Period, ...]
    foreign: tuple[Period, ...]


class Registrar:
    """Keeps the keys of one campaign registered.

    `works_in`: whether the pool is the network's in an epoch. No key is needed where it is not.
    """

    def __init__(
        self,
        *,
        contracts: Contracts,
        sender: Sender,
        schedule: Schedule,
        campaign: int,
        keys: PassKeys,
        store: Store,
        works_in: Callable[[Epoch], bool] = lambda _: True,
    ) -> None:
        self._contracts, self._sender, self._schedule = contracts, sender, schedule
        self._works_in = works_in
        self._campaign, self._keys, self._store = campaign, keys, store
        self._told: set[Period] = set()

    def register_keys(self, epoch: Epoch, ahead: int) -> Registered:
        """Register the keys of the next `ahead` epochs and the next two terms, as far as it is time.

        Raises ChainError (nothing is lost, call again), and UserError if the account cannot pay for gas.
        """
        current = current_periods(self._schedule, epoch)
        found: dict[str, list[Period]] = {"ours": [], "late": [], "foreign": []}
        for period in (*current, *periods_ahead(self._schedule, epoch, ahead)):
            if not self._works_in(period.first_epoch(self._schedule)):
                continue
            if period in current and self._store.key(period.kind, period.number):
                found["ours"].append(period)
            else:
                found[self._register(period)].append(period)
        for period in found["late"] + found["foreign"]:
            self._store.drop_key(period.kind, period.number)
        self._tell_late(found["late"])
        self._tell_foreign(found["foreign"])
        return Registered(tuple(found["ours"]), tuple(found["late"]), tuple(found["foreign"]))

    def _register(self, period: Period) -> str:
        pool = self._contracts.pool
        on_chain = pool.key(self._campaign, period.kind, period.number)
        if on_chain.key_hash == _NO_KEY:
            if self._contracts.registry.is_frozen(period.first_epoch(self._schedule)):
                return "late"
            key_hash = self._keys.make(period).key_hash()
            try:
                self._sender.send(pool.set_key(self._campaign, period.kind, period.number, key_hash))
                _log.info("registered the key of kind %d, period %d", period.kind, period.number)
            except Reverted as error:
                # Somebody touched the registry, or another instance was first, with the same key: what
                # stands, counts.
                if error.error not in ("KeyTooLate", "KeyAlreadySet"):
                    raise
            on_chain = pool.key(self._campaign, period.kind, period.number)
        mine = self._keys.get(period)
        if on_chain.key_hash == _NO_KEY:
            return "late"
        if mine is None or mine.public.key_hash() != on_chain.key_hash:
            return "foreign"
        modulus = mine.public.to_bytes()
        self._store.put_key(StoredKey(period.kind, period.number, modulus, on_chain.hop_price))
        return "ours"

    def _tell_late(self, periods: Sequence[Period]) -> None:
        for kind, name in _KINDS.items():
            late = [period for period in periods if period.kind == kind]
            if self._news(late):
                first = Period(kind, max(period.number for period in late) + 1).first_epoch(self._schedule)
                _log.info(
                    "%s passes begin with epoch %d: it is too late to register an earlier key", name, first
                )

    def _tell_foreign(self, periods: Sequence[Period]) -> None:
        what = "no %s passes for %s %d: the registered key is not in this database"
        for period in self._news(periods):
            unit = "epoch" if period.kind == KIND_ENTRY else "term"
            _log.warning(what, _KINDS[period.kind], unit, period.number)

    def _news(self, periods: Sequence[Period]) -> list[Period]:
        """Those that nothing was said about yet; now it is."""
        new = [period for period in periods if period not in self._told]
        self._told.update(new)
        return new
