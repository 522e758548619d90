"""What a relay announces must be found by others; ports that cannot be had are named."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import pytest

from mixpay.errors import UserError
from relay.operator.announced import require_reachable, resolve
from relay.operator.ports import port_of

PUBLIC = 1
"""The number of a public chain."""


def gives(*addresses: str) -> Callable[[str], list[str]]:
    return lambda _: list(addresses)


def fails(number: int) -> Callable[[str], list[str]]:
    def look(_: str) -> list[str]:
        raise socket.gaierror(number, "as the system says")

    return look


def check(
    host: str, chain: int = PUBLIC, *, private: bool = False, found: Callable[[str], list[str]]
) -> str | None:
    return require_reachable(host, chain, private=private, resolve=found)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_publicAddress_isFine(address: str) -> None:
    assert check("relay.example", found=gives(address)) is None
    assert check("relay.example", found=gives("10.0.0.1", address)) is None, "one that others reach is enough"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "192.168.1.7", "172.16.0.1", "169.254.1.1", "100.64.0.1"),
        *("0.0.0.0", "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1"),  # noqa: S104 -- nobody listens there
    ],
)
def test_privateAddress_onAPublicChain_isRefused(address: str) -> None:
    with pytest.raises(UserError, match=r"nobody elsewhere reaches .*Behind a NAT.*`listen` the inner one"):
        check("relay.example", found=gives(address))
    with pytest.raises(UserError, match=rf"reaches {address},"):
        check(address, found=gives(address))
    assert check(address, private=True, found=gives(address)) is None
    for chain in (1337, 31337):
        assert check(address, chain, found=gives(address)) is None


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_FAIL])
@pytest.mark.parametrize("chain", [PUBLIC, 31337])
def test_nameThatThereIsNot_isRefused_everywhere(number: int, chain: int) -> None:
    with pytest.raises(UserError, match=r"the host 'relay.example' has no address. Mend its DNS entry"):
        check("relay.example", chain, found=fails(number))


def test_resolverThatDoesNotAnswer_keepsNobodyFromStarting() -> None:
    told = check("relay.example", found=fails(socket.EAI_AGAIN))
    assert told is not None and "the resolver does not answer" in told


def test_resolver_knowsAddresses() -> None:
    assert resolve("127.0.0.1") == ["127.0.0.1"]
    with pytest.raises(socket.gaierror):
        resolve("no-such-host.invalid")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRINUSE, "another program has it, perhaps another relay"),
        (errno.EACCES, "take higher ones"),
        (errno.EADDRNOTAVAIL, "this machine has no such address"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_portThatCannotBeHad_isNamed_withWhatToDo(number: int, words: str) -> None:
    complaint = pytest.raises(UserError, match=rf"cannot listen for links on ::, port 9101: .*{words}")
    with complaint, port_of("links", "::", 9101):
        raise OSError(number, os.strerror(number))


def test_portThatIsReallyTaken_isNamed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        complaint = pytest.raises(UserError, match=f"port {port}: another program has it")
        with complaint, port_of("clients", "127.0.0.1", port):
            socket.create_server(("127.0.0.1", port))
