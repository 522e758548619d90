"""Passes: signed, drawn, spent and redeemed by the project's own code.

A few thousand are signed blindly, over a random anchor, and the relay that each draws is looked up. The many
millions of a busy day are drawn by `drawn_position` from random bytes in a signature's place: a signature is
as random as these for who did not make its key. A few passes are spent to the last tick, through the
wallet's, the entry's and the issuer's books, so that what a pass takes from the pool is the books' word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from abuse.market import Market
from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, SecretKey
from mixpay.parameters import PRODUCTION
from mixpay.passes import EntryPassBook, PassRequest, PassSpender, RedemptionBook
from mixpay.passes.terms import KIND_ENTRY, SIGNATURE_SIZE, TICKS, PassRules, Scope, drawn_position
from mixpay.types import Amount, Position, RelayId

SCOPE = Scope(1, bytes(20), campaign=1, kind=KIND_ENTRY, period=0)
_RESERVE = 256


@dataclass(frozen=True, slots=True)
class Worth:
    """What the issuer credits an entry for one pass that was spent to its end."""

    ticks: int
    amount: Amount


class Issuer:
    """A campaign's key for one period, and what is drawn with it in a market."""

    def __init__(self, market: Market, seed: int) -> None:
        self._market = market
        # Apart, for signing takes as much as the key wants, and no two runs have the same key.
        self._dice, self._signing = (Random(f"{use} {seed}") for use in ("draws", "signing"))  # noqa: S311
        self._key = SecretKey.generate()
        snapshot = market.snapshot
        self.rules = PassRules(
            SCOPE, self._key.public, PRODUCTION.hop_price, snapshot.beacon, snapshot.count
        )

    def signed(self, passes: int) -> list[Position]:
        """What so many passes draw, each signed blindly over an anchor of its own."""
        return [self._drawn(self._signature(self._signing.randbytes(32))) for _ in range(passes)]

    def _signature(self, anchor: bytes) -> bytes:
        public, message, random = self._key.public, SCOPE.message(anchor), self._signing.randbytes
        blinded = blind_rsa.blind(PASS_SUITE, public, message, random)
        answer = blind_rsa.blind_sign(self._key, blinded.message, random)
        return blind_rsa.finalize(PASS_SUITE, public, message, answer, blinded.inverse)

    def _drawn(self, signature: bytes) -> Position:
        return drawn_position(signature, self.rules.beacon, self.rules.count)

    def drawn(self, passes: int) -> Counter[RelayId]:
        """How many of so many passes draw each relay."""
        found = Counter(self._drawn(self._dice.randbytes(SIGNATURE_SIZE)) for _ in range(passes))
        return Counter({self._market.at(position): number for position, number in found.items()})

    def spent(self, passes: int) -> list[Worth]:
        """What the books say of passes whose every tick is spent at the relay they draw."""
        return [self._spend() for _ in range(passes)]

    def _spend(self) -> Worth:
        random = self._signing.randbytes
        request = PassRequest.new(SCOPE, self._key.public, random)
        owned = request.finish(blind_rsa.blind_sign(self._key, request.blinded, random))
        position = self._drawn(owned.signature)
        book, spender = EntryPassBook(), PassSpender(owned)
        pass_id = book.present(owned.shown(), self.rules, position, limit=TICKS).pass_id
        while spender.left:
            spender.reserve(_RESERVE)
            while spender.ready:
                book.accept_tick(pass_id, spender.next_tick())
        book.close(KIND_ENTRY, SCOPE.period)
        operator = self._market.snapshot.relays[position].operator
        credit = RedemptionBook().redeem(book.redemption(pass_id), self.rules, operator, position)
        return Worth(credit.added, credit.total.cumulative)


def owned_share(drawn: Sequence[Position], market: Market, own: frozenset[RelayId]) -> int:
    """How many of these draws are a farmer's relays."""
    return sum(market.at(position) in own for position in drawn)
