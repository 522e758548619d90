"""A node of a chain without randomness: a real one whose blocks all show the same `prevrandao`."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests


@contextmanager
def steady(url: str) -> Iterator[str]:
    """Its RPC address, while it forwards to the real one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {"Content-Type": "application/json"}
            answer = requests.post(url, asked, headers=headers, timeout=10).json()
            if isinstance(answer.get("result"), dict) and "mixHash" in answer["result"]:
                answer["result"]["mixHash"] = f"0x{1:064x}"
            body = json.dumps(answer).encode()
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
