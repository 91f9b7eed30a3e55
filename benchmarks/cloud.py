"""The static cloud: nginx on one loopback address per region, with the rendered pages and without limits.

It gets the account from the access key ID in the Authorization header, or from `account` in the query of unsigned
requests. It doesn't verify signatures.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.pages import FIRST_TOKEN
from benchmarks.shape import Shape, key_id
from tests.support.generated_records import account_id

HOST = "127.0.0.1"
SECRET = "benchmark-secret"

_CONFIGURATION = """
daemon off; pid {folder}/nginx.pid; worker_processes 1; {user}
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 10000000; keepalive_timeout 75s;
  open_file_cache max=20000 inactive=600s; open_file_cache_valid 600s; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; variables_hash_max_size 4096;
  map_hash_max_size 65536;
  map $http_authorization $number {{ "~Credential=LTAI5tBenchmark(?<digits>[0-9]+)" $digits; default $arg_account; }}
  map $number $owner {{ {owners} }}
  map $server_addr $region {{ {regions} }}
  map $arg_nextToken $token {{ "" {first}; default $arg_nextToken; }}
  server {{
    {listens}
    root {pages};
    location = / {{ return 200 '{{"AccountId":"10000000000$number","RequestId":"bench"}}'; }}
    location = /2023-03-30/regions {{ return 200 '{described}'; }}
    location = /2023-03-30/functions {{ try_files /$owner/$region/functions/$token.json =404; }}
    location = /2023-03-30/layers {{ try_files /$owner/$region/layers/$token.json =404; }}
    location ~ "^/2023-03-30/layers/(?<layer>[a-z0-9-]+)/versions$" {{
      try_files /$owner/$region/versions/$layer.json =404;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class StaticCloud:
    """The addresses of a served cloud."""

    shape: Shape
    port: int

    def host(self, region: str) -> str:
        """Return a region's address and port."""
        return f"127.0.1.{self.shape.regions.index(region) + 1}:{self.port}"

    def described(self) -> dict[str, Any]:
        """Return the cloud as JSON, for other programs."""
        return {
            "sts": f"{HOST}:{self.port}",
            "hosts": {region: self.host(region) for region in self.shape.regions},
            "accounts": [
                {"number": f"{n:05d}", "id": account_id(n), "key_id": key_id(n), "secret": SECRET}
                for n in self.shape.account_numbers
            ],
            "pages": self.shape.pages,
            "layers": self.shape.layers,
        }


@contextmanager
def serve(shape: Shape, pages: Path, folder: Path) -> Iterator[StaticCloud]:
    """The cloud as long as the block lasts. `folder` is nginx's own; raises RuntimeError where it can't be started."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise RuntimeError("the benchmark's cloud is nginx: apt-get install nginx-light")
    folder.mkdir(parents=True, exist_ok=True)
    cloud = StaticCloud(shape, _free_port())
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(cloud, pages.resolve(), folder.resolve()))
    log = folder.resolve() / "error.log"
    with subprocess.Popen(
        [program, "-c", str(configuration.resolve()), "-e", str(log), "-p", str(folder.resolve())]
    ) as server:
        try:
            _wait(server, cloud.port, log)
            yield cloud
        finally:
            server.terminate()


def write_description(cloud: StaticCloud, path: Path) -> Path:
    """`described` in a file."""
    path.write_bytes(orjson.dumps(cloud.described(), option=orjson.OPT_INDENT_2))
    return path


def _configuration(cloud: StaticCloud, pages: Path, folder: Path) -> str:
    shape = cloud.shape
    hosts = [f"{HOST}:{cloud.port}", *map(cloud.host, shape.regions)]
    described = {"RequestId": "bench", "Regions": {"Region": [{"RegionId": region} for region in shape.regions]}}
    return _CONFIGURATION.format(
        folder=folder,
        pages=pages,
        user="user root;" if os.geteuid() == 0 else "",
        owners=" ".join(f"{n:05d} {n % shape.accounts};" for n in shape.account_numbers),
        regions=" ".join(f"{cloud.host(region).partition(':')[0]} {region};" for region in shape.regions),
        first=FIRST_TOKEN,
        listens=" ".join(f"listen {host} backlog=4096;" for host in hosts),
        described=orjson.dumps(described).decode(),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(100):
        if server.poll() is not None:
            raise RuntimeError(f"nginx has ended: {log.read_text(errors='replace')[-500:]}")
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx doesn't answer")
