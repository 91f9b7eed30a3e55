"""A collector of telemetry, or a Pushgateway, on loopback: it keeps what is sent to it."""

from __future__ import annotations

import gzip
import http.server
import threading
from contextlib import contextmanager


@contextmanager
def receiver(status=200):
    """A collector or a Pushgateway on loopback; yields its URL and the calls: path, content type, body."""
    calls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            calls.append((self.path, self.headers["Content-Type"], body))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *given):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
