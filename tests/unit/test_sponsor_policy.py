"""Policies: who counts as one, who is refused, several at once, and what the store learns of them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mixpay.errors import UserError
from mixpay.sponsor import api, policies, policy
from mixpay.sponsor.config import TEMPLATE
from mixpay.sponsor.issuer import Wanted
from mixpay.sponsor.policies.callback import Question
from mixpay.sponsor.policies.invitation import InvitationPolicy, new_code
from mixpay.sponsor.policies.open import OpenPolicy
from mixpay.sponsor.policy import Asked, Identified, Policies, PolicyRefusal, Quotas, counted_identity
from mixpay.types import Epoch
from policy_world import asked, identify, refused


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
    found = [identify(OpenPolicy(), asked(remote=address)) for address in (one, other)]
    assert (found[0] == found[1]) is same


def test_open_failsWithoutAnAddress() -> None:
    assert refused(OpenPolicy(), asked(remote="")) == "identity_refused"


def test_invitation_knowsTheCodesOfItsFile(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.touch(0o600)
    codes.write_text("# for the first ten\nabcdefgh  # alice\n\nijklmnop\n")
    invited = InvitationPolicy(codes, Quotas())
    alice = identify(invited, asked("ABCDEFGH "))
    assert alice == identify(invited, asked("abcdefgh", remote="192.0.2.9"))
    assert alice != identify(invited, asked("ijklmnop"))
    for shown, label in [
        ("", "identity_required"),
        (" \t", "identity_required"),
        ("#", "identity_refused"),
        ("abcdefgi", "identity_refused"),
        ("abcdefgh\x00", "identity_refused"),
        ("one\udcff", "identity_refused"),
        ("\uff41bcdefgh", "identity_refused"),
        ("a" * 4096, "identity_refused"),
    ]:
        assert refused(invited, asked(shown)) == label, shown


def test_invitation_refusesCodesThatOthersCanRead(tmp_path: Path) -> None:
    codes = tmp_path / "codes.txt"
    codes.touch(0o600)
    codes.write_text("abcdefgh\n")
    codes.chmod(0o640)
    with pytest.raises(UserError, match="chmod 600"):
        InvitationPolicy(codes, Quotas())


def test_refusalWithALabelThatThereIsNot_isThePolicysMistake() -> None:
    """Or a plug-in's own word would be a status that nobody has."""
    with pytest.raises(ValueError, match="'no_mood'"):
        PolicyRefusal("no_mood", "not today")


def test_invitation_readsTheFileAgainOnChangeAndSurvivesItsAbsence(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.touch(0o600)
    codes.write_text("one\n")
    invited = InvitationPolicy(codes, Quotas())
    codes.write_text("two\n")
    os.utime(codes, ns=(1, 1))
    assert identify(invited, asked("two"))
    assert refused(invited, asked("one")) == "identity_refused"
    codes.unlink()
    assert identify(invited, asked("two"))


def test_invitation_failsWithoutAFile(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file: make one with `mixpay sponsor invite`"):
        InvitationPolicy(tmp_path / "absent", Quotas())


def test_invitation_failsOnAFileThatIsNotUtf8_andKeepsTheCodesItKnew(tmp_path: Path) -> None:
    codes = tmp_path / "codes"
    codes.touch(0o600)
    codes.write_bytes(b"one\n\xff\n")
    with pytest.raises(UserError, match="not UTF-8"):
        InvitationPolicy(codes, Quotas())
    codes.touch(0o600)
    codes.write_text("one\n")
    invited = InvitationPolicy(codes, Quotas())
    codes.write_bytes(b"two\n\xff\n")
    assert identify(invited, asked("one"))
    assert refused(invited, asked("two")) == "identity_refused"


def test_newCode_isEasyToType() -> None:
    code = new_code(lambda size: bytes(range(size)))
    assert len(code) == 16 and code.isalnum() and code == code.lower()


def test_countedIdentity_differsInEveryScopeAndUnderEverySecret() -> None:
    secret = bytes(32)
    hashes = {
        counted_identity(secret, "p", b"a", 1, 5),
        counted_identity(secret, "p", b"b", 1, 5),
        counted_identity(secret, "p", b"a", 2, 5),
        counted_identity(secret, "p", b"a", 1, 6),
        counted_identity(secret, "q", b"a", 1, 5),
        counted_identity(secret, "pa", b"", 1, 5),
        counted_identity(b"\1" * 32, "p", b"a", 1, 5),
    }
    assert len(hashes) == 7 and {len(h) for h in hashes} == {16}


def test_asked_doesNotShowTheCredential() -> None:
    assert "secret" not in repr(asked("secret"))


# ---------------------------------------------------------------------- several at once


class Slow(OpenPolicy):
    """Never knows."""

    async def identify(self, asked: Asked) -> Identified:
        await asyncio.Event().wait()
        raise AssertionError


def label_of(several: Policies, name: str) -> str:
    with pytest.raises(PolicyRefusal) as caught:
        asyncio.run(several.identify(name, asked()))
    return caught.value.label


def test_policies_areChosenByName() -> None:
    several = Policies([OpenPolicy(Quotas(1, 1), "few"), OpenPolicy(Quotas(9, 9), "many")])
    assert [(offer.name, offer.quotas[0].passes) for offer in several.offers()] == [("few", 1), ("many", 9)]
    assert asyncio.run(several.identify("many", asked())).quotas == Quotas(9, 9)
    assert (label_of(several, ""), label_of(several, "none")) == ("policy_required", "policy_unknown")
    assert asyncio.run(Policies([OpenPolicy()]).identify("", asked())).policy == "open"


def test_policies_failIfTwoHaveOneName() -> None:
    with pytest.raises(UserError, match="the same name"):
        Policies([OpenPolicy(), OpenPolicy()])
    with pytest.raises(UserError, match="no policy"):
        Policies([])


class Careless(OpenPolicy):
    """Answers what came to its mind."""

    found: Any = None

    async def identify(self, asked: Asked) -> Identified:
        return self.found


@pytest.mark.parametrize("found", [None, "alice", Identified("open", "alice", Quotas())])  # type: ignore[arg-type]
async def test_policies_takeNothingElseForAnIdentity(found: Any) -> None:
    """It would come out where others' requests are counted with it, and fail them all."""
    careless = Careless()
    careless.found = found
    with pytest.raises(TypeError, match="the policy open"):
        await Policies([careless]).identify("", asked())


def test_policies_giveUpOnOneThatTakesTooLong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "IDENTIFY_SECONDS", 0.01)
    assert label_of(Policies([Slow()]), "") == "policy_unavailable"


async def test_policies_refuseAsBusyWhatWouldWaitTooLong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "MOST_ASKED", 2)
    several = Policies([Slow(name="slow"), OpenPolicy()])
    waiting = [asyncio.create_task(several.identify("slow", asked())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(PolicyRefusal) as caught:
        await several.identify("slow", asked())
    assert caught.value.label == "busy"
    assert await several.identify("open", asked()), "one that hangs does not stop the others"
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    monkeypatch.setattr(policy, "IDENTIFY_SECONDS", 0.01)
    with pytest.raises(PolicyRefusal) as caught:
        await several.identify("slow", asked())
    assert caught.value.label == "policy_unavailable"


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "policy 1: .*kind"),
        ({"kind": "magic"}, "there is no kind 'magic'; known: .*invitation, open"),
        ({"kind": "open", "codes": "x"}, "codes"),
        ({"kind": "open", "entry_passes": 0}, "entry_passes"),
        ({"kind": "open", "name": "x" * 65}, "name"),
        ({"kind": "invitation", "codes": 5}, "codes"),
    ],
)
def test_settings_sayWhatIsWrong(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        policies.read_settings([table])


def test_settings_nameAPolicyByItsKind() -> None:
    (read,) = policies.read_settings([{"kind": "open", "entry_passes": 9}])
    assert (read.name, read.quotas) == ("open", Quotas(9, 4))


PLUGIN = """
import msgspec
from mixpay.sponsor.policies.open import OpenPolicy
class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    colour: str
def make(name, quotas, settings, around):
    return OpenPolicy(quotas, f"{name}-{settings.colour}")
"""


def test_anotherPackagesKind_isFoundByItsEntryPoint(tmp_path: Path) -> None:
    (tmp_path / "membership.py").write_text(PLUGIN)
    info = tmp_path / "membership-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: membership\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mixpay.policies]\nmembership = membership\nbroken = nowhere\n")
    program = """
from mixpay.sponsor.policies import make_policies, read_settings
made = make_policies(read_settings([{"kind": "membership", "colour": "red"}]), None)
print([offer.name for offer in made.offers()])
try:
    read_settings([{"kind": "broken"}])
except Exception as error:
    print(error)
"""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "['membership-red']"
    assert "the kind 'broken' cannot be loaded" in done.stdout


def test_theTemplate_explainsAPolicyOfEachKind_withItsDefaults(tmp_path: Path) -> None:
    commented = re.findall(r"(?m)^# \[\[policy\]\]\n(?:# \w+ = .*\n)+", TEMPLATE)
    tables = msgspec.toml.decode("".join(re.sub(r"(?m)^# ", "", text) for text in commented))["policy"]
    assert {table["kind"] for table in tables} == set(policies.KINDS) - {"open"}
    for table, read in zip(tables, policies.read_settings(tables), strict=True):
        assert set(table) == {"kind", *read.own.__struct_fields__}, "every setting is there"
        required = {name: table[name] for name in ("domain", "url") if name in table}
        plain = policies.read_settings([{"kind": table["kind"], **required}])[0].own
        derived = {"uri": ""} if table["kind"] == "wallet" else {}
        assert msgspec.structs.replace(read.own, **derived) == plain, "and is the default"


def test_whatARequestShows_isNotInItsText() -> None:
    """Neither what is shown nor who it is gets into a log by accident."""
    request = api.SignRequest(1, 7, bytes(256), "open", "opensesame")
    wanted = Wanted(request, Identified("open", b"alice", Quotas()), Epoch(7))
    question = Question("opensesame", 1, "0x", 1, 1, 7, 0)
    for shown in (request, wanted, question, asked("opensesame", remote="192.0.2.1")):
        assert not any(word in repr(shown) for word in ("opensesame", "alice", "192.0.2.1"))
