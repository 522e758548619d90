"""The process that signs: an issuer's powers are computed beside it, and neither waits for the other.

    python -P -m mixpay.sponsor.signer

Orders come on standard input, each a key and the blinded messages to sign with it; their signatures go to
standard output, in the same order, some at a time. A frame is its length (4 bytes, big-endian) and its
MessagePack. Nothing of a key is in the process's arguments or environment, and it keeps none between two
orders: a key that the issuer has deleted is gone. It ends with its input, that is, with its issuer, however
that ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import IO

import msgspec

from mixpay.crypto.blind_rsa import SecretKey, SigningFault, blind_sign
from mixpay.sponsor.rules import IssuerError

_log = logging.getLogger(__name__)

_LENGTH = 4
_TOGETHER = 4
"""Signatures of a frame, for waking the issuer costs as well."""


class _Order(msgspec.Struct, array_like=True, frozen=True):
    """Sign these with the key of two primes (big-endian) and a public exponent."""

    p: bytes
    q: bytes
    e: int
    blinded: list[bytes]

    def __repr__(self) -> str:
        """Without the key."""
        return f"_Order({len(self.blinded)} messages)"


_write_order = msgspec.msgpack.Encoder().encode
_read_order = msgspec.msgpack.Decoder(_Order).decode
_read_signatures = msgspec.msgpack.Decoder(list[bytes]).decode
"""An empty one stands for a signature that came out wrong and is not released."""


class Signer:
    """Has the process, from the first signature to `close`. For one thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def sign(self, key: SecretKey, blinded: Sequence[bytes]) -> Iterator[list[bytes | SigningFault]]:
        """Yield the blind signatures of elements of the key, in their order, some at a time.

        A process that has died is replaced once: what is signed twice is signed once. Raises IssuerError
        `busy` if that one dies too; what was not yielded may be asked for again.
        """
        done = 0
        for may_die in (True, False):
            try:
                for part in self._parts(key, blinded[done:]):
                    done += len(part)
                    yield [signature or _fault() for signature in part]
                return
            except (OSError, EOFError):
                self.close()
                _log.warning("the process that signs has died, with %d signatures to go", len(blinded) - done)
                if not may_die:
                    raise IssuerError("busy", "the issuer cannot sign; try again in a moment") from None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(BrokenPipeError), process:  # it may have died and left an order unread
                pass

    def _parts(self, key: SecretKey, blinded: Sequence[bytes]) -> Iterator[list[bytes]]:
        """Raises OSError, EOFError if the process dies."""
        orders, answers = self._pipes()
        p, q = (prime.to_bytes(key.public.size, "big") for prime in (key.p, key.q))
        _write(orders, _write_order(_Order(p, q, key.e, list(blinded))))
        left = len(blinded)
        while left:
            part = _read_signatures(_read(answers))
            left -= len(part)
            yield part

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """To the process and from it, which is started if there is none."""
        if self._process is None:
            command = [sys.executable, "-P", "-m", __name__]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        orders, answers = self._process.stdin, self._process.stdout
        if orders is None or answers is None:
            raise EOFError
        return orders, answers


def _fault() -> SigningFault:
    return SigningFault("a blind signature came out wrong and was not released")


def _write(stream: IO[bytes], frame: bytes) -> None:
    stream.write(len(frame).to_bytes(_LENGTH, "big") + frame)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes:
    """The next frame. Raises EOFError if there is none, or only the beginning of one."""
    length = stream.read(_LENGTH)
    frame = stream.read(int.from_bytes(length, "big"))
    if len(length) < _LENGTH or len(frame) < int.from_bytes(length, "big"):
        raise EOFError
    return frame


def _signed(key: SecretKey, blinded: bytes) -> bytes:
    try:
        return blind_sign(key, blinded, os.urandom)
    except SigningFault:
        return b""


def _carry_out(order: _Order) -> None:
    key = SecretKey(int.from_bytes(order.p, "big"), int.from_bytes(order.q, "big"), order.e)
    for first in range(0, len(order.blinded), _TOGETHER):
        part = [_signed(key, blinded) for blinded in order.blinded[first : first + _TOGETHER]]
        _write(sys.stdout.buffer, msgspec.msgpack.encode(part))


def main() -> None:
    """Carry out orders until there are no more."""
    # These come to all processes of a terminal or a service, and the issuer finishes what it has begun.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            _carry_out(_read_order(_read(sys.stdin.buffer)))


if __name__ == "__main__":
    main()
