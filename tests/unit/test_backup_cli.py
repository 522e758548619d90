"""`mixpay-relay backup` and `restore` as an operator types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from home_samples import Sample, damage, fill, make_home
from mixpay.accounts import show_account
from relay import cli
from relay.home import RESTORED
from relay.keys.restored import SERVES_NO_MORE
from relay.store import setting_op


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    made = make_home(tmp_path / "relay")
    monkeypatch.setenv("MIXPAY_RELAY_HOME", str(made.folder))
    return made


def typed(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


async def test_backup_andRestore_sayWhatTheOperatorMustKnow(
    home: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(home.database)
    file = tmp_path / "relay.backup"
    status, out, err = typed(capsys, "backup", file)
    assert status == 0
    operator = show_account(home.operator)
    assert out.startswith(
        f"{file}: the relay of operator {operator}\nrelay.toml, deployment.json, relay.sqlite"
    )
    assert "need the key store's password, which is not in it" in err
    assert "as old as its moment" in err
    shutil.rmtree(home.folder)
    status, out, err = typed(capsys, "restore", file)
    assert status == 0
    assert out.startswith(f"{home.folder}: the relay of operator {operator}, as of ")
    assert "restored relay.toml" in out
    assert err == f"{SERVES_NO_MORE}\n"


async def test_answersAsJson(home: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [setting_op(f"n{number}", bytes(500)) for number in range(200)]
    await fill(home.database, *rows)
    await fill(home.folder / "relay-1.sqlite")
    file = tmp_path / "relay.backup"
    made = json.loads(typed(capsys, "backup", "--json", file)[1])
    assert (made["file"], made["operator"]) == (str(file), show_account(home.operator))
    damage(home.database)
    Path(tmp_path / "network.json").unlink()
    status, out, err = typed(capsys, "restore", "--json", file)
    done = json.loads(out)
    assert (status, done["made_at"]) == (0, made["made_at"])
    assert done["restored"] == ["deployment.json", "relay.sqlite"]
    assert (done["kept"], done["set_aside"]) == (["relay-1.sqlite"], ["relay.sqlite.damaged-1"])
    assert 'set  deployment = "deployment.json"  in relay.toml' in err
    assert "relay-1.sqlite: as before" in err
    assert (home.folder / "keys" / RESTORED).exists()


async def test_trouble_isOneLine(home: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(home.database)
    file = tmp_path / "relay.backup"
    assert typed(capsys, "backup", file)[0] == 0
    for words, why in (
        (("backup", file), "is there already"),
        (("restore", file), "nothing is to be restored"),
        (("restore", tmp_path / "none"), "cannot read"),
        (("backup", "--home", tmp_path / "none", tmp_path / "x"), "`mixpay-relay init` first"),
    ):
        status, out, err = typed(capsys, *words)
        assert (status, out) == (2, "")
        assert why in err
        assert err.count("\n") == 1
    assert typed(capsys, "backup", file, "--replace")[0] == 0
