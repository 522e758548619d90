"""A chain for development: anvil or ganache in a process of its own, on a free port, with a clock to advance.

    with DevChain() as chain:
        rpc = connect(chain.url)
        chain.fund(account, 10**18)
        chain.advance_time(3_600)

Every transaction is mined at once. `prevrandao` differs from block to block. The process is ended by `stop`,
on leaving the `with` block also by an exception, and even when this process is killed.

Where the programs differ: ganache takes no port 0, sets balances under another name, mines blocks in the past
if asked to, and knows no rules newer than Shanghai's. Only anvil copies another chain here (`fork`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from mixpay.chain.errors import RpcError
from mixpay.chain.records import to_hex
from mixpay.chain.rpc import Rpc
from mixpay.errors import ChainUnavailable, UserError
from mixpay.types import Account

CHAIN_ID = 31_337
PROGRAMS = ("anvil", "ganache")
"""That a development chain can be."""
_MODULES = Path(__file__).resolve().parents[2] / "node_modules"
_START_SECONDS = 20.0
_STOP_SECONDS = 5.0
_TRIES = 5
"""A port that was free may be taken before ganache has it."""
_FORK_VARIABLE = "MIXPAY_FORK_URL"
_LISTENING = re.compile(r"Listening on (\S+:\d+)")

_GUARD = """
scratch=$1; shift
exec 3<&0
"$@" 3<&- & child=$!
{ read -r _ <&3; kill "$child"; } & guard=$!
wait "$child"; status=$?
kill "$guard" 2>/dev/null
wait "$guard" && cd / && rm -rf "$scratch"
exit "$status"
"""
"""Runs a program until it ends or standard input does, as it does when the process that holds it dies. Then
nobody else is left to remove what the program kept; if it ends by itself, its log is still wanted."""


class DevChain:
    """One process. Raises UserError if the program is missing, ChainUnavailable if it does not start.

    `program`: one of PROGRAMS. `rules`: the hard fork whose rules hold, by the program's name; None for
    its newest. `fork`: the RPC address of a chain to begin with a copy of, its id included; anvil only.
    """

    def __init__(
        self,
        *,
        chain_id: int = CHAIN_ID,
        log: Path | None = None,
        rules: str | None = None,
        program: str = "anvil",
        fork: str | None = None,
    ) -> None:
        if program not in PROGRAMS or (fork is not None and program != "anvil"):
            raise ValueError(f"no such chain: {program}, fork {fork is not None}")
        self.chain_id = chain_id
        self._program = program
        self._fork = fork
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
        for last_try in (*[False] * (_TRIES - 1), True):
            try:
                self._launch()
                break
            except ChainUnavailable as error:
                if last_try or "EADDRINUSE" not in str(error):
                    raise
        return self

    def _launch(self) -> None:
        self._scratch = tempfile.mkdtemp(prefix="mixpay-chain-")
        scratch = Path(self._scratch)
        log = self._log or scratch / f"{self._program}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            command = self._command(scratch)
            with log.open("wb") as output:
                # A group of its own, so that all of it can be ended together, and no Ctrl-C is for it.
                self._process = subprocess.Popen(
                    ["sh", "-c", _GUARD, "mixpay-devchain", self._scratch, *command],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=scratch,
                    env=self._environment(scratch),
                )
            self._rpc = Rpc(f"http://{self._listening(self._process, log)}")
            self._rpc.chain_id()
        except BaseException:
            self.stop()
            raise

    def _environment(self, scratch: Path) -> dict[str, str]:
        """What the program keeps while it runs, it keeps in `scratch`: ganache leaves it behind."""
        fork = {} if self._fork is None else {_FORK_VARIABLE: self._fork}
        return {**os.environ, "TMPDIR": str(scratch), **fork}

    def _command(self, scratch: Path) -> list[str]:
        """What is executed, in `scratch`."""
        if self._program == "ganache":
            listen = ["--server.port", str(_free_port()), "--wallet.totalAccounts", "1"]
            chain = ["--chain.chainId", str(self.chain_id), "--chain.hardfork", self._rules or "shanghai"]
            return [find_ganache(), *listen, *chain]
        # Old states go to the disk once there are hundreds: not to the home of whoever runs this.
        command = [find_anvil(), "--port", "0", "--accounts", "1", "--cache-path", str(scratch / "states")]
        if self._fork is None:
            command += ["--chain-id", str(self.chain_id)]
        else:
            # Its address may hold a provider's key: not for the list of processes that everybody can see.
            (scratch / "foundry.toml").write_text(f'[rpc_endpoints]\ncopied = "${{{_FORK_VARIABLE}}}"\n')
            command += ["--fork-url", "copied", "--no-storage-caching"]
        return command + ([] if self._rules is None else ["--hardfork", self._rules])

    def _listening(self, process: subprocess.Popen[bytes], log: Path) -> str:
        """Host and port, which the program writes when it listens."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            text = log.read_text(errors="replace")
            if found := _LISTENING.search(text):
                return found[1]
            if process.poll() is not None:
                raise ChainUnavailable(f"{self._program} ended at once: {self._redacted(text)[-500:]}")
            time.sleep(0.02)
        raise ChainUnavailable(f"{self._program} did not start within {_START_SECONDS:.0f} s")

    def _redacted(self, text: str) -> str:
        """Without what follows the host in the address of the chain copied."""
        parts = urlsplit(self._fork or "")
        for secret in (parts.path.strip("/"), parts.query, parts.netloc.rpartition("@")[0]):
            text = text.replace(secret, "…") if secret else text
        return text.strip()

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
        method = "anvil_setBalance" if self._program == "anvil" else "evm_setAccountBalance"
        self.rpc.request(method, to_hex(account), hex(wei))

    def advance_time(self, seconds: int = 0, *, to: int | None = None) -> int:
        """Mines a block so many seconds after the latest one, or at a moment of chain time; the chain's clock
        goes on from there. Returns that block's timestamp. Raises RpcError for a moment that has passed."""
        latest = self.rpc.latest().timestamp
        moment = latest + seconds if to is None else to
        if moment < latest:
            raise RpcError("evm_mine", -32_602, f"{moment} has passed: the chain's time is {latest}")
        self.rpc.request("evm_mine", hex(moment))
        return moment

    def mine(self, blocks: int = 1) -> None:
        """Mines empty blocks at the chain's present time."""
        for _ in range(blocks):
            self.rpc.request("evm_mine")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def find_anvil(modules: Path = _MODULES) -> str:
    """Path of anvil: the checkout's own program, else the one on PATH. Raises UserError if there is none."""
    systems = {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}
    machines = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    native = f"anvil-{systems.get(platform.system())}-{machines.get(platform.machine())}"
    places = (modules / "@foundry-rs" / native / "bin" / "anvil", modules / ".bin" / "anvil")
    return _find("anvil", places, "install Foundry and put anvil on PATH")


def find_ganache(modules: Path = _MODULES) -> str:
    """Path of ganache, in the same way."""
    return _find("ganache", (modules / ".bin" / "ganache",), "put ganache on PATH")


def _find(program: str, places: tuple[Path, ...], remedy: str) -> str:
    for path in places:
        if path.exists():
            return str(path)
    found = shutil.which(program)
    if found is None:
        raise UserError(
            f"{program}, the local chain, is missing: run `make setup` in the checkout, or {remedy}"
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
