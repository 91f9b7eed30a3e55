"""A store that repeats the keys of its requests: no command prints them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.commands import acs_inventory

KEY_ID = "LTAI5tPLANTEDKEYID00001"


class _Echo(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"<Error><Code>{KEY_ID}</Code><Message>{KEY_ID}</Message></Error>".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def store():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("arguments", [["query", "SELECT 1"], ["snapshots", "list"], ["snapshots", "verify"]])
def test_an_error_of_a_store_repeats_no_key(store, tmp_path, arguments):
    """P21, T36."""
    environ = {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": "planted-secret-of-the-bucket",
        "AWS_ENDPOINT_URL_S3": store,
        "AWS_REGION": "us-east-1",
    }
    code, out, err = acs_inventory(*arguments, "--output", "s3://bucket/x", cwd=tmp_path, env=environ)
    assert code != 0
    assert "the store answered 403 ***" in err
    assert KEY_ID not in out + err
