"""In which release of the network an owner's command works, and where its operator has relays. Blocks."""

from __future__ import annotations

from collections.abc import Callable

from mixpay.chain.contracts import Network, RelayRegistry
from mixpay.chain.releases import CannotFollow, deployment_of, published
from mixpay.chain.rpc import Rpc
from mixpay.chain.views import RegisteredRelay, Release
from mixpay.deployment import Deployment
from mixpay.errors import UserError
from mixpay.registry_tree import relay_leaf
from mixpay.releases import Span, find_span, span_at, spans_of
from mixpay.types import Account

_RelayTest = Callable[[RegisteredRelay], bool]


class OperatorReleases:
    """The releases, as one operator's owner needs them. `known`: the deployment file's contracts."""

    def __init__(self, rpc: Rpc, known: Deployment, operator: Account) -> None:
        self._rpc, self._known, self._operator = rpc, known, operator
        self._read: list[tuple[int, Release]] | None = None

    def to_register(self, number: int | None) -> Deployment:
        """The deployment to register in: that of release `number`, or the one in force.

        Raises UserError if it is over, or this program does not know its contracts; ChainError.
        """
        epoch = Network(self._rpc, self._known.network).current_epoch()
        span = self._span(number) if number is not None else span_at(self._published(), epoch)
        if span is None:
            return self._known
        if span.ends is not None and span.ends <= epoch:
            raise UserError(f"release {span.number} of the network was over with epoch {span.ends}")
        return self._deployment(span)

    def check_free(self, wanted: Deployment, link_key: bytes, endpoint: str) -> None:
        """Raise UserError if a relay of this operator in another release holds this endpoint; ChainError."""
        for span, deployment in self._others(wanted):
            registry = RelayRegistry(self._rpc, deployment.registry)
            relay = registry.relay_of(self._operator)
            found = registry.relay(relay) if relay else None
            leaf = relay_leaf(relay, self._operator, link_key, endpoint.encode())
            if found is not None and not found.withdrawable_at and found.leaf == leaf:
                raise UserError(
                    f"{endpoint} is registered for this operator's relay in release {span.number}, and both "
                    "have to run for a while: name other ports with --link-port and --client-port"
                )

    def with_relay(self, number: int | None, has_to_do: _RelayTest) -> Deployment:
        """The deployment of release `number`, or of the only one in which this operator's relay is such.

        Raises UserError if there are several, CannotFollow, ChainError.
        """
        if number is not None:
            return self._deployment(self._span(number))
        if len(self._spans()) == 1:
            return self._known
        found = [span for span, deployment in self._followed() if self._is(deployment, has_to_do)]
        if len(found) > 1:
            numbers = " and ".join(str(span.number) for span in found)
            raise UserError(f"this operator has relays in releases {numbers}: say which with --release")
        return self._deployment(found[0]) if found else self._known

    def all(self, number: int | None = None) -> list[tuple[int, Deployment]]:
        """The contracts of all releases that this program knows, by number, or of `number` alone.

        Raises UserError if there is no such release, CannotFollow, ChainError.
        """
        if number is not None:
            span = self._span(number)
            return [(span.number, self._deployment(span))]
        return [(span.number, deployment) for span, deployment in self._followed()]

    def _is(self, deployment: Deployment, has_to_do: _RelayTest) -> bool:
        registry = RelayRegistry(self._rpc, deployment.registry)
        relay = registry.relay_of(self._operator)
        return bool(relay) and has_to_do(registry.relay(relay))

    def _others(self, wanted: Deployment) -> list[tuple[Span, Deployment]]:
        return [(span, found) for span, found in self._followed() if found.contracts != wanted.contracts]

    def _followed(self) -> list[tuple[Span, Deployment]]:
        found = []
        for span in self._spans():
            try:
                found.append((span, self._deployment(span)))
            except CannotFollow:
                continue  # this program has no business there
        return found

    def _span(self, number: int) -> Span:
        return find_span(self._published(), number)

    def _spans(self) -> list[Span]:
        return spans_of(self._published())

    def _published(self) -> list[tuple[int, Release]]:
        if self._read is None:
            self._read = published(self._rpc, self._known)
        return self._read

    def _deployment(self, span: Span) -> Deployment:
        return deployment_of(self._rpc, self._known, span.number, span.release)
