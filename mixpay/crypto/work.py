"""Proof of work: a number for which Argon2id over a seed is small (RFC 9106; one pass over 1 MiB, one lane).

    work(number) = Argon2id(password = seed 32 ‖ number u64, salt = "mixpay-work-v1" ‖ 0 0;
                            t = 1, m = 1 MiB, p = 1; 32 bytes)

It proves the difficulty d if it is below 2^256 / d, which takes d attempts on average. An attempt takes about
half a millisecond of a core and 1 MiB, so hardware made for hashing gains little; a check is one attempt. The
same memory by scrypt (N = 1024, r = 8) takes six times as long to check.
"""

from __future__ import annotations

from collections.abc import Callable

from nacl.pwhash import argon2id

_SALT = b"mixpay-work-v1\0\0"
_MEMORY = 1 << 20
_NUMBERS = 1 << 64


def attempt(seed: bytes, number: int) -> int:
    """The work of a number below 2^64, as a number below 2^256."""
    password = seed + number.to_bytes(8, "big")
    return int.from_bytes(argon2id.kdf(32, password, _SALT, opslimit=1, memlimit=_MEMORY), "big")


def proves(seed: bytes, number: int, difficulty: int) -> bool:
    """Whether a number below 2^64 proves this difficulty (at least 1)."""
    return attempt(seed, number) * difficulty < 1 << 256


def search(seed: bytes, difficulty: int, first: int, go_on: Callable[[int], bool]) -> int | None:
    """A number that proves the difficulty, looked for from `first` on.

    `go_on` is asked before every attempt with the number of those made; None if it ends the search.
    """
    made = 0
    while go_on(made):
        number = (first + made) % _NUMBERS
        if proves(seed, number, difficulty):
            return number
        made += 1
    return None
