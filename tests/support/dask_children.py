"""Children and clusters for the tests of the Dask launcher: small scripts, and a scheduler with workers over TLS."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import trustme

ROOT = Path(__file__).parents[2]
# What the command does with its parent, and one line of each kind. The last argument says what comes between.
_CHILD = """
import ctypes, json, os, signal, sys, time

ctypes.CDLL(None).prctl(1, signal.SIGKILL)
assert os.getppid() == int(os.environ["ACS_INVENTORY_PARENT"])
shard = int(sys.argv[1])

def say(**values):
    print(json.dumps(values), file=sys.stderr, flush=True)

print("nobody reads this")
say(event="crawl_started", level="info", shard=shard, pid=os.getpid(), parent=os.getppid())
say(event="progress", shard=shard, attempt=1, rows=shard)
exec(sys.argv[2])
say(event="shard_ended", shard=shard, attempt=1, exit_code=0)
"""


class Children:
    """The command of a launcher. `does`: shard → Python code of its child; `does[None]`: of the others."""

    def __init__(self, folder):
        self.script = folder / "child.py"
        self.script.write_text(_CHILD)
        self.does = {None: ""}

    def __call__(self, shard):
        return [str(self.script), str(shard), self.does.get(shard, self.does.get(None, ""))]


def is_alive(pid):
    """Whether a process runs; a zombie doesn't."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def wait_until(condition, seconds=30.0):
    """Wait in this thread for what another process does. Returns the condition's first true value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.02)
    return value


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class TlsCluster:
    """A scheduler and workers on loopback, as a user starts them: commands, and certificates of an authority."""

    def __init__(self, folder, stack):
        self.folder = folder
        self._stack = stack
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "cert.pem"))
        self.address = f"tls://127.0.0.1:{free_port()}"
        port = self.address.rpartition(":")[2]
        options = ["--protocol", "tls", "--host", "127.0.0.1", "--port", port, "--no-dashboard"]
        self.scheduler = self._start("dask_scheduler", *options)

    def add_worker(self, *options):
        """Start a worker process under its nanny. Returns the nanny's process."""
        folder = ["--local-directory", str(self.folder)]
        return self._start("dask_worker", self.address, "--no-dashboard", "--nthreads", "1", *folder, *options)

    def configuration(self, more=""):
        return (
            f'[engine]\nkind = "dask"\naddress = "{self.address}"\nca_file = "{self.folder}/ca.pem"\n'
            f'cert_file = "{self.folder}/cert.pem"\n{more}[[accounts]]\nid = "1"\n'
        )

    def _start(self, module, *options):
        tls = ["--tls-ca-file", str(self.folder / "ca.pem"), "--tls-cert", str(self.folder / "cert.pem")]
        command = [sys.executable, "-m", f"distributed.cli.{module}", *options, *tls]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return process


@contextmanager
def tls_cluster(folder):
    with ExitStack() as stack:
        yield TlsCluster(folder, stack)


def processes_below(pid):
    """All processes below one, over all generations."""
    return psutil.Process(pid).children(recursive=True)


def listening_hosts(processes):
    """The addresses of this machine at which these processes accept TCP connections."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            found |= {each.laddr[0] for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    return found
