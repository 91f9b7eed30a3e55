"""A server on loopback for `[ping] url`."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager

SECRET = "canary-0d9f-token"


@contextmanager
def watchdog(*statuses, context=None, headers=()):
    """Serve these statuses in order, then the last one; yield the URL and (path, body) of each call."""
    calls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            calls.append((self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()))
            self.send_response(statuses[min(len(calls), len(statuses)) - 1])
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *given):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    scheme = "https" if context is not None else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.server_port}/{SECRET}", calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
