"""What people and the chain hand over as text: addresses, endpoints, accounts, the addresses of sponsors."""

from __future__ import annotations

from contextlib import suppress

from fuzz import world
from fuzz.target import Target, require
from mixpay.accounts import parse_account, show_account
from mixpay.address import ADDRESS_BYTES, Address, parse
from mixpay.endpoint import EndpointError, parse_endpoint
from mixpay.envelope import MAX_NAME, safe_name, safe_text
from mixpay.errors import UserError
from mixpay.types import Account, RelayId
from mixpay.urls import sponsor_url


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# ------------------------------------------------------------------ addresses


def run_address(data: bytes) -> None:
    """Bit 0 of the first byte: text, else 56 bytes that are printed and read again."""
    if not data:
        return
    if not data[0] & 1:
        _print_address(data[1:])
        return
    text = _text(data[1:])
    try:
        address = parse(text)
    except UserError:
        return
    require(text.strip().isascii(), "an address is plain text")
    require(str(address) == text.strip().lower(), "an address has one spelling")


def _print_address(data: bytes) -> None:
    try:
        address = Address.from_bytes(data)
    except ValueError:
        require(len(data) != ADDRESS_BYTES or data[4:8] == bytes(4), "every address can be made")
        return
    require(address.to_bytes() == data, "an address has one encoding")
    require(parse(str(address).upper()) == address, "what is printed is read")


def _address_seeds() -> list[bytes]:
    address = Address(b"mark", RelayId(7), bytes(range(16)), world.name("identity"))
    zeros = Address(bytes(4), RelayId(1), bytes(16), bytes(32))
    texts = [
        str(address),
        str(address).upper(),
        f"  {zeros}\n",
        str(zeros)[:-1],
        str(zeros).replace("q", "b"),
    ]
    texts.append(str(address).upper().replace("K", "\u212a"))
    return [*(b"\1" + text.encode() for text in texts), b"\0" + address.to_bytes(), b"\0" + bytes(56)]


# ------------------------------------------------------------------ endpoints


def run_endpoint(data: bytes) -> None:
    """An endpoint as somebody wrote it to the chain."""
    text = _text(data)
    try:
        endpoint = parse_endpoint(text)
    except EndpointError:
        return
    require(len(data) <= 128 and text.isascii(), "an endpoint is short and plain")
    require(not set(endpoint.host) & set("/@?#%\\ \t\r\n"), "a host fits into a URL")
    require(parse_endpoint(str(endpoint)) == endpoint, "what is printed is read")


def _endpoint_seeds() -> list[bytes]:
    return [
        b"relay.example:7000:7001",
        b"127.0.0.1:1:65535",
        b"[2001:db8::1]:9200:9201",
        b"[::ffff:1.2.3.4]:9200:9201",
        b"a-b.c--d:10:11",
        b"1.2.3.256:1:2",
        b"host.:1:2",
        b"x" * 63 + b".example:1:2",
        b"\xff\xfe:1:2",
    ]


# ------------------------------------------------------------------ other texts


def run_account(data: bytes) -> None:
    """An account, as people write one and as requests name a pool."""
    text = _text(data)
    try:
        account = parse_account(text, "pool")
    except ValueError:
        return
    require(len(account) == 20 and show_account(account).lower() == text.lower(), "an account has 40 digits")


def _account_seeds() -> list[bytes]:
    shown = show_account(Account(world.name("somebody")[:20]))
    return [
        t.encode()
        for t in (shown, shown.lower(), "0x" + shown[2:].upper(), "0x" + "0" * 40, shown[:-1], shown + "\n")
    ]


def run_shown(data: bytes) -> None:
    """A stranger's file name and text, made safe to show and to create; a sponsor's address."""
    name = safe_name(_text(data))
    require(name not in ("", ".", "..") and not set(name) & set('/\\\0:*?"<>|'), "a name is a name")
    require(not name.startswith((".", "-", "~")), "a name is not hidden and no option")
    require(len(name.encode()) <= MAX_NAME and "\n" not in name, "a name is short")
    shown = safe_text(data)
    require(not any(c in shown for c in "\x1b\r\x00\u202e\u2066\ufeff"), "a text does not move the cursor")
    require(len(shown) <= 6 * len(data), "a text does not grow")
    with suppress(UserError):
        sponsor_url(_text(data))


def _shown_seeds() -> list[bytes]:
    texts = [
        "photo.jpg",
        "../../.ssh/config",
        "a\\b\\c.exe",
        "\u202egpj.exe",
        "\x1b[2J",
        "x" * 300,
        "é" * 200,
        "-rf",
        "~x",
    ]
    texts += [
        "https://sponsor.example/",
        "http://[::1]:8850",
        "http://[v1.x]/",
        "https://a:b@c:99999",
        "con:",
    ]
    return [text.encode() for text in texts]


TARGETS = (
    Target("address", 10, 256, _address_seeds, run_address),
    Target("endpoint", 15, 160, _endpoint_seeds, run_endpoint),
    Target("account", 5, 96, _account_seeds, run_account),
    Target("shown_text", 5, 512, _shown_seeds, run_shown),
)
