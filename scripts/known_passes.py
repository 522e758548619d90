"""Writes tests/forge/KnownPasses.sol: a blind-signing key, and passes that the library made with it.

    python scripts/known_passes.py            write it
    python scripts/known_passes.py --check    write nothing; exit 1 if it differs

The contract tests verify these passes: so wallet, issuer and contract agree. The key follows from a constant,
everything else from the key: the output is the same in every run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random

import gmpy2

from mixpay.crypto import blind_rsa
from mixpay.crypto.blind_rsa import PASS_SUITE, SecretKey
from mixpay.passes import KIND_ENTRY, PassRequest, PassSpender, Redemption, Scope, drawn_position

TARGET = Path(__file__).resolve().parent.parent / "tests" / "forge" / "KnownPasses.sol"
SCOPE = Scope(31_337, bytes(range(20)), 7, KIND_ENTRY, 11)
BEACON = bytes(range(32))
COUNT = 1_000
TICKS = (1, 256, 257, 9_999, 16_384)

_HEAD = """\
// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @dev Made by scripts/known_passes.py with the code of wallets and issuers. The key is for tests only.
library KnownPasses {
    struct Known {
        bytes32 digest;
        bytes32[8] signature;
        uint256 position;
        bytes32 anchor;
        uint16 tick;
        bytes32 link;
        bytes32[6] siblings;
    }

"""


def make_key() -> SecretKey:
    """RSA-2048, the same in every run."""
    numbers = Random(2048)  # noqa: S311 - a key for tests
    p, q = (int(gmpy2.next_prime(numbers.getrandbits(1022) | 3 << 1022)) for _ in range(2))
    return SecretKey(p, q)


def redeemed(key: SecretKey, tick: int) -> Redemption:
    """A pass, issued blindly and spent up to a tick."""
    dice = Random(tick).randbytes  # noqa: S311 - as above
    request = PassRequest.new(SCOPE, key.public, dice)
    owned = request.finish(blind_rsa.blind_sign(key, request.blinded, dice))
    spender = PassSpender(owned, tick - 1)
    spender.reserve(1)
    return owned.shown().redemption(spender.next_tick())


def with_leading_zero(key: SecretKey) -> tuple[bytes, bytes]:
    """Digest and signature of the first anchor whose signature begins with a zero byte."""
    dice = Random(0).randbytes  # noqa: S311 - as above
    while True:
        message = SCOPE.message(anchor := dice(32))
        blinded = blind_rsa.blind(PASS_SUITE, key.public, message, dice)
        signed = blind_rsa.blind_sign(key, blinded.message, dice)
        signature = blind_rsa.finalize(PASS_SUITE, key.public, message, signed, blinded.inverse)
        if signature[0] == 0:
            return SCOPE.digest(anchor), signature


def render() -> str:
    """The file's text."""
    key = make_key()
    exponent = int(gmpy2.invert(key.e, gmpy2.lcm(key.p - 1, key.q - 1)))
    text = _HEAD
    text += f"    uint256 internal constant COUNT = {len(TICKS)};\n"
    text += f"    bytes32 internal constant BEACON = 0x{BEACON.hex()};\n"
    text += f"    uint32 internal constant POSITIONS = {COUNT};\n\n"
    text += _words("modulus", key.public.to_bytes())
    text += _words("exponent", exponent.to_bytes(256, "big"))
    text += "    /// @dev A signature whose first byte is zero.\n"
    text += "    function withLeadingZero() internal pure returns (Known memory k) {\n"
    digest, signature = with_leading_zero(key)
    text += f"        k.digest = 0x{digest.hex()};\n" + _assigned("k.signature", signature) + "    }\n\n"
    text += "    function get(uint256 i) internal pure returns (Known memory k) {\n"
    for number, tick in enumerate(TICKS):
        text += f"        if (i == {number}) {{\n" + _known(redeemed(key, tick)) + "        }\n"
    return text + "    }\n}\n"


def _known(r: Redemption) -> str:
    lines = [
        f"k.digest = 0x{SCOPE.digest(r.anchor).hex()};",
        f"k.position = {drawn_position(r.signature, BEACON, COUNT)};",
        f"k.anchor = 0x{r.anchor.hex()};",
        f"k.tick = {r.tick.number};",
        f"k.link = 0x{r.tick.link.hex()};",
    ]
    text = "".join(f"            {line}\n" for line in lines)
    return text + _assigned("k.signature", r.signature, 12) + _assigned("k.siblings", b"".join(r.proof), 12)


def _words(name: str, data: bytes) -> str:
    body = _assigned("words", data)
    return f"    function {name}() internal pure returns (bytes32[8] memory words) {{\n{body}    }}\n\n"


def _assigned(name: str, data: bytes, indent: int = 8) -> str:
    words = [data[at : at + 32].hex() for at in range(0, len(data), 32)]
    return "".join(f"{' ' * indent}{name}[{i}] = 0x{word};\n" for i, word in enumerate(words))


def main() -> int:
    """Exit status: 0 written or equal, 1 different."""
    parser = argparse.ArgumentParser(description="write the known passes of the contract tests")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 on a difference")
    text = render()
    if not parser.parse_args().check:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        print(f"{TARGET.name} is not what mixpay makes: run scripts/known_passes.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
