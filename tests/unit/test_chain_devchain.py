"""The development chain, anvil or ganache: it starts, its clock moves, it never outlives its user."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mixpay.chain import devchain
from mixpay.chain.devchain import PROGRAMS, DevChain, find_anvil, find_ganache
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


every_program = pytest.mark.parametrize("program", PROGRAMS)


@every_program
def test_chain_runsAndEnds(tmp_path: Path, program: str) -> None:
    log = tmp_path / "logs" / "chain.log"
    chain = DevChain(chain_id=4_242, log=log, program=program).start()
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


@every_program
def test_chain_endsWithAKilledUser_andNothingStays(program: str, tmp_path: Path) -> None:
    begin = f"DevChain(program={program!r}).start().pid"
    text = f"from mixpay.chain.devchain import DevChain; print({begin}, flush=True); input()"
    command, places = [sys.executable, "-c", text], {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=places
    ) as user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        assert group_is_running(pid)
        assert [place.name for place in tmp_path.glob("mixpay-chain-*/*.log")] == [f"{program}.log"]
        user.kill()
    deadline = time.monotonic() + 10
    while group_is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


@every_program
def test_clock_advances_andStaysAhead(program: str) -> None:
    with DevChain(program=program) as first, DevChain(program=program) as second:
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


@every_program
def test_prevrandao_differsFromBlockToBlock(program: str) -> None:
    with DevChain(program=program) as chain:
        chain.mine(3)
        blocks = [chain.rpc.request("eth_getBlockByNumber", hex(n), False) for n in (1, 2, 3)]
        assert len({block["mixHash"] for block in blocks}) == 3


@every_program
def test_fund_setsBalance(program: str) -> None:
    account = Account(b"\x42" * 20)
    with DevChain(program=program) as chain:
        chain.fund(account, 123)
        assert chain.rpc.balance(account) == 123


def test_fork_isACopy_whoseOriginStaysAsItIs(tmp_path: Path) -> None:
    account = Account(b"\x42" * 20)
    with DevChain(chain_id=77) as origin:
        origin.fund(account, 5)
        origin.advance_time(86_400)
        with DevChain(fork=origin.url) as copy:
            assert copy.rpc.chain_id() == 77
            assert copy.rpc.balance(account) == 5
            assert copy.rpc.latest().timestamp >= origin.rpc.latest().timestamp
            copy.fund(account, 6)
            assert (copy.rpc.balance(account), origin.rpc.balance(account)) == (6, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for command lines in /proc")
def test_fork_keepsTheAddressOutOfTheProcessList() -> None:
    """Providers put keys into it."""
    with DevChain() as origin, DevChain(fork=f"{origin.url}/?key=SECRETKEY") as copy:
        assert copy.pid is not None
        group = [path for path in Path("/proc").glob("[0-9]*") if _group_of(path) == copy.pid]
        lines = [(path / "cmdline").read_bytes() for path in group]
        assert any(b"anvil" in line for line in lines)
        assert not any(b"SECRETKEY" in line for line in lines)


def test_fork_thatFails_keepsTheAddressSecret() -> None:
    for address in ("http://me:SECRETKEY@127.0.0.1:9", "http://127.0.0.1:9/v3/SECRETKEY?key=SECRETKEY"):
        with pytest.raises(ChainUnavailable, match="anvil ended at once") as caught:
            DevChain(fork=address).start()
        assert "SECRETKEY" not in str(caught.value)


def _group_of(process: Path) -> int | None:
    try:
        return os.getpgid(int(process.name))
    except ProcessLookupError:
        return None


@pytest.mark.parametrize(
    "options", [{"program": "geth"}, {"program": "ganache", "fork": "http://127.0.0.1:9"}]
)
def test_chain_failsIfThereIsNoSuch(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no such chain"):
        DevChain(**options)


@pytest.mark.parametrize("find", [find_anvil, find_ganache])
def test_find_saysWhatToDoIfAbsent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find: Callable[[Path], str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="make setup"):
        find(tmp_path)


def test_ganache_takesAnotherPort_whenOneIsTaken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], devchain._free_port()]
        monkeypatch.setattr(devchain, "_free_port", lambda: ports.pop(0))
        with DevChain(program="ganache") as chain:
            assert chain.rpc.chain_id() == devchain.CHAIN_ID
        assert ports == []


def test_start_failsIfAnvilEnds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "anvil"
    broken.write_text("#!/bin/sh\necho no such chain\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("mixpay.chain.devchain.find_anvil", lambda: str(broken))
    with pytest.raises(ChainUnavailable, match="no such chain"):
        DevChain().start()
