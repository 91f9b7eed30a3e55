"""Opens the Dask cluster of `[engine]`: that of an address, or one of worker processes on this machine."""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import anyio
import structlog

from crawler.config import Config
from crawler.config.sections import EngineSection
from crawler.errors import ConfigError, describe_shortage
from crawler.extras import how_to_install
from crawler.run.engine.base import LaunchError
from crawler.run.engine.cpus import worker_count
from crawler.run.engine.dask_launcher import DaskLauncher
from crawler.text import clean_message

if TYPE_CHECKING:
    from distributed import Client, LocalCluster, Security

_CONNECT_S = 30.0
_CLOSE_S = 30.0
# Dask's own log has addresses, tracebacks and keys of tasks. What users need is in the launcher's events.
_NO_LOG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"none": {"class": "logging.NullHandler"}},
    "loggers": {name: {"handlers": ["none"], "propagate": False} for name in ("distributed", "tornado", "asyncio")},
}
# For a cluster of our own. A child's memory isn't the worker's, so that the worker's limits would be blind.
_SETTINGS: dict[str, Any] = {
    "distributed.admin.low-level-log-length": 100,
    "distributed.comm.require-encryption": True,
    "distributed.nanny.pre-spawn-environ": {"DASK_LOGGING": repr(_NO_LOG)},
    "distributed.scheduler.http.routes": [],  # its web server can't be left out
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.worker.http.routes": [],
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    "distributed.worker.profile.enabled": False,
}


def check_engine(config: Config) -> None:
    """Check `[engine]` before anything is sent.

    Raises ConfigError: the extra isn't installed; an output on this machine with workers elsewhere; TLS without its
    files, or with files that can't be used.
    """
    engine = config.engine
    if engine is None:
        return
    if find_spec("distributed") is None or find_spec("cryptography") is None:
        raise ConfigError(f"[engine]: {how_to_install('dask')}")
    if engine.is_remote and not config.output.is_bucket:
        raise ConfigError(
            f"engine.address is on another machine, whose workers can't write to the local output {config.output.uri}: "
            "set output.uri to a bucket, s3://bucket/prefix or oss://bucket/prefix, or leave engine.address out"
        )
    if engine.address is not None and engine.address.startswith("tls://"):
        with _quiet_dask():
            _security(engine)


@asynccontextmanager
async def open_launcher(config: Config, command: Callable[[int], Sequence[str]]) -> AsyncIterator[DaskLauncher]:
    """Connect to the cluster of `[engine]`, or start one, and give its launcher. Nothing of it is left at the end.

    `command` returns, for a shard, the arguments with which each worker runs its own Python. Raises ConfigError as
    `check_engine`, LaunchError for a scheduler that doesn't answer or has no workers.
    """
    check_engine(config)
    engine = config.engine
    assert engine is not None, "the caller asks only with [engine]"
    if engine.address is None:
        async with (
            _local_cluster(worker_count(config.crawl.workers)) as cluster,
            _launcher(cluster.scheduler_address, cluster.security, command, is_local_only=False) as launcher,
        ):
            yield launcher
        return
    with _quiet_dask():
        security = _security(engine) if engine.address.startswith("tls://") else None
        is_local_only = not engine.is_remote and not (config.output.is_bucket and config.output.fingerprint_key)
        async with _launcher(engine.address, security, command, is_local_only=is_local_only) as launcher:
            yield launcher


@asynccontextmanager
async def _launcher(
    address: str, security: Security | None, command: Callable[[int], Sequence[str]], *, is_local_only: bool
) -> AsyncIterator[DaskLauncher]:
    async with _connected(address, security) as client:
        launcher = DaskLauncher(client, address, command, is_local_only=is_local_only)
        try:
            await launcher.begin()
            yield launcher
        finally:
            await launcher.stop()


@asynccontextmanager
async def _connected(address: str, security: Security | None) -> AsyncIterator[Client]:
    """A client of the scheduler. Raises LaunchError if none answers in time."""
    from distributed import Client

    client = Client(address, security=security, asynchronous=True, set_as_default=False, timeout=_CONNECT_S)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            await client
    except (OSError, ValueError, RuntimeError) as error:
        await client.close()
        reason = clean_message(str(error.__cause__ or error)) or type(error).__name__
        raise LaunchError(f"The Dask scheduler {address} can't be reached: {reason}") from None
    for warning in said:
        structlog.get_logger().warning("dask_warning", message=clean_message(str(warning.message)))
    try:
        yield client
    finally:
        with anyio.move_on_after(_CLOSE_S, shield=True):
            await client.close()


@asynccontextmanager
async def _local_cluster(workers: int) -> AsyncIterator[LocalCluster]:
    """A scheduler in this process and worker processes. Only holders of a certificate made here reach them.

    Other users of this machine reach its loopback address, and whoever reaches a scheduler can run code on its workers.
    """
    with _quiet_dask(_SETTINGS):
        from distributed import LocalCluster, Security

        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            memory_limit=0,
            silence_logs=False,
            asynchronous=True,
        )
        try:
            try:
                await cluster
            except (OSError, RuntimeError) as error:
                reason = describe_shortage(error.__cause__ or error) or clean_message(str(error))
                raise LaunchError(f"The Dask workers of this machine can't be started: {reason}") from None
            yield cluster
        finally:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                if (closing := cluster.close()) is not None:
                    await closing


@contextmanager
def _quiet_dask(settings: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Set Dask's configuration for a time, and keep it from logging.

    Its first import is by itself: the defaults that it adds must outlast the settings.
    """
    import dask

    with dask.config.set({"logging": _NO_LOG}):
        import distributed  # noqa: F401
    with dask.config.set(settings):
        yield


def _security(engine: EngineSection) -> Security:
    """TLS of the client: the files of `[engine]`, else those of Dask's own configuration. Raises ConfigError."""
    from distributed import Security

    files = {"tls_ca_file": engine.ca_file, "tls_client_cert": engine.cert_file, "tls_client_key": engine.key_file}
    given = {name: os.fspath(path) for name, path in files.items() if path is not None}
    security = Security(require_encryption=True, **given)
    for name, key in (("tls_ca_file", "ca_file"), ("tls_client_cert", "cert_file")):
        if not getattr(security, name):
            raise ConfigError(
                f"engine.{key} isn't set, and Dask's own configuration doesn't name that file either: a tls:// address "
                "needs the authority of the cluster and a certificate"
            )
    try:
        security.get_connection_args("client")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(f"The TLS files of [engine] can't be used: {clean_message(str(reason))}") from None
    return security
