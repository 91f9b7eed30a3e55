"""The static cloud: nginx on one loopback address per region, with the rendered pages.

It gets the account from the access key ID in the Authorization header, or from `account` in the query of unsigned
requests. It doesn't verify signatures. It has no limits unless told to: then each account in each region gets 429 for
requests beyond them.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
  {zone}
  server {{
    {listens}
    {certificate}
    root {pages};
    location = / {{ return 200 '{{"AccountId":"10000000000$number","RequestId":"bench"}}'; }}
    location = /2023-03-30/regions {{ return 200 '{described}'; }}
    location @throttled {{
      return 429 '{{"Code":"Throttling.User","Message":"Too many requests.","RequestId":"bench"}}';
    }}
    location = /2023-03-30/functions {{ {limited} try_files /$owner/$region/functions/$token.json =404; }}
    location = /2023-03-30/layers {{ {limited} try_files /$owner/$region/layers/$token.json =404; }}
    location ~ "^/2023-03-30/layers/(?<layer>[a-z0-9-]+)/versions$" {{
      {limited} try_files /$owner/$region/versions/$layer.json =404;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class StaticCloud:
    """The addresses of a served cloud."""

    shape: Shape
    port: int
    pid: int = 0
    ca_file: Path | None = None

    def host(self, region: str) -> str:
        """Return a region's address and port."""
        return f"127.0.1.{self.shape.regions.index(region) + 1}:{self.port}"

    def cpu_s(self) -> float:
        """Return the CPU seconds of nginx so far, its worker process included."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        ticks = 0
        for pid in (self.pid, *children):
            # The name, in parentheses, may contain spaces.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def described(self) -> dict[str, Any]:
        """Return the cloud as JSON, for other programs."""
        return {
            "scheme": "http" if self.ca_file is None else "https",
            "ca_file": None if self.ca_file is None else str(self.ca_file),
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
def serve(
    shape: Shape, pages: Path, folder: Path, limit: tuple[int, int] | None = None, *, has_tls: bool = False
) -> Iterator[StaticCloud]:
    """The cloud as long as the block lasts. `folder` is nginx's own; `limit` is requests per second and burst.

    With TLS, its certificate is made by openssl. Raises RuntimeError if the cloud can't be started.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise RuntimeError("the benchmark's cloud is nginx: apt-get install nginx-light")
    folder.mkdir(parents=True, exist_ok=True)
    cloud = StaticCloud(shape, _free_port(), ca_file=_certificate(shape, folder.resolve()) if has_tls else None)
    configuration = folder / "nginx.conf"
    configuration.write_text(_configuration(cloud, pages.resolve(), folder.resolve(), limit))
    log = folder.resolve() / "error.log"
    with subprocess.Popen(
        [program, "-c", str(configuration.resolve()), "-e", str(log), "-p", str(folder.resolve())]
    ) as server:
        try:
            _wait(server, cloud.port, log)
            yield replace(cloud, pid=server.pid)
        finally:
            server.terminate()


def write_description(cloud: StaticCloud, path: Path) -> Path:
    """`described` in a file."""
    path.write_bytes(orjson.dumps(cloud.described(), option=orjson.OPT_INDENT_2))
    return path


def _configuration(cloud: StaticCloud, pages: Path, folder: Path, limit: tuple[int, int] | None) -> str:
    shape = cloud.shape
    hosts = [f"{HOST}:{cloud.port}", *map(cloud.host, shape.regions)]
    described = {"RequestId": "bench", "Regions": {"Region": [{"RegionId": region} for region in shape.regions]}}
    zone = f"limit_req_zone $number$region zone=limit:32m rate={limit[0]}r/s; limit_req_status 429;" if limit else ""
    return _CONFIGURATION.format(
        zone=zone,
        limited=f"limit_req zone=limit burst={limit[1]} nodelay; error_page 429 = @throttled;" if limit else "",
        folder=folder,
        pages=pages,
        user="user root;" if os.geteuid() == 0 else "",
        owners=" ".join(f"{n:05d} {n % shape.accounts};" for n in shape.account_numbers),
        regions=" ".join(f"{cloud.host(region).partition(':')[0]} {region};" for region in shape.regions),
        first=FIRST_TOKEN,
        listens=" ".join(f"listen {host} backlog=4096{' ssl' if cloud.ca_file else ''};" for host in hosts),
        certificate=f"ssl_certificate {cloud.ca_file}; ssl_certificate_key {folder}/key.pem;" if cloud.ca_file else "",
        described=orjson.dumps(described).decode(),
    )


def _certificate(shape: Shape, folder: Path) -> Path:
    """Make a key and a certificate for all addresses; return the certificate's file."""
    addresses = [HOST, *(f"127.0.1.{number + 1}" for number in range(len(shape.regions)))]
    names = ",".join(f"IP:{address}" for address in addresses)
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=benchmark"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run([*command.split(), "-addext", f"subjectAltName={names}", *files], check=True, capture_output=True)
    return folder / "certificate.pem"


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
