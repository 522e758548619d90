"""The development chain: it starts, its clock moves, and it never outlives its user."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpay.chain.devchain import DevChain, find_anvil
from mixpay.chain.errors import RpcError
from mixpay.chain.rpc import connect
from mixpay.errors import ChainUnavailable, UserError
from mixpay.types import Account

ROOT = Path(__file__).resolve().parents[2]


def group_is_running(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_chain_runsAndEnds(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "chain.log"
    chain = DevChain(chain_id=4_242, log=log).start()
    pid, url = chain.pid, chain.url
    assert connect(url).chain_id() == 4_242
    chain.stop()
    chain.stop()
    assert not group_is_running(pid)
    assert "Listening on" in log.read_text()
    with pytest.raises(ChainUnavailable, match="cannot connect"):
        connect(url, attempts=2)
    with pytest.raises(ChainUnavailable, match="not running"):
        chain.mine()


def test_chain_endsOnException() -> None:
    with pytest.raises(KeyboardInterrupt), DevChain() as chain:
        pid = chain.pid
        raise KeyboardInterrupt
    assert not group_is_running(pid)


def test_chain_endsWithAKilledUser() -> None:
    program = "from mixpay.chain.devchain import DevChain; print(DevChain().start().pid, flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        assert group_is_running(pid)
        user.kill()
    deadline = time.monotonic() + 10
    while group_is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_clock_advances_andStaysAhead() -> None:
    with DevChain() as first, DevChain() as second:
        assert first.url != second.url
        start = first.rpc.latest().timestamp
        assert first.advance_time(3_600) == first.rpc.latest().timestamp == start + 3_600
        first.mine()
        assert start + 3_600 <= first.rpc.latest().timestamp <= start + 3_620
        first.advance_time(to=start + 7_200)
        assert first.rpc.latest().timestamp == start + 7_200
        with pytest.raises(RpcError):
            first.advance_time(to=start)
        assert second.rpc.latest().timestamp < start + 3_600


def test_prevrandao_differsFromBlockToBlock() -> None:
    with DevChain() as chain:
        chain.mine(3)
        blocks = [chain.rpc.request("eth_getBlockByNumber", hex(n), False) for n in (1, 2, 3)]
        assert len({block["mixHash"] for block in blocks}) == 3


def test_fund_setsBalance() -> None:
    account = Account(b"\x42" * 20)
    with DevChain() as chain:
        chain.fund(account, 123)
        assert chain.rpc.balance(account) == 123


def test_findAnvil_saysWhatToDoIfAbsent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="make setup"):
        find_anvil(tmp_path)


def test_start_failsIfAnvilEnds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho no such chain\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("mixpay.chain.devchain.find_anvil", lambda: str(broken))
    with pytest.raises(ChainUnavailable, match="no such chain"):
        DevChain().start()
