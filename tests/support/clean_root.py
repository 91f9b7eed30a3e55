"""A machine that has nothing but its distribution: a root folder, its own /etc, /var, /opt and /tmp, in namespaces.

A command in it sees the real /usr, without /usr/local, and the folders that it is given, read-only. It changes files
below the root folder and no others: mounts are made in a namespace that ends with the command.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_ETC = (
    "ld.so.cache",
    "ld.so.conf",
    "login.defs",
    "nsswitch.conf",
    "protocols",
    "services",
    "alternatives",
    "ssl",
    "pam.d",
    "security",
)
_ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "shadow": "root:*:20000:0:99999:7:::\nnobody:*:20000:0:99999:7:::\n",
    "gshadow": "root:*::\nnogroup:*::\n",
    "hosts": "127.0.0.1 localhost\n",
}
# Folders of the root that mounts cover or that a distribution has.
_FOLDERS = ("dev", "proc", "tmp", "root", "run", "opt", "home", "local/bin", "var/lib", "var/log")
_FOLDERS_OF_ETC = ("cron.d", "logrotate.d", "systemd/system")
_MOUNT = """
set -eu
root=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in {devices}; do : > "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -t proc proc "$root/proc"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"; shift
done
shift
mount --bind "$root/local" "$root/usr/local"
exec chroot "$root" "$@"
"""


def reason_to_skip() -> str:
    """Why this machine's user can't have one, "" if it can. Root can: without namespaces its tests fail."""
    if sys.platform != "linux":
        return "namespaces are Linux's"
    if Path(sys.base_prefix).is_relative_to("/usr/local"):
        return "this Python is in /usr/local, which a clean root has empty"
    return "" if os.geteuid() == 0 else "only root may mount and make users in a root folder of its own"


class CleanRoot:
    """The root folder, and the folders of the real root that its commands see read-only at the same place."""

    def __init__(self, path: Path, shown: tuple[Path, ...] = ()) -> None:
        self.path = path
        self._shown = [Path("/usr"), *shown]
        for name in (*_FOLDERS, *(f"etc/{name}" for name in _FOLDERS_OF_ETC)):
            (path / name).mkdir(parents=True, exist_ok=True)
        (path / "tmp").chmod(0o1777)
        for name in _LINKS:
            if Path("/", name).is_symlink():
                (path / name).symlink_to(Path("/", name).readlink())
            elif Path("/", name).is_dir():
                self._shown.append(Path("/", name))
        for name in _ETC:
            source = Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, path / "etc" / name, symlinks=True)
            elif source.exists():
                shutil.copy(source, path / "etc" / name)
        for name, text in _ACCOUNTS.items():
            (path / "etc" / name).write_text(text)

    def run(
        self, command: str, *, user: str = "", cwd: str = "/", has_network: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell's command as root, or as a user, with nothing but these variables in its environment.

        It is process 1 of its namespace, so nothing that it starts outlives it. Without a network it has not even a
        loopback interface that is up.
        """
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", *([] if has_network else ["--net"])]
        script = _MOUNT.format(devices=" ".join(_DEVICES))
        enter = ["bash", "-c", script, "bash", str(self.path), *map(str, self._shown), "--"]
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **environ}
        shell = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in variables.items()), "/bin/sh", "-c"]
        body = f"cd {shlex.quote(cwd)} && {command}"
        if user:
            body = f"exec setpriv --reuid={user} --regid={user} --init-groups /bin/sh -c {shlex.quote(body)}"
        return subprocess.run(
            [*namespaces, *enter, *shell, body], capture_output=True, text=True, check=False, timeout=120
        )
