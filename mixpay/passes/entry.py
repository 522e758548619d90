"""The entry relay's book of passes.

Rules
- A pass is opened once: the campaign's key signed it for the current period, and it draws this relay. Showing
  it again (a new connection) changes nothing and tells the wallet the furthest tick held.
- A tick must lie beyond the furthest one. The next link costs one hash; a gap (ticks lost on the way, or
  reserved by a wallet that crashed) costs at most 256 and is refused beyond `max_gap`. A tick pays for the
  gap before it: the worth of a pass is the number of its furthest tick.
- What all passes of a scope are worth stays within the limit given with the scope (what the campaign's budget
  guarantees this relay), but one whole pass is always accepted.
- A service may cost several ticks at once: the tick for it lies so much further, or is `unpaid`.
- When its period is closed a pass takes no more ticks; what it is worth is redeemed; then it is forgotten.
  Not before: the issuer must not learn when a pass was in use.
- Every change is returned as a record. It is to be on disk before the tick is acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mixpay.passes.terms import TICKS, Pass, PassError, PassRules, Redemption, Scope, Tick, place, walk
from mixpay.types import Position

MAX_GAP = 1024
"""How far a tick may lie beyond the furthest: room for many crashes of a wallet that reserves a few dozen."""


@dataclass(frozen=True, slots=True)
class PassRecord:
    """What the store keeps of a pass: the pass, and number and link of its furthest tick (0: none yet)."""

    shown: Pass
    number: int
    link: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Presented:
    """A pass is open. `furthest`, `link`: its furthest tick; `record` is to be stored, None if known."""

    pass_id: bytes
    furthest: int
    link: bytes = field(repr=False)
    record: PassRecord | None


@dataclass(frozen=True, slots=True)
class TickTaken:
    """A tick was good: the pass is now worth `number` ticks, `ticks` more than before; store the link."""

    pass_id: bytes
    number: int
    link: bytes = field(repr=False)
    ticks: int


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A pass whose period is over: its id, its anchor, and the number of its furthest tick."""

    pass_id: bytes
    anchor: bytes
    number: int


@dataclass(slots=True)
class _Account:
    """The book's own line for a pass."""

    shown: Pass
    number: int
    link: bytes = field(repr=False)
    closed: bool = False

    def require_link(self, tick: Tick) -> None:
        chain, k = place(self.number) if self.number else (-1, 0)
        known, steps = self.shown.head(tick.chain), tick.k
        if tick.chain == chain:
            known, steps = self.link, tick.k - k
        if walk(tick.link, steps) != known:
            raise PassError("bad_link", f"link {tick.k} of chain {tick.chain} does not lead to what is known")


class EntryPassBook:
    """Passes shown to one relay, by pass id (32 bytes)."""

    def __init__(self, max_gap: int = MAX_GAP) -> None:
        self._accounts: dict[bytes, _Account] = {}
        self._limits: dict[Scope, int] = {}
        self._totals: dict[Scope, int] = {}
        self._max_gap = max_gap

    @classmethod
    def from_records(cls, records: Iterable[PassRecord], max_gap: int = MAX_GAP) -> EntryPassBook:
        """Rebuild a book from its store. The caller closes again the periods that are over."""
        book = cls(max_gap)
        for record in records:
            book._open(record)
        return book

    def _open(self, record: PassRecord) -> bytes:
        shown = record.shown
        pass_id = shown.id
        self._accounts[pass_id] = _Account(shown, record.number, record.link)
        self._totals[shown.scope] = self._totals.get(shown.scope, 0) + record.number
        return pass_id

    def present(self, shown: Pass, rules: PassRules, position: Position | None, limit: int) -> Presented:
        """Open a pass, or find it open. About 120 µs.

        `rules` are those of the pass's campaign and kind for the *current* period; `position` is this relay's
        in the snapshot they draw from (None: it is not in it); `limit` is how many ticks of the scope this
        relay takes from now on, all passes together. Raises PassError `wrong_chain`, `wrong_campaign`,
        `wrong_kind`, `wrong_period`, `pass_expired`, `bad_signature`, `wrong_relay`, or `campaign_limit` if
        no tick would be taken.
        """
        shown.scope.require(rules.scope)
        self.limit(shown.scope, limit)
        pass_id = shown.id
        known = self._accounts.get(pass_id)
        if known is None:
            rules.check(shown.anchor, shown.signature, position)
            self._require_room(shown.scope)
            record = PassRecord(shown, 0, b"")
            self._open(record)
            return Presented(pass_id, 0, b"", record)
        if known.closed:
            raise PassError("pass_expired", "the period of this pass is over")
        # A pass id has one signature; a second one is forged, or its campaign's key is no honest key.
        if known.shown.signature != shown.signature:
            raise PassError("bad_signature", "this pass was shown with another signature")
        self._require_room(shown.scope)
        return Presented(pass_id, known.number, known.link, None)

    def _require_room(self, scope: Scope, ticks: int = 1) -> None:
        if self._totals.get(scope, 0) + ticks > self._limits.get(scope, TICKS):
            raise PassError("campaign_limit", "this relay takes no more ticks of the campaign in this period")

    def accept_tick(self, pass_id: bytes, tick: Tick, least: int = 1) -> TickTaken:
        """Take one tick of an open pass, worth `least` at least; one hash if it is the next.

        Raises PassError `unknown_pass`, `pass_expired`, `tick_used`, `unpaid` (less than `least`),
        `tick_gap`, `campaign_limit` or `bad_link`; nothing is changed then.
        """
        account = self._accounts.get(pass_id)
        if account is None:
            raise PassError("unknown_pass", "show the pass before spending it")
        if account.closed:
            raise PassError("pass_expired", "the period of this pass is over")
        number, scope = tick.number, account.shown.scope
        ticks = number - account.number
        if ticks <= 0:
            raise PassError("tick_used", f"tick {number} does not lie beyond {account.number}")
        if ticks < least:
            raise PassError("unpaid", f"tick {number} pays {ticks} of {least}")
        if ticks > self._max_gap:
            raise PassError("tick_gap", f"{ticks - 1} ticks are missing before tick {number}")
        self._require_room(scope, ticks)
        account.require_link(tick)
        account.number, account.link = number, tick.link
        self._totals[scope] += ticks
        return TickTaken(pass_id, number, tick.link, ticks)

    def limit(self, scope: Scope, limit: int) -> None:
        """Take `limit` ticks of a scope from now on, all passes together, as `present` does."""
        self._limits[scope] = max(limit, TICKS)

    def room(self, scope: Scope) -> int:
        """Return how many ticks of a scope are still taken."""
        return max(0, self._limits.get(scope, TICKS) - self.ticks(scope))

    def standing(self, pass_id: bytes) -> tuple[Scope, int, bytes] | None:
        """Return scope of a pass, and number and link of its furthest tick; None if it was not shown, or is
        forgotten.
        """
        account = self._accounts.get(pass_id)
        return None if account is None else (account.shown.scope, account.number, account.link)

    def ticks(self, scope: Scope) -> int:
        """Return what all passes of a scope in this book are worth, in ticks."""
        return self._totals.get(scope, 0)

    def close(self, kind: int, period: int) -> None:
        """Take no more ticks of this kind for `period` and all before it."""
        for account in self._in_periods(kind, period):
            account.closed = True

    def _in_periods(self, kind: int, last: int) -> Iterator[_Account]:
        accounts = list(self._accounts.values())
        return (a for a in accounts if a.shown.scope.kind == kind and a.shown.scope.period <= last)

    def held(self, scope: Scope) -> list[HeldPass]:
        """Return every closed pass of a scope that is worth something, in the order of their ids: that in
        which they came would tell the issuer who signed them.
        """
        accounts = sorted(self._accounts.items())
        closed = ((i, a) for i, a in accounts if a.closed and a.number and a.shown.scope == scope)
        return [HeldPass(i, a.shown.anchor, a.number) for i, a in closed]

    def redemptions(self, scope: Scope) -> list[tuple[bytes, Redemption]]:
        """Return (pass id, redemption) of all of them."""
        return [(held.pass_id, self.redemption(held.pass_id)) for held in self.held(scope)]

    def redemption(self, pass_id: bytes) -> Redemption:
        """Return what redeems a pass; about 100 µs. Raises KeyError if it is not held."""
        account = self._accounts[pass_id]
        return account.shown.redemption(Tick(*place(account.number), account.link))

    def scopes(self) -> list[Scope]:
        """Return the scopes of all passes held."""
        return list(self._totals)

    def forget(self, scope: Scope) -> list[bytes]:
        """Drop the closed passes of a scope, once its voucher is stored. Returns their ids, for the store."""
        dropped = [i for i, a in self._accounts.items() if a.closed and a.shown.scope == scope]
        for pass_id in dropped:
            del self._accounts[pass_id]
        if not any(a.shown.scope == scope for a in self._accounts.values()):
            self._totals.pop(scope, None)
            self._limits.pop(scope, None)
        return dropped
