"""Sign-In with Ethereum: the text that a wallet signs (EIP-4361), and its signature (EIP-191).

Only one form of it is read and written: with a statement, an expiration time, and none of "Not Before",
"Request ID" and "Resources". A message says who signs what for whom, and for how long:

    example.com wants you to sign in with your Ethereum account:
    0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed

    Get a Mixpay pass.

    URI: https://example.com
    Version: 1
    Chain ID: 1
    Nonce: 32891756aabbccdd
    Issued At: 2026-01-02T03:04:05Z
    Expiration Time: 2026-01-02T03:14:05Z
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from mixpay import eip712
from mixpay.accounts import show_account
from mixpay.crypto.hashing import keccak256
from mixpay.types import Account

MOST_SECONDS = 600
"""How long a message may be good for."""

SKEW_SECONDS = 60
"""How far the signer's clock may be before ours."""

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
_MESSAGE = re.compile(
    r"(?P<domain>[!-~]+) wants you to sign in with your Ethereum account:\n"
    r"(?P<address>0x[0-9a-fA-F]{40})\n"
    r"\n"
    r"(?P<statement>[ -~]+)\n"
    r"\n"
    r"URI: (?P<uri>[!-~]+)\n"
    r"Version: (?P<version>[0-9]+)\n"
    r"Chain ID: (?P<chain_id>0|[1-9][0-9]{0,19})\n"
    r"Nonce: (?P<nonce>[a-zA-Z0-9]{8,})\n"
    rf"Issued At: (?P<issued>{_TIME})\n"
    rf"Expiration Time: (?P<expires>{_TIME})"
)


class LoginError(ValueError):
    """A message or its signature is not as it must be; says what is wrong, in few words."""


@dataclass(frozen=True, slots=True)
class LoginTerms:
    """Who asks for the signature, and for what. Printable ASCII; `domain` and `uri` without spaces."""

    domain: str
    uri: str
    chain_id: int
    statement: str

    def __post_init__(self) -> None:
        """Raises LoginError for what cannot stand in a message."""
        if not re.fullmatch(r"[!-~]+", self.domain) or not re.fullmatch(r"[!-~]+", self.uri):
            raise LoginError("domain and URI are printable ASCII without spaces")
        if not re.fullmatch(r"[ -~]+", self.statement):
            raise LoginError("the statement is one line of printable ASCII")


@dataclass(frozen=True, slots=True)
class Login:
    """A message: account `address` (20 bytes) signs in; times in seconds since 1970."""

    terms: LoginTerms
    address: Account
    nonce: str
    issued: float
    expires: float

    def text(self) -> str:
        """What is signed."""
        return (
            f"{self.terms.domain} wants you to sign in with your Ethereum account:\n"
            f"{show_account(self.address)}\n\n{self.terms.statement}\n\n"
            f"URI: {self.terms.uri}\nVersion: 1\nChain ID: {self.terms.chain_id}\nNonce: {self.nonce}\n"
            f"Issued At: {_shown(self.issued)}\nExpiration Time: {_shown(self.expires)}"
        )


def parse(text: str) -> Login:
    """Read a message. Raises LoginError for any other form, or an address without its checksum (EIP-55)."""
    found = _MESSAGE.fullmatch(text)
    if found is None:
        raise LoginError("it is not a message of EIP-4361 in the form that is asked for")
    if found["version"] != "1":
        raise LoginError("its version is not 1")
    address = Account(bytes.fromhex(found["address"][2:]))
    if show_account(address) != found["address"]:
        raise LoginError("its address is not written with its checksum")
    terms = LoginTerms(found["domain"], found["uri"], int(found["chain_id"]), found["statement"])
    return Login(terms, address, found["nonce"], _time(found["issued"]), _time(found["expires"]))


def check(login: Login, terms: LoginTerms, nonce: str, now: float) -> None:
    """Check that a message is for us, for this nonce, and for now. Raises LoginError."""
    for name in ("domain", "uri", "chain_id", "statement"):
        if getattr(login.terms, name) != getattr(terms, name):
            raise LoginError(f"its {name.replace('_', ' ')} is another one than is asked for")
    if login.nonce != nonce:
        raise LoginError("its nonce is another one than this pass has")
    if not 0 < login.expires - login.issued <= MOST_SECONDS:
        raise LoginError(f"it is to be good for at most {MOST_SECONDS} s")
    if login.issued > now + SKEW_SECONDS:
        raise LoginError("it was issued in the future")
    if login.expires <= now:
        raise LoginError("it has expired")


def digest(text: str) -> bytes:
    """The 32 bytes that a wallet signs for a text (EIP-191, version 0x45)."""
    data = text.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)


def signer(text: str, signature: bytes) -> Account:
    """Whose signature of the text this is. Raises LoginError for what is no signature."""
    try:
        return eip712.recover(digest(text), signature)
    except eip712.SignatureError as error:
        raise LoginError(error.detail) from None


def sign(login: Login, key: bytes) -> bytes:
    """Sign a message with the private key (32 bytes) of its address: 65 bytes."""
    return eip712.sign(key, digest(login.text()))


def _shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise LoginError("one of its times is none") from None
