"""Whether others can reach what a relay announces: checked before it is registered, and when it starts."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address

from mixpay.errors import UserError

LOCAL_CHAINS = frozenset((1337, 31337))
"""Development chains: anvil, ganache, hardhat."""

Resolve = Callable[[str], Iterable[str]]
"""Addresses of a name, as text. Raises socket.gaierror."""


def resolve(host: str) -> list[str]:
    """What this machine's resolver says. Raises socket.gaierror. Blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return sorted({str(address[0]).partition("%")[0] for *_, address in found})


def require_reachable(host: str, chain_id: int, *, private: bool, resolve: Resolve = resolve) -> str | None:
    """What should be told of an announced host, if anything. `private`: the network is private addresses'.

    Raises UserError for a name that there is not, and, on a public chain, for an address that nobody
    elsewhere reaches. A resolver that does not answer is told only: it may be back before anybody asks.
    Blocks.
    """
    try:
        addresses = list(resolve(host))
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return f"cannot tell whether others find {host}: the resolver does not answer"
        raise UserError(
            f"others cannot find this relay: the host {host!r} has no address. Mend its DNS entry, or `host` "
            "in relay.toml, and run `mixpay-relay register`"
        ) from None
    if private or chain_id in LOCAL_CHAINS:
        return None
    unreachable = [address for address in addresses if not ip_address(address).is_global]
    if unreachable and len(unreachable) == len(addresses):
        raise UserError(
            f"nobody elsewhere reaches {_named(host, unreachable[0])}, an address of a private network. "
            "Behind a NAT, `host` in relay.toml is the outer name or address, and `listen` the inner one; "
            "then run `mixpay-relay register`. If this whole network is private: private_network = true"
        )
    return None


def _named(host: str, address: str) -> str:
    return host if host == address else f"{host} ({address})"
