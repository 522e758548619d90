"""Endpoints: what is one, and the many things that are not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.endpoint import Endpoint, EndpointError, parse_endpoint

LONG = ".".join(["a" * 36] * 3)


@pytest.mark.parametrize(
    "text, host",
    [
        ("127.0.0.1:7000:7001", "127.0.0.1"),
        ("relay.example:1:65535", "relay.example"),
        ("Relay-1.example:80:443", "Relay-1.example"),
        ("localhost:7000:7001", "localhost"),
        ("[::1]:7000:7001", "::1"),
        ("[2001:db8::7]:7000:7001", "2001:db8::7"),
        ("[::ffff:1.2.3.4]:7000:7001", "::ffff:1.2.3.4"),
        (f"{LONG}:7000:7001", LONG),
    ],
)
def test_parse_readsWhatItWrites(text: str, host: str) -> None:
    endpoint = parse_endpoint(text)
    assert endpoint.host == host
    assert str(endpoint) == text
    assert parse_endpoint(str(endpoint)) == endpoint
    assert isinstance(endpoint.link_port, int) and isinstance(endpoint.client_port, int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "host",
        "host:1",
        "host:1:2:3",
        ":1:2",
        "host:0:1",
        "host:01:2",
        "host:1:65536",
        "host:7000:7000",
        "host:-1:2",
        "host:1:2 ",
        " host:1:2",
        "host:1:2\n",
        "host:1:\u0662",
        "h\u00f6st:1:2",
        "host_name:1:2",
        "-host:1:2",
        "host-:1:2",
        "host..name:1:2",
        "host.:1:2",
        ".host:1:2",
        "1.2.3:1:2",
        "1.2.3.256:1:2",
        "1.2.3.04:1:2",
        "host.4:1:2",
        "[::1:1:2",
        "::1:1:2",
        "[]:1:2",
        "[1.2.3.4]:1:2",
        "[:::]:1:2",
        "[fe80::1%eth0]:1:2",
        "a" * 64 + ":1:2",
        LONG + "." + "b" * 20 + ":7000:7001",
        "\x1b[31mhost:1:2",
        "host:1:2\udcff",
    ],
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(EndpointError):
        parse_endpoint(text)


@given(text=st.text(max_size=140))
def test_parse_neverFailsOtherwise(text: str) -> None:
    with suppress(EndpointError):
        assert isinstance(parse_endpoint(text), Endpoint)
