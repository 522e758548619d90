"""A chain's RPC endpoint that is as bad as it is told to be: it forwards to a real node, or does not."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import requests

Message: TypeAlias = dict[str, Any]
Ask: TypeAlias = Callable[[Message], Message]


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection ends without a word, as when nothing runs there."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that is none: what a provider's front says when it is in trouble."""

    status: int
    body: bytes = b"<html>bad gateway</html>"


Answer: TypeAlias = "Message | Reset | Page"
Behaviour: TypeAlias = Callable[[Message, Ask], Answer]


def honest(request: Message, ask: Ask) -> Answer:
    """As the chain says."""
    return ask(request)


def down(request: Message, ask: Ask) -> Answer:
    """Nothing there."""
    return Reset()


def failing(request: Message, code: int, message: str) -> Message:
    """The node's own error."""
    return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}


def result(request: Message, value: object) -> Message:
    """An answer of one's own making."""
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def as_of(block: int) -> Behaviour:
    """A node that has stood still since a block: everything it says was true then."""

    def behave(request: Message, ask: Ask) -> Answer:
        then = hex(block)
        params: list[Any]
        method, params = (
            request["method"],
            [then if p in ("latest", "pending") else p for p in request["params"]],
        )
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) > block:
            params = [{**params[0], "toBlock": then}]
        if method == "eth_getBlockByNumber" and int(params[0], 16) > block:
            return result(request, None)
        return ask({**request, "params": params})

    return behave


class Node:
    """`with Node(url) as node`: relays are told `node.url`; `node.behave` may be changed at any time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.behave: Behaviour = honest
        self.asked = 0
        """Requests that came."""
        node = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                node.asked += 1
                answer = node.behave(request, node._ask)
                if isinstance(answer, Reset):
                    self.close_connection = True
                    return
                page = answer if isinstance(answer, Page) else Page(200, json.dumps(answer).encode())
                self.send_response(page.status)
                self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                self.wfile.write(page.body)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # whoever asked has lost patience

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _ask(self, request: Message) -> Message:
        answer: Message = requests.post(self._url, json=request, timeout=30).json()
        return answer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def slow(seconds: float) -> Behaviour:
    """An answer, but late."""

    def behave(request: Message, ask: Ask) -> Answer:
        time.sleep(seconds)
        return ask(request)

    return behave
