"""TLS with keys pinned from the registry instead of certificate authorities.

A relay's link key (Ed25519) *is* its certificate: self-signed, made again at each start from the 32-byte
seed, the same bytes every time. Whoever connects compares the key in the certificate with the registered
one before it sends anything. OpenSSL has by then checked that the server holds the private key
(CertificateVerify, RFC 8446 §4.4.3), which it does whether or not it trusts the certificate.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import ssl
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import Fingerprint, ServerFingerprintMismatch
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from mixpay.errors import PeerError

KEY_BYTES = 32
WRONG_LINK_KEY = "wrong_link_key"

_RAW = serialization.Encoding.Raw
_PEM = serialization.Encoding.PEM
# Nothing in a certificate may tell relays apart but the key: fixed name, fixed dates (RFC 5280 §4.1.2.5: no
# end).
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mixpay")])
_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_SERIAL = 1


def link_key_of(seed: bytes) -> bytes:
    """The public link key, 32 bytes, of a 32-byte Ed25519 seed. Raises ValueError on another length."""
    return _private_key(seed).public_key().public_bytes(_RAW, serialization.PublicFormat.Raw)


def certificate(seed: bytes) -> x509.Certificate:
    """The self-signed certificate of a 32-byte Ed25519 seed; the same bytes every time."""
    private = _private_key(seed)
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(private.public_key())
        .serial_number(_SERIAL)
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .sign(private, algorithm=None)
    )


def server_context(seed: bytes) -> ssl.SSLContext:
    """TLS 1.3 for a server that proves the link key of this 32-byte seed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # No resumption: a ticket would let a server recognise a client that comes again.
    context.num_tickets = 0
    _load(context, seed)
    return context


def client_context() -> ssl.SSLContext:
    """TLS 1.3 for a client that trusts nobody: it must call `check_link_key` before it sends anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def pinned_key(tls: ssl.SSLObject | ssl.SSLSocket) -> bytes:
    """The Ed25519 key, 32 bytes, of the peer's certificate, after the handshake.

    Raises PeerError `wrong_link_key` when it shows no certificate, or one with another kind of key.
    """
    shown = tls.getpeercert(binary_form=True)
    if shown is None:
        raise PeerError(WRONG_LINK_KEY, "no certificate")
    try:
        key = x509.load_der_x509_certificate(shown).public_key()
    except Exception as error:  # the parser of a stranger's bytes has no documented set of errors
        raise PeerError(WRONG_LINK_KEY, "unreadable certificate") from error
    if not isinstance(key, Ed25519PublicKey):
        raise PeerError(WRONG_LINK_KEY, "not an Ed25519 key")
    return key.public_bytes(_RAW, serialization.PublicFormat.Raw)


def check_link_key(tls: ssl.SSLObject | ssl.SSLSocket, link_key: bytes) -> None:
    """Raise PeerError `wrong_link_key` unless the peer of this connection proved the registered key, 32
    bytes.
    """
    if not hmac.compare_digest(pinned_key(tls), link_key):
        raise PeerError(WRONG_LINK_KEY, "not the registered key")


class PinnedKey(Fingerprint):
    """Pass as aiohttp's `ssl=` argument: every request on it first checks the server's link key, before any
    data.

    aiohttp closes the connection and raises `aiohttp.ServerFingerprintMismatch` when the key is another one.
    Equal keys share pooled connections, different keys never do.
    """

    def __init__(self, link_key: bytes) -> None:
        super().__init__(link_key)  # which refuses a key that is not 32 bytes long
        self._link_key = link_key

    def check(self, transport: asyncio.BaseTransport) -> None:
        """Called by aiohttp after the handshake and before the request is written."""
        shown = b""
        tls = transport.get_extra_info("ssl_object")
        try:
            if tls is None:
                raise PeerError(WRONG_LINK_KEY, "no TLS")
            shown = pinned_key(tls)
            check_link_key(tls, self._link_key)
        except PeerError as error:
            host, port, *_ = transport.get_extra_info("peername")
            raise ServerFingerprintMismatch(self._link_key, shown, host, port) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PinnedKey) and other._link_key == self._link_key

    def __hash__(self) -> int:
        return hash(self._link_key)


def _private_key(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)


def _load(context: ssl.SSLContext, seed: bytes) -> None:
    # The ssl module reads keys from files only: the file is encrypted under a password that lives for this
    # call.
    password = secrets.token_bytes(32).hex().encode()
    key = _private_key(seed).private_bytes(
        _PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "link.pem")
        path.write_bytes(key + certificate(seed).public_bytes(_PEM))
        context.load_cert_chain(path, password=password)
