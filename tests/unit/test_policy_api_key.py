"""Policy `api-key`: which keys are known, what a credential must look like, who is one user."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixpay.errors import UserError
from mixpay.sponsor.policies.api_key import ApiKeyPolicy, new_key
from mixpay.sponsor.policy import Quotas
from policy_world import SCOPE, asked, identify, refused

ONE, LINE = new_key("shop", lambda size: b"\1" * size)
OTHER, OTHER_LINE = new_key("game", lambda size: b"\2" * size)


def policy_of(folder: Path, *lines: str, of_a_key: Quotas = Quotas(0, 0)) -> ApiKeyPolicy:  # noqa: B008
    path = folder / "keys"
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(0o600)
    return ApiKeyPolicy(path, Quotas(3, 1), of_a_key)


def shown(key: str, user: object = "7") -> str:
    return json.dumps({"key": key, "user": user})


def test_aUser_isOneOfItsDapp(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, "# ours", LINE, OTHER_LINE)
    one = identify(policy, asked(shown(ONE)))
    assert one == identify(policy, asked(shown(ONE), remote="192.0.2.77", blinded=b"\7" * 256))
    assert (one.quotas, one.shares) == (Quotas(3, 1), ())
    others = {identify(policy, asked(shown(*who))).identity for who in ((ONE, "8"), (OTHER, "7"), (ONE, "é"))}
    assert len(others | {one.identity}) == 4


def test_twoKeysOfOneName_areOneDapps(tmp_path: Path) -> None:
    second, line = new_key("shop", lambda size: b"\3" * size)
    policy = policy_of(tmp_path, LINE, line)
    assert identify(policy, asked(shown(ONE))) == identify(policy, asked(shown(second)))


def test_aKeysUsersTogether_haveALimit_ofEachKind(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, LINE, OTHER_LINE, of_a_key=Quotas(50, 0))
    (share,) = identify(policy, asked(shown(ONE))).shares
    assert share.quota == 50
    assert share == identify(policy, asked(shown(ONE, "8"))).shares[0]
    assert share.identity != identify(policy, asked(shown(OTHER))).shares[0].identity
    assert identify(policy, asked(shown(ONE), scope=replace(SCOPE, kind=2))).shares == ()


@pytest.mark.parametrize(
    "credential",
    [
        ONE,
        "{}",
        "[]",
        "\x00",
        shown(OTHER),
        shown(ONE + "A"),
        shown(ONE[:-1]),
        shown(ONE.lower()),
        shown(""),
        shown(ONE, ""),
        shown(ONE, "u" * 257),
        shown(ONE, 7),
        shown(ONE, None),
        shown(ONE)[:-1] + ',"more":1}',
        shown(ONE)[:-1] + ',"user":"\\ud800aaaaaaaa"}',
        shown("\udcff"),
        "[" * 4096,
    ],
)
def test_whatIsNoKnownKeyAndUser_isRefused(tmp_path: Path, credential: str) -> None:
    assert refused(policy_of(tmp_path, LINE), asked(credential)) == "identity_refused"


def test_withoutACredential_oneIsRequired(tmp_path: Path) -> None:
    assert refused(policy_of(tmp_path, LINE), asked()) == "identity_required"


def test_aKeyWhoseLineIsGone_isDead_withoutARestart(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, LINE)
    (tmp_path / "keys").write_text(f"{OTHER_LINE}\n")
    os.utime(tmp_path / "keys", ns=(1, 1))
    assert refused(policy, asked(shown(ONE))) == "identity_refused"
    assert identify(policy, asked(shown(OTHER)))


def test_aChangeThatCannotBeRead_isSaid_onceForEach(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Else whoever took a key out would believe that it is dead. No content is quoted."""
    policy = policy_of(tmp_path, LINE)
    for number, text in enumerate(("opensesame\n", "opensesame\nopensesame\n", None), 1):
        if text is None:
            (tmp_path / "keys").unlink()
        else:
            (tmp_path / "keys").write_text(text)
        for _ in range(3):
            assert identify(policy, asked(shown(ONE)))
        assert caplog.text.count("what was known of the API keys stands") == number
    assert "opensesame" not in caplog.text


@pytest.mark.parametrize(
    "line", ["shop", "shop: 00", f"Shop: {'0' * 64}", f"shop:{'0' * 64}", f"a b: {'0' * 64}"]
)
def test_aFileWithAnotherLine_isNotUsed(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match="a line is not"):
        policy_of(tmp_path, line)


def test_withoutAFile_itIsSaidHowToMakeOne(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make one with `mixpay sponsor api-key NAME`"):
        ApiKeyPolicy(tmp_path / "api-keys.txt", Quotas(), Quotas(0, 0))


def test_aFileThatOthersCanRead_isNotUsed(tmp_path: Path) -> None:
    policy_of(tmp_path, LINE)
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        ApiKeyPolicy(tmp_path / "keys", Quotas(), Quotas(0, 0))


@given(st.text(max_size=300))
def test_anyText_isRefused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    policy = policy_of(tmp_path_factory.getbasetemp(), LINE)
    assert refused(policy, asked(text)) in ("identity_refused", "identity_required")
