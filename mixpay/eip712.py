"""Signatures that contracts check: typed structured data (EIP-712) over secp256k1 ECDSA.

A digest is keccak(0x1901 ‖ domain separator ‖ struct hash), 32 bytes. A signature is r 32 ‖ s 32 ‖ v 1 with v
27 or 28 and s in the lower half of the order (EIP-2): of the two signatures that fit a message, contracts and
relays accept only that one. Signing is deterministic (RFC 6979): the same message gives the same signature.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from coincurve import PrivateKey, PublicKey

from mixpay.crypto import secp256k1
from mixpay.crypto.hashing import keccak256
from mixpay.errors import PeerError
from mixpay.types import Account, Amount, Epoch, RelayId, Value

SIGNATURE_SIZE = 65
VERSION = "1"
_V_OFFSET = 27
_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


class SignatureError(PeerError):
    """The bytes are no signature that contracts would accept. Reason: `bad_signature`."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_signature", detail)


@dataclass(frozen=True, slots=True)
class Domain:
    """The contract that a signature is for: its EIP-712 name, chain id and address (20 bytes)."""

    name: str
    chain_id: int
    contract: bytes
    separator: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = (
            _DOMAIN_TYPE,
            keccak256(self.name.encode()),
            keccak256(VERSION.encode()),
            _uint(self.chain_id),
            _address(self.contract),
        )
        object.__setattr__(self, "separator", keccak256(b"".join(words)))


def channels_domain(chain_id: int, contract: bytes) -> Domain:
    """Return the domain of vouchers and batches; `contract` is Channels' address."""
    return Domain("Mixpay Channels", chain_id, contract)


def pool_domain(chain_id: int, contract: bytes) -> Domain:
    """Return the domain of pool vouchers; `contract` is SubsidyPool's address."""
    return Domain("Mixpay SubsidyPool", chain_id, contract)


def registry_domain(chain_id: int, contract: bytes) -> Domain:
    """Return the domain of descriptors and operators' consents; `contract` is RelayRegistry's address."""
    return Domain("Mixpay RelayRegistry", chain_id, contract)


class Message(ABC):
    """A struct of EIP-712: its type's hash and its fields as 32-byte words."""

    __slots__ = ()
    TYPE: ClassVar[bytes]

    @abstractmethod
    def words(self) -> tuple[bytes, ...]:
        """Return the fields, 32 bytes each. Raises ValueError if one does not fit its type."""

    def digest(self, domain: Domain) -> bytes:
        """Return the 32 bytes to sign. Raises ValueError if a field does not fit its type."""
        return keccak256(b"\x19\x01" + domain.separator + keccak256(self.TYPE + b"".join(self.words())))


@dataclass(frozen=True, slots=True)
class Voucher(Message):
    """The payer owes `cumulative` (token units) for everything up to and including batch `upto_batch`."""

    TYPE: ClassVar[bytes] = keccak256(
        b"Voucher(address payer,address payee,uint96 cumulative,uint32 uptoBatch)"
    )
    payer: Account
    payee: Account
    cumulative: Amount
    upto_batch: int

    def words(self) -> tuple[bytes, ...]:
        return (
            _address(self.payer),
            _address(self.payee),
            _uint(self.cumulative, 96),
            _uint(self.upto_batch, 32),
        )


@dataclass(frozen=True, slots=True)
class Batch(Message):
    """The payer has promised the first `count` tickets of batch `number` at this hop price (token units).

    `value` is what they come to, in hop prices: no more can be claimed. `locks_root` is the root of their
    locks' tree.
    """

    TYPE: ClassVar[bytes] = keccak256(
        b"Batch(address payer,address payee,uint32 number,uint32 count,uint64 value,uint96 price,"
        b"bytes32 locksRoot)"
    )
    payer: Account
    payee: Account
    number: int
    count: int
    value: Value
    price: Amount
    locks_root: bytes

    def words(self) -> tuple[bytes, ...]:
        return (
            _address(self.payer),
            _address(self.payee),
            _uint(self.number, 32),
            _uint(self.count, 32),
            _uint(self.value, 64),
            _uint(self.price, 96),
            _bytes32(self.locks_root),
        )


@dataclass(frozen=True, slots=True)
class PoolVoucher(Message):
    """A campaign owes the relay's account `cumulative` (token units), all periods up to `period` together."""

    TYPE: ClassVar[bytes] = keccak256(
        b"PoolVoucher(uint32 campaign,address relay,uint32 period,uint96 cumulative)"
    )
    campaign: int
    relay: Account
    period: int
    cumulative: Amount

    def words(self) -> tuple[bytes, ...]:
        return (
            _uint(self.campaign, 32),
            _address(self.relay),
            _uint(self.period, 32),
            _uint(self.cumulative, 96),
        )


@dataclass(frozen=True, slots=True)
class OperatorConsent(Message):
    """The operator agrees to serve the relay that `owner` registers."""

    TYPE: ClassVar[bytes] = keccak256(b"OperatorConsent(address operator,address owner)")
    operator: Account
    owner: Account

    def words(self) -> tuple[bytes, ...]:
        return _address(self.operator), _address(self.owner)


@dataclass(frozen=True, slots=True)
class Descriptor(Message):
    """A relay's packet key (X25519, 32 bytes) for one epoch."""

    TYPE: ClassVar[bytes] = keccak256(b"Descriptor(uint32 relay,uint32 epoch,bytes32 packetKey)")
    relay: RelayId
    epoch: Epoch
    packet_key: bytes

    def words(self) -> tuple[bytes, ...]:
        return _uint(self.relay, 32), _uint(self.epoch, 32), _bytes32(self.packet_key)


def account_of(key: bytes) -> Account:
    """Return the account of a private key of 32 bytes. Raises ValueError if it is no key."""
    return Account(secp256k1.base_address(key))


def sign(key: bytes, digest: bytes) -> bytes:
    """Sign 32 bytes with a private key of 32 bytes: 65 bytes r ‖ s ‖ v.

    Raises ValueError if the key is not in [1, n-1] or the digest has another length.
    """
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes((signature[64] + _V_OFFSET,))


def compact(signature: bytes) -> tuple[bytes, bytes]:
    """A signature of `sign` in the form of EIP-2098: r, and s with v - 27 in its first bit; 32 bytes each."""
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - _V_OFFSET) << 255
    return signature[:32], s.to_bytes(32, "big")


def recover(digest: bytes, signature: bytes) -> Account:
    """Return the account that signed `digest` (32 bytes).

    Raises SignatureError for a wrong length, v, a high s, or numbers that nobody can have signed with.
    """
    if len(signature) != SIGNATURE_SIZE:
        raise SignatureError(f"a signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
    recovery = signature[64] - _V_OFFSET
    if recovery not in (0, 1):
        raise SignatureError("v is neither 27 nor 28")
    if int.from_bytes(signature[32:64], "big") > secp256k1.N // 2:
        raise SignatureError("s is in the upper half of the order")
    try:
        point = PublicKey.from_signature_and_message(
            signature[:64] + bytes((recovery,)), digest, hasher=None
        ).format(compressed=False)
    except Exception as error:  # coincurve raises bare Exception
        raise SignatureError(str(error)) from None
    return Account(keccak256(point[1:])[-secp256k1.ADDRESS_SIZE :])


def signed_by(account: bytes, message: Message, domain: Domain, signature: bytes) -> bool:
    """Say whether `signature` is this account's over this message; never raises for what a peer sent."""
    try:
        return recover(message.digest(domain), signature) == account
    except (SignatureError, ValueError):
        return False


def _uint(value: int, bits: int = 256) -> bytes:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} does not fit uint{bits}")
    return value.to_bytes(32, "big")


def _address(account: bytes) -> bytes:
    if len(account) != secp256k1.ADDRESS_SIZE:
        raise ValueError("an address has 20 bytes")
    return account.rjust(32, b"\0")


def _bytes32(value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError("bytes32 has 32 bytes")
    return value
