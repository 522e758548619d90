"""The farmer's best response. It owns some relays, and has made-up users with passes.

(a) entry chosen    Every pass is spent at a relay of its own. That relay takes the ticks and carries nothing.
(b) entry drawn     Passes that draw a relay of its own are spent so. From another entry each packet goes to a
                    first mix of its own if that entry has one among its next hops, and ends there: the sender
                    knows every scalar, so the mix makes its receipt alone. Else to an own mix 2, or mix 3,
                    behind others; at last to a mailbox of its own, which nobody draws and nothing caps.
(c) and flow caps   The same as far as the caps of others' relays allow. It sends at the end of the epoch,
                    when all others' packets are counted and the caps are highest. What finds its own
                    mixes full goes through others, which raises the caps once more, and to those first
                    behind which more of its own stand (or evenly, if that brings more).

Passes are never thrown away: even from a bad entry the mailbox's price comes back for nothing. Caps between
its own relays bind nobody, and are not needed: the first of its own keeps all that it was handed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from abuse.caps import cap_after
from abuse.load import Load
from abuse.market import PAYERS, Market
from abuse.money import ENTRY, MAILBOX, NOBODY, Tally
from mixpay.layers import Role
from mixpay.passes.terms import TICKS
from mixpay.types import RelayId


@dataclass(slots=True)
class Sent:
    """What a farm did in an epoch: its money; and of each payer that is not its own, by role, the packets
    that it was brought and how many of them it sent to a next hop of the farmer's.
    """

    tally: Tally = field(default_factory=Tally)
    at: dict[tuple[Role, RelayId], tuple[int, int]] = field(default_factory=dict)


class Farm:
    """A farmer's relays in a market."""

    def __init__(self, market: Market, own: frozenset[RelayId]) -> None:
        self._market, self.own = market, own
        self._firsts: dict[tuple[Role, RelayId], int] = {}
        self._split: dict[tuple[Role, RelayId], tuple[list[int], list[int]]] = {}
        reach = market.before_mailboxes(own)
        self.behind: dict[Role, dict[RelayId, int]] = {Role.MIX2: dict.fromkeys(reach, 1)}
        """By role of a payer: how many of the farmer's relays stand behind a next hop of its."""
        for role in (Role.ENTRY, Role.MIX1):
            after = Role(role + 1)
            mixes = (mix for mix in market.payers(after) if mix not in own)
            self.behind[role] = {mix: len(own.intersection(market.next_hops(mix, after))) for mix in mixes}

    # ------------------------------------------------------------------ (a), (b)

    def chosen(self, passes: int) -> Tally:
        """(a): who sends chooses the entry."""
        tally = Tally()
        tally.add(ENTRY, passes * TICKS)
        return tally

    def without_caps(self, drawn: Mapping[RelayId, int]) -> Tally:
        """(b): so many of its passes draw each entry."""
        tally = Tally()
        for entry, passes in drawn.items():
            tally.add(self._first(entry), passes * TICKS)
        return tally

    def _first(self, relay: RelayId, role: Role = Role.ENTRY) -> int:
        """The earliest place that a relay of the farmer's can have on a path from here."""
        if relay in self.own:
            return role
        if role is Role.MIX3:
            return MAILBOX if relay in self.behind[Role.MIX2] else NOBODY
        known = self._firsts.get((role, relay))
        if known is None:
            hops = self._market.next_hops(relay, role)
            after = Role(role + 1)
            met = not self.own.isdisjoint(hops)
            known = int(after) if met else min(self._first(hop, after) for hop in hops)
            self._firsts[role, relay] = known
        return known

    # ------------------------------------------------------------------ (c)

    def with_caps(self, drawn: Mapping[RelayId, int], load: Load, *, each_pass: bool = False) -> Sent:
        """(c): the better of its two ways with packets that its own mixes have no room for.

        With `each_pass` the same, if an entry had a second meter, for each pass.
        """
        ways = (self._with_caps(drawn, load, even=even, each_pass=each_pass) for even in (False, True))
        return max(ways, key=lambda sent: sent.tally.farmer)

    def _with_caps(self, drawn: Mapping[RelayId, int], load: Load, *, even: bool, each_pass: bool) -> Sent:
        sent = Sent()
        arrived: Counter[RelayId] = Counter()
        for entry, passes in drawn.items():
            if entry in self.own:
                sent.tally.add(ENTRY, passes * TICKS)
            else:
                arrived[entry] = passes * TICKS
        for role in PAYERS:
            onward: Counter[RelayId] = Counter()
            for payer, packets in arrived.items():
                counts = load.of(payer, role)
                most = self._of_each_pass(payer, packets) if each_pass and role is Role.ENTRY else packets
                taken = self._share_out(role, payer, counts, packets, most, onward, even=even)
                sent.tally.add(role + 1, taken)
                sent.at[role, payer] = packets, taken
            arrived = onward
        for mix, packets in arrived.items():
            sent.tally.add(MAILBOX if mix in self.behind[Role.MIX2] else NOBODY, packets)
        return sent

    def _of_each_pass(self, entry: RelayId, packets: int) -> int:
        """What the farmer's next hops of an entry get, if each pass had to be uniform within its own cap."""
        own, _ = self._places(Role.ENTRY, entry)
        hops = len(self._market.next_hops(entry, Role.ENTRY))
        return min(packets, packets // TICKS * len(own) * cap_after(hops, TICKS))

    def _share_out(
        self,
        role: Role,
        payer: RelayId,
        counts: Sequence[int],
        packets: int,
        most: int,
        onward: Counter[RelayId],
        *,
        even: bool,
    ) -> int:
        """Packets that one payer sends to the farmer's next hops, `most` at most; those to others are added
        to `onward`.
        """
        hops = self._market.next_hops(payer, role)
        own, others = self._places(role, payer)
        cap = cap_after(len(hops), sum(counts) + packets)
        taken = min(most, sum(max(0, cap - counts[place]) for place in own))
        left = packets - taken
        quota = -(-left // len(others)) if even and left else left
        given = [0] * len(hops)
        for limit in (quota, left):
            for place in others:
                if not left:
                    break
                number = min(limit, cap - counts[place] - given[place], left)
                if number > 0:
                    given[place] += number
                    left -= number
        if left:
            raise AssertionError("caps add up to more than what they are shares of")
        for place in others:
            if given[place]:
                onward[hops[place]] += given[place]
        return taken

    def _places(self, role: Role, payer: RelayId) -> tuple[list[int], list[int]]:
        """Which of a payer's next hops are the farmer's, and which are not, best first."""
        known = self._split.get((role, payer))
        if known is None:
            hops = self._market.next_hops(payer, role)
            own = [place for place, hop in enumerate(hops) if hop in self.own]
            others = [place for place, hop in enumerate(hops) if hop not in self.own]
            behind = self.behind[role]
            others.sort(key=lambda place: -behind.get(hops[place], 0))
            known = self._split[role, payer] = own, others
        return known

    def split(self, role: Role, payer: RelayId) -> tuple[list[RelayId], list[RelayId]]:
        """A payer's next hops that are the farmer's; and the others, those first that it prefers."""
        hops = self._market.next_hops(payer, role)
        own, others = self._places(role, payer)
        return [hops[place] for place in own], [hops[place] for place in others]
