"""The process that signs: what it signs, that it may die, and that it never outlives its issuer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from mixpay.crypto.blind_rsa import SecretKey, SigningFault, blind_sign
from mixpay.sponsor import signer as module
from mixpay.sponsor.rules import IssuerError
from mixpay.sponsor.signer import Signer


@cache
def key(_: int = 0) -> SecretKey:
    return SecretKey.generate()


def messages(number: int) -> list[bytes]:
    return [bytes(1) + os.urandom(255) for _ in range(number)]


@pytest.fixture
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


def signed(signer: Signer, key: SecretKey, blinded: list[bytes]) -> list[bytes | SigningFault]:
    return list(chain.from_iterable(signer.sign(key, blinded)))


def expected(key: SecretKey, blinded: list[bytes]) -> list[bytes]:
    return [blind_sign(key, message, os.urandom) for message in blinded]


def pid(signer: Signer) -> int:
    assert signer._process is not None
    return signer._process.pid


def is_there(process: int) -> bool:
    """A process that nobody has waited for yet is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_signatures_areThoseOfTheKey_inOrder(signer: Signer) -> None:
    for number in (1, 4, 9):
        for which in (key(0), key(1)):
            asked = messages(number)
            assert signed(signer, which, asked) == expected(which, asked)
    first = pid(signer)
    assert signed(signer, key(), []) == [] and pid(signer) == first


def test_signatures_comeAsTheyAreMade(signer: Signer) -> None:
    parts = signer.sign(key(), messages(9))
    assert [len(part) for part in parts] == [4, 4, 1]


def test_aWrongResult_isNotReleased_andHarmsNoOther(signer: Signer) -> None:
    good = key()
    # No prime, so its powers are no roots; of large primes, so that a blinding factor has its inverse.
    broken = SecretKey(good.p, (2**521 - 1) * (2**127 - 1) ** 3 * (2**61 - 1) ** 2)
    (wrong,) = signed(signer, broken, messages(1))
    assert isinstance(wrong, SigningFault)
    first, asked = pid(signer), messages(2)
    assert signed(signer, good, asked) == expected(good, asked)
    assert pid(signer) == first


def test_aProcessThatDied_isReplaced_andNothingIsLostOrSwapped(signer: Signer) -> None:
    asked = messages(24)
    parts = signer.sign(key(), asked)
    found = next(parts)
    first = pid(signer)
    os.kill(first, signal.SIGKILL)
    found += chain.from_iterable(parts)
    assert found == expected(key(), asked)
    assert pid(signer) != first and not is_there(first)
    os.kill(pid(signer), signal.SIGKILL)  # and while it has nothing to do
    assert signed(signer, key(), asked[:1]) == expected(key(), asked[:1])


def test_aProcessThatCannotLive_isSaid_andTriedAgainNextTime(
    signer: Signer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for program in ("/bin/false", "/there/is/none"):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", program)
            with pytest.raises(IssuerError, match="try again") as caught:
                signed(signer, key(), messages(3))
            assert caught.value.label == "busy"
    assert caplog.messages == ["the process that signs has died, with 3 signatures to go"] * 4
    asked = messages(3)
    assert signed(signer, key(), asked) == expected(key(), asked)


def test_whatItsIssuersTerminalOrServiceManagerSendsToAll_doesNotEndIt(signer: Signer) -> None:
    signed(signer, key(), messages(1))
    first = pid(signer)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(first, number)
        signed(signer, key(), messages(1))
    assert pid(signer) == first


def test_close_endsIt(signer: Signer) -> None:
    signed(signer, key(), messages(1))
    first = pid(signer)
    signer.close()
    assert not is_there(first)
    signer.close()


def test_anIssuerThatIsKilled_leavesNoneBehind() -> None:
    program = """
import time
from mixpay.crypto.blind_rsa import SecretKey
from mixpay.sponsor.signer import Signer

signer = Signer()
list(signer.sign(SecretKey.generate(), [bytes(256)]))
print(signer._process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as issuer:
        assert issuer.stdout is not None
        left = int(issuer.stdout.readline())
        assert is_there(left)
        issuer.kill()
        wait_until(lambda: not is_there(left))


def test_nothingOfAKey_isShown(signer: Signer) -> None:
    signed(signer, key(), messages(1))
    seen = b"".join(Path(f"/proc/{pid(signer)}/{name}").read_bytes() for name in ("cmdline", "environ"))
    order = module._Order(b"secret p", b"secret q", 3, [b"blinded"])
    for shown in (seen.decode(errors="replace"), repr(order), repr(vars(signer))):
        for prime in (key().p, key().q):
            assert str(prime)[:20] not in shown and f"{prime:x}"[:20] not in shown
    assert "secret" not in repr(order)
