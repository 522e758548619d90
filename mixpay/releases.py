"""A network's releases: which contracts are in force when, and a view of those that this program knows.

Most releases change the hop price alone; those that name new contracts begin a new *span*. A program follows
a network through its spans: it begins with the deployment file's view, in which later releases show, and
makes another span's view when it is asked for. Nothing but the chain is needed for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.chain.releases import CannotFollow, deployment_of
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import Release
from mixpay.errors import UserError
from mixpay.network import NetworkView
from mixpay.types import Epoch

__all__ = ["CannotFollow", "Releases", "Span", "find_span", "span_at", "spans_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """Contracts, and the epochs in which they are in force.

    `number` and `release` are those of the first release that names them. `ends`: the first epoch in which
    others are in force for good, as far as published, or None.
    """

    number: int
    release: Release
    begins: Epoch
    ends: Epoch | None


def spans_of(releases: Iterable[tuple[int, Release]]) -> list[Span]:
    """All spans, by their first release. `releases`: each with its number, oldest first."""
    firsts: list[tuple[int, Release]] = []
    ends: list[Epoch | None] = []
    for number, release in releases:
        known = [first.contracts for _, first in firsts]
        if release.contracts not in known:
            firsts.append((number, release))
            ends.append(None)
            known.append(release.contracts)
        for place, contracts in enumerate(known):
            if contracts == release.contracts:
                ends[place] = None
            elif ends[place] is None:
                ends[place] = release.activation_epoch
    return [
        Span(number, first, first.activation_epoch, end)
        for (number, first), end in zip(firsts, ends, strict=True)
    ]


def span_at(releases: Iterable[tuple[int, Release]], epoch: Epoch) -> Span | None:
    """The span whose contracts are in force in an epoch, as far as published."""
    releases = list(releases)
    active = [release for _, release in releases if release.activation_epoch <= epoch]
    if not active:
        return None
    return next(s for s in spans_of(releases) if s.release.contracts == active[-1].contracts)


def find_span(releases: Iterable[tuple[int, Release]], number: int) -> Span:
    """The span that release `number` belongs to. Raises UserError if there is no such release."""
    known = dict(releases)
    if number not in known:
        raise UserError(f"the network has published no release {number}")
    contracts = known[number].contracts
    return next(span for span in spans_of(sorted(known.items())) if span.release.contracts == contracts)


class Releases:
    """All spans that the views in use know of. `first`: the view of the deployment file.

    Whoever uses a view refreshes it.
    """

    def __init__(self, rpc: Rpc, first: NetworkView) -> None:
        self._rpc, self._first = rpc, first
        self._views = [first]

    @property
    def views(self) -> tuple[NetworkView, ...]:
        """Those made so far."""
        return tuple(self._views)

    def published(self) -> list[tuple[int, Release]]:
        """Every release that one of the views has seen, with its number, oldest first."""
        found = {number: release for view in self._views for number, release in view.releases}
        return sorted(found.items())

    def spans(self) -> list[Span]:
        """All spans published so far."""
        return spans_of(self.published())

    def in_force(self) -> Span:
        """The span whose contracts are in force now. Raises UserError if there is none yet, ChainError."""
        span = span_at(self.published(), max(view.epoch for view in self._views))
        if span is None:
            raise UserError("the network has no release in force: is the deployment complete?")
        return span

    def known_view(self, span: Span) -> NetworkView | None:
        """A span's view, if it was made."""
        contracts = span.release.contracts
        return next((v for v in self._views if v.deployment.contracts == contracts), None)

    def view(self, span: Span) -> NetworkView:
        """A span's view, made and read at the first call. Blocks. Raises CannotFollow, ChainError."""
        known = self.known_view(span)
        if known is not None:
            return known
        deployment = deployment_of(self._rpc, self._first.deployment, span.number, span.release)
        made = NetworkView(self._rpc, deployment, not_before=self._first.chain_time)
        made.refresh()
        self._views.append(made)
        return made
