"""`mixpay faucet`: money of a devnet that runs, by its folder; and the folder that one asks a devnet for."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from rich.console import Console

from mixpay.accounts import show_account
from mixpay.chain.devchain import DevChain
from mixpay.cli.main import main
from mixpay.demo import faucet
from mixpay.demo.chain import ETHER, DemoChain
from mixpay.demo.ground import ground
from mixpay.demo.stage import Stage
from mixpay.errors import UserError
from mixpay.parameters import TOKEN
from mixpay.types import Account

SOMEBODY = Account(b"\x11" * 20)


def test_faucet_gives_toWhoeverCanReadTheFolder(
    chain: DevChain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = DemoChain(chain, tmp_path, lambda _: None)
    faucet.fill(demo, tmp_path)
    path = tmp_path / faucet.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = demo.rpc.balance(SOMEBODY)
    monkeypatch.setenv("MIXPAY_DEVNET", str(tmp_path))
    assert main(["faucet", show_account(SOMEBODY), "--tokens", "2.5", "--ether", "3"]) == 0
    assert demo.contracts.token.balance_of(SOMEBODY) == 5 * TOKEN // 2
    assert demo.rpc.balance(SOMEBODY) - before == 3 * ETHER
    assert "got 3 ether and 2.5 tokens" in capsys.readouterr().err
    assert main(["faucet", "nobody"]) == 2
    path.write_text("{}")
    assert main(["faucet", show_account(SOMEBODY)]) == 2
    assert "there is no devnet in" in capsys.readouterr().err


def test_faucetsKey_isNotShown() -> None:
    assert "ab" * 32 not in repr(faucet.Faucet("http://127.0.0.1:1", "d.json", "ab" * 32))


def test_ground_takesANewFolder_only(tmp_path: Path) -> None:
    stage, folder = Stage(Console(file=io.StringIO())), tmp_path / "net"
    with ground(stage, "devnet", "anvil", folder) as place:
        assert place.folder == folder and stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(UserError, match="is there already"), ground(stage, "devnet", "anvil", folder):
            pass
        place.keep = False
    assert not folder.exists()
