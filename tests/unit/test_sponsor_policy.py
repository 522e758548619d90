"""Policies: who counts as one, who is refused, and what the store learns of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mixpay.errors import UserError
from mixpay.sponsor.policy import (
    Evidence,
    InvitationPolicy,
    OpenPolicy,
    PolicyRefusal,
    Quotas,
    counted_identity,
    new_code,
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_open_countsAddressesAndIpv6Sites(one: str, other: str, same: bool) -> None:
    policy = OpenPolicy()
    assert (policy.identify(Evidence(one)) == policy.identify(Evidence(other))) is same


def test_open_failsWithoutAnAddress() -> None:
    with pytest.raises(PolicyRefusal) as caught:
        OpenPolicy().identify(Evidence(""))
    assert caught.value.label == "identity_refused"


def test_invitation_knowsTheCodesOfItsFile(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.write_text("# for the first ten\nabcdefgh  # alice\n\nijklmnop\n")
    policy = InvitationPolicy(codes, Quotas())
    alice = policy.identify(Evidence("", "ABCDEFGH "))
    assert alice == policy.identify(Evidence("192.0.2.1", "abcdefgh"))
    assert alice != policy.identify(Evidence("", "ijklmnop"))
    for bearer, label in [(None, "identity_required"), ("", "identity_required"), ("#", "identity_refused")]:
        with pytest.raises(PolicyRefusal) as caught:
            policy.identify(Evidence("", bearer))
        assert caught.value.label == label


def test_invitation_readsTheFileAgainOnChangeAndSurvivesItsAbsence(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.write_text("one\n")
    policy = InvitationPolicy(codes, Quotas())
    codes.write_text("two\n")
    os.utime(codes, ns=(1, 1))
    assert policy.identify(Evidence("", "two"))
    with pytest.raises(PolicyRefusal):
        policy.identify(Evidence("", "one"))
    codes.unlink()
    assert policy.identify(Evidence("", "two"))


def test_invitation_failsWithoutAFile(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the invitation codes"):
        InvitationPolicy(tmp_path / "absent", Quotas())


def test_invitation_refusesACodeThatIsNotUtf8(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.write_text("one\n")
    policy = InvitationPolicy(codes, Quotas())
    bearer = b"one\xff".decode("utf-8", "surrogateescape")  # as the HTTP library hands it on
    with pytest.raises(PolicyRefusal) as caught:
        policy.identify(Evidence("", bearer))
    assert caught.value.label == "identity_refused"


def test_invitation_failsOnAFileThatIsNotUtf8_andKeepsTheCodesItKnew(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.write_bytes(b"one\n\xff\n")
    with pytest.raises(UserError, match="not UTF-8"):
        InvitationPolicy(codes, Quotas())
    codes.write_text("one\n")
    policy = InvitationPolicy(codes, Quotas())
    codes.write_bytes(b"two\n\xff\n")
    assert policy.identify(Evidence("", "one"))
    with pytest.raises(PolicyRefusal):
        policy.identify(Evidence("", "two"))


def test_newCode_isEasyToType() -> None:
    code = new_code(lambda size: bytes(range(size)))
    assert len(code) == 16 and code.isalnum() and code == code.lower()


def test_countedIdentity_differsInEveryScopeAndUnderEverySecret() -> None:
    secret = bytes(32)
    hashes = {
        counted_identity(secret, b"a", 1, 5),
        counted_identity(secret, b"b", 1, 5),
        counted_identity(secret, b"a", 2, 5),
        counted_identity(secret, b"a", 1, 6),
        counted_identity(b"\1" * 32, b"a", 1, 5),
    }
    assert len(hashes) == 5 and {len(h) for h in hashes} == {16}


def test_evidence_doesNotShowTheCode() -> None:
    assert "secret" not in repr(Evidence("192.0.2.1", "secret"))
