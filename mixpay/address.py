"""Where a person receives messages: a relay, a mailbox on it, and the key that messages are sealed to.

Relays are numbered by a registry, and a network has another one after an upgrade. So an address names the
registry too, by a mark, and is never taken for one of another network or of another release.

The printed form is one word to copy and paste: ``mix1`` followed by 90 characters of data and a checksum of
six, 100 characters in all. Alphabet and checksum are those of BIP-350 (bech32m). An address is longer than
the 90 characters up to which that checksum promises to find any four errors; up to 1,023 it still finds any
three (BIP-173, "Checksum design"), so a mistyped character or two, or two swapped ones, never reach the
network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mixpay.crypto.hashing import keccak256
from mixpay.errors import UserError
from mixpay.types import Account, RelayId

MARK_BYTES = 4
MAILBOX_ID_BYTES = 16
IDENTITY_BYTES = 32
ADDRESS_BYTES = MARK_BYTES + 4 + MAILBOX_ID_BYTES + IDENTITY_BYTES

PREFIX = "mix"
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHECKSUM_CHARACTERS = 6
_DATA_CHARACTERS = (ADDRESS_BYTES * 8 + 4) // 5
TEXT_CHARACTERS = len(PREFIX) + 1 + _DATA_CHARACTERS + _CHECKSUM_CHARACTERS

_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3


class UnusableAddress(UserError):
    """An address that nothing can be sent to; the text says why. It says nothing of other addresses."""


def mark_of(chain_id: int, registry: Account) -> bytes:
    """The mark of a registry on its chain, 4 bytes."""
    return keccak256(chain_id.to_bytes(8, "big") + registry)[:MARK_BYTES]


@dataclass(frozen=True, slots=True)
class Address:
    """One place of receipt. `mark` names the registry that numbers the relay (`mark_of`), 4 bytes;
    `mailbox_id` is 16 bytes, `identity` an X25519 public key of 32 bytes.

    Raises ValueError for a field of another width.
    """

    mark: bytes
    relay: RelayId
    mailbox_id: bytes
    identity: bytes

    def __post_init__(self) -> None:
        if not 0 < self.relay < 1 << 32:
            raise ValueError("relay ids count up from 1 and fit into 32 bits")
        if len(self.mark) != MARK_BYTES:
            raise ValueError(f"the mark of a registry has {MARK_BYTES} bytes")
        if len(self.mailbox_id) != MAILBOX_ID_BYTES or len(self.identity) != IDENTITY_BYTES:
            raise ValueError("an address has a mailbox id of 16 bytes and an identity key of 32")

    def to_bytes(self) -> bytes:
        """mark 4 ‖ relay u32 ‖ mailbox id 16 ‖ identity 32."""
        return self.mark + self.relay.to_bytes(4, "big") + self.mailbox_id + self.identity

    @classmethod
    def from_bytes(cls, data: bytes) -> Address:
        """The inverse of `to_bytes`. Raises ValueError for anything but 56 bytes with a relay id above 0."""
        if len(data) != ADDRESS_BYTES:
            raise ValueError(f"an address has {ADDRESS_BYTES} bytes, not {len(data)}")
        mark, relay, rest = data[:MARK_BYTES], data[MARK_BYTES : MARK_BYTES + 4], data[MARK_BYTES + 4 :]
        number = RelayId(int.from_bytes(relay, "big"))
        return cls(mark, number, rest[:MAILBOX_ID_BYTES], rest[MAILBOX_ID_BYTES:])

    def __str__(self) -> str:
        symbols = _to_symbols(self.to_bytes())
        text = "".join(_ALPHABET[s] for s in symbols + checksum(PREFIX, symbols))
        return f"{PREFIX}1{text}"


def parse(text: str) -> Address:
    """Read a printed address; upper case (as in a QR code) and surrounding white space are accepted.

    Raises UserError that says what is wrong: the beginning, the length, a character, or the checksum.
    """
    word = text.strip()
    if not word.isascii():  # the small form of some foreign letters is one of ours
        raise UserError("this is not an address: it holds characters that do not occur in addresses")
    if word != word.lower() and word != word.upper():
        raise UserError("this is not an address: it mixes capital and small letters; copy it again")
    word = word.lower()
    if not word.startswith(PREFIX + "1"):
        raise UserError(f"this is not an address: an address begins with {PREFIX}1")
    if len(word) != TEXT_CHARACTERS:
        fault = "a part is missing" if len(word) < TEXT_CHARACTERS else "something was added"
        raise UserError(f"the address has {len(word)} characters instead of {TEXT_CHARACTERS}: {fault}")
    symbols = _symbols_of(word)
    body = symbols[:-_CHECKSUM_CHARACTERS]
    if checksum(PREFIX, body) != symbols[-_CHECKSUM_CHARACTERS:]:
        raise UserError("the address has a wrong checksum: at least one character is mistyped; copy it again")
    try:
        return Address.from_bytes(_to_bytes(body))
    except ValueError as error:
        raise UserError(f"the address is spelt correctly but means nothing: {error}") from None


def checksum(prefix: str, symbols: list[int]) -> list[int]:
    """The six checksum symbols (0..31) of BIP-350 for data symbols under a prefix."""
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    remainder = _polymod([*expanded, *symbols, *([0] * _CHECKSUM_CHARACTERS)]) ^ _BECH32M
    return [remainder >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_CHARACTERS)]


def _polymod(symbols: Iterable[int]) -> int:
    remainder = 1
    for symbol in symbols:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                remainder ^= generator
    return remainder


def _symbols_of(word: str) -> list[int]:
    symbols = []
    start = len(PREFIX) + 1
    for number, character in enumerate(word[start:], start + 1):
        if character not in _ALPHABET:
            raise UserError(f"character {number} of the address, {character!r}, does not occur in addresses")
        symbols.append(_ALPHABET.index(character))
    return symbols


def _to_symbols(data: bytes) -> list[int]:
    padded = int.from_bytes(data, "big") << _padding(len(data))
    count = (len(data) * 8 + 4) // 5
    return [padded >> 5 * (count - 1 - i) & 31 for i in range(count)]


def _to_bytes(symbols: list[int]) -> bytes:
    number = 0
    for symbol in symbols:
        number = number << 5 | symbol
    size = len(symbols) * 5 // 8
    if number & (1 << _padding(size)) - 1:
        raise ValueError("its last bits are not zero")
    return (number >> _padding(size)).to_bytes(size, "big")


def _padding(size: int) -> int:
    return -size * 8 % 5
