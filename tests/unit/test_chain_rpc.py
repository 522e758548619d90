"""Every way in which the RPC endpoint can be wrong gets its own text, and no text shows an access key."""

from __future__ import annotations

import dataclasses
import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chain_world import World
from mixpay.chain.contracts import Contracts
from mixpay.chain.records import Call
from mixpay.chain.rpc import Rpc, connect
from mixpay.errors import ChainUnavailable, UserError
from mixpay.types import Account


@contextmanager
def server(*answers: tuple[int, bytes]) -> Iterator[str]:
    """A web server that gives these answers in turn, the last one for ever."""
    left = list(answers)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/v3/SECRETKEY"
        httpd.shutdown()


@pytest.mark.parametrize("url", ["", "localhost:8545", "ws://127.0.0.1:8545", "http://", "http://h:99999"])
def test_connect_failsIfNoAddress(url: str) -> None:
    with pytest.raises(UserError, match="not an RPC address"):
        connect(url)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((401, b"no"), "HTTP status 401; check address and access key"),
        ((200, b"<html>"), "its answer is not JSON-RPC"),
        ((200, b"[]"), "not as a JSON-RPC endpoint does"),
        ((200, b'{"jsonrpc":"2.0","id":1}'), "not as a JSON-RPC endpoint does"),
        ((200, b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005,"message":"slow down"}}'), "busy: slow down"),
    ],
)
def test_connect_saysWhatIsWrong_andKeepsTheKeySecret(answer: tuple[int, bytes], text: str) -> None:
    with server(answer) as url, pytest.raises(ChainUnavailable, match=text) as caught:
        connect(url, attempts=2)
    assert "SECRETKEY" not in str(caught.value)


def test_request_isRepeatedUntilAnswered() -> None:
    good = b'{"jsonrpc":"2.0","id":1,"result":"0x7"}'
    with server((503, b""), (200, b"<html>"), (200, good)) as url:
        assert connect(url).chain_id() == 7


def test_connect_failsIfAnotherChain(world: World) -> None:
    other = dataclasses.replace(world.deployment, chain_id=1)
    with pytest.raises(UserError, match="is on chain 31337, the deployment file is for chain 1"):
        connect(world.chain.url, other)
    assert connect(world.chain.url, world.deployment).latest().number > 0


def test_connect_failsIfChainWasReset(world: World) -> None:
    other = dataclasses.replace(world.deployment, network=Account(b"\x09" * 20))
    with pytest.raises(UserError, match=r"no contract at 0x0909.*was reset"):
        connect(world.chain.url, other)


def test_block_isNoneIfThereIsNone(world: World) -> None:
    assert world.rpc.block(10**6) is None
    assert world.rpc.block(0) is not None


def test_rpc_isUsableFromThreads(world: World) -> None:
    rpc, found = Rpc(world.chain.url), []
    threads = [threading.Thread(target=lambda: found.append(rpc.chain_id())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [31_337] * 8


@pytest.mark.parametrize(
    "said", [b"null", b"7", b'"0xzz"', b"{}", b"[null]", b'[{"topics": []}]', b'{"number": 1}']
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda rpc: rpc.latest(),
        lambda rpc: rpc.nonce(Account(bytes(20))),
        lambda rpc: rpc.call(Call("a call", Account(bytes(20)), b"")),
        lambda rpc: rpc.logs(1, 2, []),
    ],
)
def test_nonsense_isNoAnswer(said: bytes, ask: Callable[[Rpc], object]) -> None:
    """Whoever asks again later must not end with it: a relay carries packets without the chain."""
    with server((200, b'{"jsonrpc":"2.0","id":1,"result":' + said + b"}")) as url:
        with pytest.raises(ChainUnavailable, match="answers nonsense to eth_") as caught:
            ask(Rpc(url))
        assert "SECRETKEY" not in str(caught.value)


def test_receiptThatIsNone_isAbsent_notNonsense() -> None:
    with server((200, b'{"jsonrpc":"2.0","id":1,"result":null}')) as url:
        assert Rpc(url).receipt(bytes(32)) is None


def test_contractThatAnswersNothing_isNoAnswer(world: World) -> None:
    """As nodes do that have not come to the block in which it was made."""
    with server((200, b'{"jsonrpc":"2.0","id":1,"result":"0x"}')) as url:
        contracts = Contracts(Rpc(url), world.deployment)
        with pytest.raises(ChainUnavailable, match=r"answers nonsense to Channels\.balanceOf"):
            contracts.channels.balance_of(Account(bytes(20)))
