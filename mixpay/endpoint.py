"""A relay's endpoint: `host:link_port:client_port`, as the registry stores it.

`host` is a name, an IPv4 address, or an IPv6 address in brackets. Relays connect to the first port, clients
to the second. The registry's contract checks the length only, so whoever reads an endpoint from the chain
parses it here before use, and treats a relay with a bad one as unreachable.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from mixpay.errors import UserError

MAX_ENDPOINT = 128
"""Bytes that the registry takes."""

_FORM = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
_LABEL = re.compile(r"[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?")


class EndpointError(UserError):
    """The text is no endpoint; says what is wrong with it."""


class Endpoint(NamedTuple):
    """Host without brackets, and two ports."""

    host: str
    link_port: int
    client_port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.link_port}:{self.client_port}"


def parse_endpoint(text: str) -> Endpoint:
    """Read an endpoint of at most 128 bytes. Raises EndpointError."""
    form = _FORM.fullmatch(text)
    if form is None or len(text) > MAX_ENDPOINT:
        form_text = f"host:link_port:client_port, at most {MAX_ENDPOINT} characters"
        raise EndpointError(f"an endpoint reads {form_text}, not {text[:200]!r}")
    host, link_port, client_port = form[1], int(form[2]), int(form[3])
    if max(link_port, client_port) > 65535:
        raise EndpointError(f"ports end at 65535: {text!r}")
    if link_port == client_port:
        raise EndpointError(f"relays and clients need different ports: {text!r}")
    if not _is_host(host):
        raise EndpointError(f"neither a host name nor an address: {host!r}")
    return Endpoint(host.strip("[]"), link_port, client_port)


def _is_host(host: str) -> bool:
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
            return True
        # A name does not end in a number (RFC 1123, section 2.1): what does is an address.
        if host.rsplit(".", 1)[-1].isdigit():
            IPv4Address(host)
            return True
    except AddressValueError:
        return False
    return all(_LABEL.fullmatch(label) for label in host.split("."))
