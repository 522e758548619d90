"""Addresses of services as people write them, checked. Loads little: a newcomer's first command waits."""

from __future__ import annotations

from urllib.parse import urlsplit

from mixpay.errors import UserError


def sponsor_url(text: str) -> str:
    """The address of a sponsor. Raises UserError if it is none."""
    try:
        parts = urlsplit(text)
    except ValueError:  # brackets around what is no IPv6 address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"not the address of a sponsor: {text!r}; it looks like https://sponsor.example")
    return text.rstrip("/")


def rpc_origin(text: str) -> str:
    """Scheme, host and port of a node's address, without what may be secret in it. Raises UserError."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"not an RPC address: {text!r}; one looks like http://127.0.0.1:8545")
    return f"{parts.scheme}://{parts.hostname}{port}"
