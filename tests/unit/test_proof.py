import hashlib
import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay import proof
from mixpay.crypto import secp256k1
from mixpay.crypto.secp256k1 import N
from tickets import long_form

scalars = st.integers(1, N - 1).map(lambda value: value.to_bytes(32, "big"))


def scalar(value: int) -> bytes:
    return (value % N).to_bytes(32, "big")


def seeded(seed: bytes = b"") -> Callable[[int], bytes]:
    count = itertools.count()
    return lambda size: hashlib.shake_256(seed + next(count).to_bytes(8, "big")).digest(size)


def negative(point: bytes) -> bytes:
    return bytes([point[0] ^ 1]) + point[1:]


def good_pairs(count: int, seed: bytes = b"pairs") -> list[tuple[bytes, bytes]]:
    random = seeded(seed)
    acks = [secp256k1.scalar_from(random(48)) for _ in range(count)]
    return [(ack, secp256k1.base_mult(ack)) for ack in acks]


OWN, ACK, NEXT_ACK = (secp256k1.scalar_from(bytes([n]) * 48) for n in (1, 2, 3))
HINT, NEXT_HINT = secp256k1.base_mult(ACK), secp256k1.base_mult(NEXT_ACK)
LOCK, LAST_LOCK = proof.lock_of(OWN, NEXT_HINT), proof.lock_of(OWN, None)


# --- locks and responses ----------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(scalars, scalars)
def test_the_response_opens_the_lock_and_nothing_else_does(own: bytes, next_ack: bytes) -> None:
    lock = proof.lock_of(own, secp256k1.base_mult(next_ack))
    answer = proof.response(own, next_ack)
    assert proof.opens(answer, lock)
    assert lock == secp256k1.base_address(answer)
    for other in (own, next_ack, scalar(int.from_bytes(answer, "big") + 1)):
        assert not proof.opens(other, lock)


@settings(max_examples=20, deadline=None)
@given(scalars)
def test_the_last_lock_opens_by_own_alone(own: bytes) -> None:
    lock = proof.lock_of(own, None)
    assert proof.response(own, None) == own
    assert proof.opens(own, lock)


def test_opens_is_false_for_anything_malformed() -> None:
    answer = proof.response(OWN, NEXT_ACK)
    more = (int.from_bytes(answer, "big") + N) % 2**256
    for bad in (
        b"",
        answer[:-1],
        answer + b"\x00",
        bytes(32),
        scalar(0),
        N.to_bytes(32, "big"),
        b"\xff" * 32,
    ):
        assert not proof.opens(bad, LOCK)
    assert not proof.opens(more.to_bytes(32, "big"), LOCK)
    for lock in (b"", LOCK[:-1], bytes(20), secp256k1.base_mult(answer)):
        assert not proof.opens(answer, lock)


def test_a_lock_that_no_response_opens_is_refused() -> None:
    against_own = negative(secp256k1.base_mult(OWN))
    with pytest.raises(ValueError, match="no response"):
        proof.lock_of(OWN, against_own)


# --- the payee's check ------------------------------------------------------------------------------------


def test_check_lock_accepts_the_right_one_and_returns_the_long_hint() -> None:
    assert proof.check_lock(OWN, LOCK, NEXT_HINT) == long_form(NEXT_HINT)
    assert proof.check_lock(OWN, LOCK, long_form(NEXT_HINT)) == long_form(NEXT_HINT)
    assert proof.check_lock(OWN, LAST_LOCK, None) == b""


@pytest.mark.parametrize(
    ("lock", "next_hint"),
    [
        (LAST_LOCK, NEXT_HINT),
        (LOCK, None),
        (LOCK, HINT),
        (bytes(20), NEXT_HINT),
        (LOCK[:-1], NEXT_HINT),
        (LOCK, negative(NEXT_HINT)),
        (LOCK, bytes(33)),
        (LOCK, NEXT_HINT[:-1]),
        (LOCK, b"\x02" + scalar(5)),
        (LOCK, negative(secp256k1.base_mult(OWN))),
        (proof.lock_of(ACK, NEXT_HINT), NEXT_HINT),
    ],
)
def test_a_wrong_lock_is_refused(lock: bytes, next_hint: bytes | None) -> None:
    with pytest.raises(proof.ProofError) as caught:
        proof.check_lock(OWN, lock, next_hint)
    assert caught.value.reason == "wrong_lock"


@pytest.mark.parametrize("hint", [NEXT_HINT, negative(HINT), bytes(33), b"", HINT[:-1], b"\x04" + HINT[1:]])
def test_a_wrong_hint_is_found(hint: bytes) -> None:
    assert proof.bad_acks([(ACK, hint)], seeded()) == [0]
    assert proof.bad_acks([(ACK, HINT), (ACK, hint), (ACK, long_form(HINT))], seeded()) == [1]


# --- the payer's check ------------------------------------------------------------------------------------

SIZES = [0, 1, 7, 8, 9, 64]


@pytest.mark.parametrize("size", SIZES)
def test_good_acks_pass_in_both_forms(size: int) -> None:
    pairs = good_pairs(size)
    assert proof.bad_acks(pairs, seeded()) == []
    assert proof.bad_acks([(ack, long_form(hint)) for ack, hint in pairs], seeded()) == []


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SIZES[1:]), st.data())
def test_exactly_the_bad_acks_are_found(size: int, data: st.DataObject) -> None:
    bad = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    pairs = good_pairs(size)
    for index in bad:
        ack, hint = pairs[index]
        pairs[index] = data.draw(
            st.sampled_from(
                [
                    (scalar(int.from_bytes(ack, "big") + 1), hint),
                    (ack, negative(hint)),
                    (ack, bytes(33)),
                    (ack, hint[:-1]),
                    (bytes(32), hint),
                    (b"", hint),
                    (N.to_bytes(32, "big"), hint),
                    (b"\x00" + ack, hint),
                ]
            )
        )
    assert proof.bad_acks(pairs, seeded(b"%d" % size)) == bad


def test_errors_that_cancel_out_are_found() -> None:
    pairs = good_pairs(64)
    (first, hint), (second, other) = pairs[10], pairs[20]
    pairs[10], pairs[20] = (second, hint), (first, other)
    assert proof.bad_acks(pairs, seeded()) == [10, 20]

    more, less = scalar(int.from_bytes(first, "big") + 5), scalar(int.from_bytes(second, "big") - 5)
    pairs[10], pairs[20] = (more, hint), (less, other)
    assert proof.bad_acks(pairs, seeded()) == [10, 20]


def test_one_bad_ack_hides_only_from_a_weight_of_zero() -> None:
    pairs = good_pairs(64)
    pairs[5] = (pairs[6][0], pairs[5][1])
    for bit in range(proof.ROUNDS):
        # all weights zero but for one bit of the bad one's: the least that a draw can hold against it
        noise = iter(
            [bytes(5) + bytes([1 << bit % 8 if bit // 8 == byte else 0]) + bytes(58) for byte in range(3)]
        )
        assert proof.bad_acks(pairs, lambda size, noise=noise: next(noise)) == [5]  # type: ignore[misc]


def all_ones(size: int) -> bytes:
    return b"\xff" * size


def test_sums_at_infinity_are_handled() -> None:
    half = good_pairs(4)
    mirrored = [(scalar(-int.from_bytes(ack, "big")), negative(hint)) for ack, hint in half]
    assert proof.bad_acks([*half, *mirrored], all_ones) == []  # points and scalars cancel out: all good
    hints_cancel = [*half, *((ack, hint) for (ack, _), (_, hint) in zip(half, mirrored, strict=True))]
    assert proof.bad_acks(hints_cancel, all_ones) == [4, 5, 6, 7]
    scalars_cancel = [*half, *((ack, hint) for (_, hint), (ack, _) in zip(half, mirrored, strict=True))]
    assert proof.bad_acks(scalars_cancel, all_ones) == [4, 5, 6, 7]


def test_repeated_pairs_are_no_trouble() -> None:
    pair = good_pairs(1)[0]
    assert proof.bad_acks([pair] * 16, seeded()) == []
    assert proof.bad_acks([pair] * 16, all_ones) == []


def test_random_is_asked_for_three_bytes_an_ack() -> None:
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return b"\xa5" * size

    proof.bad_acks(good_pairs(16), random)
    assert sum(asked) == 48
