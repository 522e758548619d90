"""TLS by pinned link keys: over real sockets, with asyncio and with aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mixpay.errors import PeerError
from mixpay.tls import (
    PinnedKey,
    certificate,
    check_link_key,
    client_context,
    link_key_of,
    pinned_key,
    server_context,
)

SEED = bytes(range(32))
OTHER = bytes(32)


@asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[int]:
    """A TLS server that says hello to whoever comes; its port."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def connected(context: ssl.SSLContext) -> AsyncIterator[ssl.SSLObject]:
    """The TLS object of a client connected to a server with this context."""
    async with listening(context) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context())
        try:
            yield writer.get_extra_info("ssl_object")
            assert await reader.read() == b"hello"
        finally:
            writer.close()


def test_certificate_is_a_function_of_the_seed() -> None:
    encoded = [certificate(seed).public_bytes(serialization.Encoding.DER) for seed in (SEED, SEED, OTHER)]
    assert encoded[0] == encoded[1] != encoded[2]


def test_certificate_says_nothing_but_the_key() -> None:
    one, two = certificate(SEED), certificate(OTHER)
    assert one.subject == two.subject == one.issuer
    assert one.serial_number == two.serial_number
    assert one.not_valid_after_utc == two.not_valid_after_utc > datetime(9000, 1, 1, tzinfo=UTC)


def test_link_key_rejects_a_seed_of_another_length() -> None:
    with pytest.raises(ValueError):
        link_key_of(bytes(31))


async def test_client_sees_the_servers_key() -> None:
    async with connected(server_context(SEED)) as tls:
        assert pinned_key(tls) == link_key_of(SEED)
        assert tls.version() == "TLSv1.3"
        check_link_key(tls, link_key_of(SEED))


async def test_check_rejects_another_key() -> None:
    async with connected(server_context(SEED)) as tls:
        with pytest.raises(PeerError) as caught:
            check_link_key(tls, link_key_of(OTHER))
        assert caught.value.reason == "wrong_link_key"


async def test_check_rejects_another_kind_of_key(tmp_path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mixpay")])
    shown = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2090, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "ec.pem").write_bytes(private + shown.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ec.pem")
    async with connected(context) as tls:
        with pytest.raises(PeerError) as caught:
            pinned_key(tls)
        assert caught.value.reason == "wrong_link_key"


async def test_server_refuses_older_tls() -> None:
    async with listening(server_context(SEED)) as port:
        old = client_context()
        old.minimum_version = ssl.TLSVersion.TLSv1_2
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", port, ssl=old)


def test_no_key_file_is_left(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server_context(SEED)
    assert list(tmp_path.iterdir()) == []


class Site:
    """A small HTTPS server that counts what reaches it."""

    def __init__(self) -> None:
        self.requests = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.requests += 1
        return web.Response(text="ok")

    async def echo(self, request: web.Request) -> web.WebSocketResponse:
        self.requests += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Site, str]]:
    shop = Site()
    app = web.Application()
    app.add_routes([web.get("/", shop.answer), web.get("/socket", shop.echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(SEED)).start()
    try:
        yield shop, f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_aiohttp_talks_to_the_pinned_server() -> None:
    pin = PinnedKey(link_key_of(SEED))
    async with site() as (_, url), aiohttp.ClientSession() as session:
        async with session.get(url, ssl=pin) as answer:
            assert await answer.text() == "ok"
        async with session.ws_connect(url + "/socket", ssl=pin) as socket:
            await socket.send_bytes(b"packet")
            assert (await socket.receive()).data == b"packet"


async def test_aiohttp_sends_nothing_to_another_server() -> None:
    async with site() as (shop, url), aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await session.get(url, ssl=PinnedKey(link_key_of(OTHER)))
        assert shop.requests == 0


async def test_aiohttp_does_not_lend_a_pooled_connection_to_another_pin() -> None:
    async with site() as (shop, url), aiohttp.ClientSession() as session:
        async with session.get(url, ssl=PinnedKey(link_key_of(SEED))):
            pass
        with pytest.raises(aiohttp.ServerFingerprintMismatch):
            await session.get(url, ssl=PinnedKey(link_key_of(OTHER)))
        assert shop.requests == 1


async def test_aiohttp_pin_refuses_plain_http() -> None:
    transport = asyncio.Transport(extra={"peername": ("127.0.0.1", 1)})
    with pytest.raises(aiohttp.ServerFingerprintMismatch):
        PinnedKey(link_key_of(SEED)).check(transport)
