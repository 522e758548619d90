"""Who is at the other end of a connection: what a link's two ends show each other before it opens.

    payer                                   payee
      ── TLS 1.3; the payee's certificate is its link key, compared with the registered one ──
                                     ◀──    HELLO(version, payee id, fresh nonce)
      PROVE(version, payer id, sig)  ──▶    the key registered for the payer id must have made sig
                                     ◀──    WELCOME

The signature covers the nonce, so it is good once; and the payee's link key, so a payee cannot pass it on
to another relay and be taken for the payer there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from mixpay.errors import PeerError
from mixpay.tls import link_key_of
from mixpay.types import RelayId
from mixpay.wire import WIRE_VERSION
from mixpay.wire.frames import Hello, Prove

NONCE_BYTES = 32
WRONG_VERSION = "wrong_version"
WRONG_RELAY = "wrong_relay"
BAD_PROOF = "bad_proof"

_LABEL = b"mixpay-link-v1"


@dataclass(frozen=True, slots=True)
class Identity:
    """This relay on its links: its id, the 32-byte seed of its link key, the wire version it speaks."""

    relay: RelayId
    seed: bytes = field(repr=False)
    version: int = WIRE_VERSION
    link_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "link_key", link_key_of(self.seed))


def prove(identity: Identity, payee: RelayId, payee_key: bytes, hello: Hello) -> Prove:
    """The payer's answer to a payee's HELLO. `payee_key`: the one pinned on this connection, 32 bytes.

    Raises PeerError `wrong_version` or `wrong_relay`.
    """
    if hello.version != identity.version:
        raise PeerError(WRONG_VERSION, f"the peer speaks version {hello.version}, not {identity.version}")
    if hello.relay != payee:
        raise PeerError(WRONG_RELAY, f"relay {hello.relay} answers in place of {payee}")
    signed = _signed(hello.version, hello.nonce, payee_key, identity.relay, payee)
    return Prove(identity.version, identity.relay, SigningKey(identity.seed).sign(signed).signature)


def check(identity: Identity, payer_key: bytes, nonce: bytes, proof: Prove) -> None:
    """The payee's check of a PROVE that answers `nonce`. `payer_key`: the one registered for `proof.relay`.

    Raises PeerError `wrong_version` or `bad_proof`.
    """
    if proof.version != identity.version:
        raise PeerError(WRONG_VERSION, f"the peer speaks version {proof.version}, not {identity.version}")
    signed = _signed(proof.version, nonce, identity.link_key, proof.relay, identity.relay)
    try:
        VerifyKey(payer_key).verify(signed, proof.signature)
    except (CryptoError, ValueError) as error:
        raise PeerError(BAD_PROOF, f"no proof of being relay {proof.relay}") from error


def _signed(version: int, nonce: bytes, payee_key: bytes, payer: RelayId, payee: RelayId) -> bytes:
    return b"".join(
        (
            _LABEL,
            version.to_bytes(2, "big"),
            nonce,
            payee_key,
            payer.to_bytes(4, "big"),
            payee.to_bytes(4, "big"),
        )
    )
