"""A chain for development: anvil in a process of its own, on a free port, whose clock can be advanced.

    with DevChain() as chain:
        rpc = connect(chain.url)
        chain.fund(account, 10**18)
        chain.advance_time(3_600)

Every transaction is mined at once. `prevrandao` differs from block to block. The process is ended by `stop`,
on leaving the `with` block also by an exception, and even when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from mixpay.chain.records import to_hex
from mixpay.chain.rpc import Rpc
from mixpay.errors import ChainUnavailable, UserError
from mixpay.types import Account

CHAIN_ID = 31_337
_MODULES = Path(__file__).resolve().parents[2] / "node_modules"
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_LISTENING = re.compile(r"Listening on (\S+:\d+)")

_GUARD = """
exec 3<&0
"$@" 3<&- & child=$!
{ read -r _ <&3; kill "$child"; } & guard=$!
wait "$child"; status=$?
kill "$guard" 2>/dev/null
wait "$guard"
exit "$status"
"""
"""Runs a program until it ends or standard input does, as it does when the process that holds it dies."""


class DevChain:
    """One anvil process. Raises UserError if there is no anvil, ChainUnavailable if it does not start.

    `rules`: the hard fork whose rules hold, by anvil's name for it; None for anvil's newest.
    """

    def __init__(
        self, *, chain_id: int = CHAIN_ID, log: Path | None = None, rules: str | None = None
    ) -> None:
        self.chain_id = chain_id
        self._rules = rules
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._rpc: Rpc | None = None
        self._scratch: str | None = None

    @property
    def url(self) -> str:
        """Of its RPC endpoint, while it runs."""
        return self.rpc.shown

    @property
    def rpc(self) -> Rpc:
        """A connection of its own; raises ChainUnavailable unless it runs."""
        if self._rpc is None:
            raise ChainUnavailable("the development chain is not running")
        return self._rpc

    @property
    def pid(self) -> int | None:
        """Leader of the process group that the chain is."""
        return None if self._process is None else self._process.pid

    def start(self) -> Self:
        """Returns when it answers."""
        anvil = [find_anvil(), "--port", "0", "--chain-id", str(self.chain_id), "--accounts", "1"]
        if self._rules is not None:
            anvil += ["--hardfork", self._rules]
        log = self._log or self._scratch_log()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            # A group of its own, so that all of it can be ended together, and no Ctrl-C is for it.
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "mixpay-devchain", *anvil],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._rpc = Rpc(f"http://{_wait_for_address(self._process, log)}")
            self._rpc.chain_id()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends the process; nothing if it has ended."""
        process, self._process, self._rpc = self._process, None, None
        if process is not None:
            _end_group(process)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def fund(self, account: Account, wei: int) -> None:
        """Sets the account's native balance."""
        self.rpc.request("anvil_setBalance", to_hex(account), hex(wei))

    def advance_time(self, seconds: int = 0, *, to: int | None = None) -> int:
        """Mines a block so many seconds after the latest one, or at a moment of chain time; the chain's clock
        goes on from there. Returns that block's timestamp. Raises RpcError for a moment that has passed."""
        moment = self.rpc.latest().timestamp + seconds if to is None else to
        self.rpc.request("evm_mine", hex(moment))
        return moment

    def mine(self, blocks: int = 1) -> None:
        """Mines empty blocks at the chain's present time."""
        for _ in range(blocks):
            self.rpc.request("evm_mine")

    def _scratch_log(self) -> Path:
        self._scratch = tempfile.mkdtemp(prefix="mixpay-chain-")
        return Path(self._scratch) / "anvil.log"


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Host and port, which anvil chooses and then writes."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if found := _LISTENING.search(text):
            return found[1]
        if process.poll() is not None:
            raise ChainUnavailable(f"anvil ended at once: {text.strip()[-500:]}")
        time.sleep(0.02)
    raise ChainUnavailable(f"anvil did not start within {_START_SECONDS:.0f} s")


def find_anvil(modules: Path = _MODULES) -> str:
    """Path of anvil: the checkout's own program, else the one on PATH. Raises UserError if there is none."""
    systems = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}
    machines = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    native = f"anvil-{systems.get(platform.system())}-{machines.get(platform.machine())}"
    for path in (modules / "@foundry-rs" / native / "bin" / "anvil", modules / ".bin" / "anvil"):
        if path.exists():
            return str(path)
    found = shutil.which("anvil")
    if found is None:
        raise UserError(
            "anvil, the local chain, is missing: run `make setup` in the checkout, or install Foundry "
            "and put anvil on PATH"
        )
    return found


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Lets the guard end the chain and wait for it; kills the group that it leads if that takes long."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
