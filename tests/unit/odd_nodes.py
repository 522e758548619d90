"""Nodes that answer as a real one does, but for what makes them odd. Each is a server that forwards."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

Message = dict[str, Any]


def without_randomness(request: Message, answer: Message) -> Message:
    """All blocks show the same `prevrandao`."""
    result = answer.get("result")
    if isinstance(result, dict) and "mixHash" in result:
        result["mixHash"] = f"0x{1:064x}"
    return answer


def narrow(limit: int) -> Callable[[Message, Message], Message]:
    """Asked for the events of more blocks than `limit`, it refuses."""

    def change(request: Message, answer: Message) -> Message:
        if request["method"] != "eth_getLogs":
            return answer
        first, last = (int(request["params"][0][name], 16) for name in ("fromBlock", "toBlock"))
        refusal = {"code": -32_000, "message": "block range is too wide"}
        return answer if last - first < limit else {"jsonrpc": "2.0", "id": request["id"], "error": refusal}

    return change


@contextmanager
def odd(url: str, change: Callable[[Message, Message], Message]) -> Iterator[str]:
    """The odd node's RPC address, while it forwards to `url` and changes the answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = requests.post(url, json=request, timeout=10).json()
            body = json.dumps(change(request, answer)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
