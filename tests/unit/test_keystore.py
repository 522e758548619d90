"""The key store: what comes back, what is refused, and that nothing is ever replaced or shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from eth_account import Account

from mixpay import keystore
from mixpay.crypto.secp256k1 import N
from mixpay.errors import UserError
from mixpay.keystore import Kdf, Secret

SECRET = bytes(range(1, 33))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys"


def test_create_thenLoad(folder: Path) -> None:
    keystore.create(folder, ["operator", "link"], "pw", kdf=Kdf.LIGHT)
    operator, link = (keystore.load(folder, name, "pw") for name in ("operator", "link"))
    assert len(operator) == len(link) == 32 and operator != link
    assert keystore.names(folder) == ["link", "operator"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}
    assert {p.name for p in folder.iterdir()} == {"link.json", "operator.json"}


def test_put_writesEthereumsKeyfile(folder: Path) -> None:
    keystore.put(folder, "operator", SECRET, "pässword", kdf=Kdf.LIGHT)
    keyfile = json.loads((folder / "operator.json").read_text())
    assert keyfile["version"] == 3 and keyfile["crypto"]["kdf"] == "scrypt"
    assert keyfile["crypto"]["kdfparams"]["n"] == 4096
    assert bytes(Account.decrypt(keyfile, "pässword")) == SECRET
    assert "0x" + keyfile["address"].lower() == Account.from_key(SECRET).address.lower()


def test_create_neverReplacesAndThenWritesNothing(folder: Path) -> None:
    keystore.put(folder, "link", SECRET, "pw", kdf=Kdf.LIGHT)
    with pytest.raises(UserError, match=r"'link'.*already"):
        keystore.create(folder, ["operator", "link"], "pw", kdf=Kdf.LIGHT)
    with pytest.raises(UserError, match="already"):
        keystore.put(folder, "link", bytes([1]) * 32, "pw", kdf=Kdf.LIGHT)
    assert keystore.names(folder) == ["link"]
    assert keystore.load(folder, "link", "pw") == SECRET


def test_writePrivate_failsIfTheNameWasTakenMeanwhile(folder: Path) -> None:
    folder.mkdir(parents=True)
    taken = folder / "a.json"
    taken.write_text("first")
    with pytest.raises(FileExistsError):
        keystore.write_private(taken, b"second")
    assert [p.name for p in folder.iterdir()] == ["a.json"] and taken.read_text() == "first"


def test_create_drawsAgainUntilTheNumberIsAKey(folder: Path) -> None:
    draws = iter([bytes(32), N.to_bytes(32, "big"), SECRET])
    keystore.create(folder, ["a"], "pw", random=lambda _: next(draws), kdf=Kdf.LIGHT)
    assert keystore.load(folder, "a", "pw") == SECRET


def test_load_failsForAWrongPasswordOrName(folder: Path) -> None:
    keystore.put(folder, "link", SECRET, "pw", kdf=Kdf.LIGHT)
    with pytest.raises(UserError, match="wrong password for the key 'link'"):
        keystore.load(folder, "link", "other")
    with pytest.raises(UserError, match="no key 'operator'"):
        keystore.load(folder, "operator", "pw")
    with pytest.raises(ValueError):
        keystore.load(folder, "../link", "pw")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "not json", '{"version": 3}', '{"version": 3, "crypto": 5}']
)
def test_load_failsForADamagedFile(folder: Path, content: str) -> None:
    keystore.put(folder, "link", SECRET, "pw", kdf=Kdf.LIGHT)
    (folder / "link.json").write_text(content)
    with pytest.raises(UserError, match="put back a copy"):
        keystore.load(folder, "link", "pw")


def test_load_failsIfOthersCanRead(folder: Path) -> None:
    keystore.put(folder, "link", SECRET, "pw", kdf=Kdf.LIGHT)
    path = folder / "link.json"
    path.chmod(0o640)
    with pytest.raises(UserError, match=f"chmod 600 {path}"):
        keystore.load(folder, "link", "pw")
    path.chmod(0o600)
    folder.chmod(0o755)
    with pytest.raises(UserError, match=f"chmod 700 {folder}"):
        keystore.load(folder, "link", "pw")
    with pytest.raises(UserError, match="chmod 700"):
        keystore.put(folder, "other", SECRET, "pw", kdf=Kdf.LIGHT)


def test_load_failsIfTheFileIsAnothers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keystore.put(folder, "link", SECRET, "pw", kdf=Kdf.LIGHT)
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    with pytest.raises(UserError, match="another user"):
        keystore.load(folder, "link", "pw")


@pytest.mark.parametrize("secret", [b"", bytes(32), bytes(31), N.to_bytes(32, "big")])
def test_put_failsForWhatIsNoKey(folder: Path, secret: bytes) -> None:
    with pytest.raises(ValueError):
        keystore.put(folder, "link", secret, "pw", kdf=Kdf.LIGHT)
    with pytest.raises(UserError, match="empty"):
        keystore.put(folder, "link", SECRET, "", kdf=Kdf.LIGHT)


def test_secret_doesNotShowItself() -> None:
    secret = Secret(SECRET)
    assert f"{secret} {secret!r}" == "Secret(32 bytes) Secret(32 bytes)"
    assert secret == SECRET


def test_findPassword_fileThenVariableThenQuestion(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text("from file\nsecond line")
    file.chmod(0o600)
    environ = {"MIXPAY_PASSWORD": "from variable"}
    assert keystore.find_password(file, environ) == "from file"
    assert keystore.find_password(None, environ, lambda: "asked") == "from variable"
    assert keystore.find_password(None, {}, lambda: "asked") == "asked"
    with pytest.raises(UserError, match="set MIXPAY_PASSWORD"):
        keystore.find_password(None, {})
    with pytest.raises(UserError, match="no password file"):
        keystore.find_password(tmp_path / "absent", {})
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        keystore.find_password(file, {})
