"""`emulate`: serve the built-in cloud, for example to the user's own tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_line
from crawler.cli.options import CommonOptions, LocalPath, common_options, scale_option, seed_option
from crawler.cli.signals import run_async, stop_signals
from crawler.cli.streams import stdout_only_tells

if TYPE_CHECKING:
    from crawler.emulator import Cloud, CloudSpec, Emulator

_RATE, _BURST = 100, 50


@click.command()
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65000),
    help="Port of STS; the regions get the next ones. 0: free ports.",
)
@seed_option
@scale_option
@click.option(
    "--day",
    default=1,
    show_default=True,
    type=click.IntRange(1, 400),
    help="Day of the same cloud: 2 is one day later. On even days the last account is denied access to OpenSearch.",
)
@click.option(
    "--organization",
    "has_organization",
    is_flag=True,
    help="Add a resource directory: the first account manages it. Four accounts are members, two of them unusable (one "
    "being deleted, one without the role).",
)
@click.option(
    "--faults",
    type=LocalPath(dir_okay=False),
    help="Fault script in JSON or TOML: which requests fail, and how.",
)
@click.option(
    "--write-config",
    type=LocalPath(dir_okay=False),
    help="Write a configuration for crawling this cloud. It contains the keys, so only this user can read it.",
)
@common_options
@click.pass_obj
def emulate(
    common: CommonOptions,
    port: int,
    seed: int,
    scale: int,
    day: int,
    has_organization: bool,
    faults: Path | None,
    write_config: Path | None,
) -> None:
    """Serve the built-in cloud until Ctrl-C.

    Listens on loopback: one port for STS and one per region. Checks signatures, pages with opaque tokens and throttles,
    as strictly as the real cloud.
    """
    from crawler.emulator import Cloud, CloudSpec, FaultScript

    if write_config is not None:
        if str(write_config) == "-":
            raise click.UsageError("--write-config needs the name of a file; - is none.")
        stdout_only_tells()
    common.start_logging()
    spec = CloudSpec(seed=seed, scale=scale, day=day)
    cloud = Cloud(_with_organization(spec) if has_organization else spec)
    if faults is not None:
        cloud.faults.rules += FaultScript.load(faults).rules
    run_async(lambda: _serve(cloud, port, write_config))


def _with_organization(spec: CloudSpec) -> CloudSpec:
    """Add a management account and four members: two usable, one without the role, and one that is being deleted."""
    from crawler.emulator import CloudOrganization

    accounts = tuple(str(1_000_000_000_000_001 + number) for number in range(5))
    organization = CloudOrganization(without_role=accounts[3:4], deletions={accounts[4]: "Deleting"})
    return replace(spec, accounts=accounts, organization=organization)


async def _serve(cloud: Cloud, port: int, config_path: Path | None) -> None:
    import anyio

    from crawler.emulator import serve

    with anyio.open_signal_receiver(*stop_signals()) as signals:
        async with serve(cloud, port=port) as emulator:
            _announce(emulator, config_path)
            async for _ in signals:
                return


def _announce(emulator: Emulator, config_path: Path | None) -> None:
    if config_path is not None:
        _write_config(emulator, config_path)
    for product, urls in emulator.endpoints.items():
        by_region: Mapping[str, str] = {"": urls} if isinstance(urls, str) else urls
        for region, url in by_region.items():
            print_line(f"{product:<17} {region:<15} {url}")
    for account_id in emulator.cloud.spec.accounts:
        key_id, secret = emulator.cloud.credentials(account_id)
        print_line(f"{'account':<17} {account_id} {key_id} {secret}")
    if config_path is not None:
        print_line(f"Crawl it: acs-inventory crawl --config {config_path}")
    sys.stdout.flush()


def _write_config(emulator: Emulator, path: Path) -> None:
    """Write the configuration with its variables replaced: these keys are valid in the emulator only."""
    from crawler.errors import ConfigError

    text, environ = write_config(emulator, "./snapshots", rate=_RATE, burst=_BURST)
    for name, value in environ.items():
        text = text.replace(f"${{{name}}}", value)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None


def write_config(
    emulator: Emulator, uri: str, *, rate: float, burst: int, ca_file: str = ""
) -> tuple[str, dict[str, str]]:
    """Return a configuration for a served cloud, and the environment variables that its `${…}` name."""
    from crawler.config.checks import PRODUCTS

    spec, environ = emulator.cloud.spec, {"ACS_INVENTORY_DEMO_KEY": "the-demo-has-no-secrets-to-protect"}
    lines = ["[crawl]", f"regions = {_toml(spec.regions)}", "", "[output]", f"uri = {_toml(uri)}"]
    lines += ['fingerprint_key = "${ACS_INVENTORY_DEMO_KEY}"', "", "[rate_limits]"]
    lines += [f"{key} = {{ rate = {rate}, burst = {burst} }}" for key in ("default", "fc", "fc-open", "sts")]
    lines += ["", "[tls]", f"ca_file = {_toml(ca_file)}"] if ca_file else []
    if spec.organization is not None:
        lines += ["", "[organization]", f"role_name = {_toml(spec.roles[0])}"]
    configured = spec.accounts if spec.organization is None else spec.accounts[:1]
    for number, account_id in enumerate(configured, 1):
        names = f"EMULATOR_KEY_ID_{number}", f"EMULATOR_KEY_SECRET_{number}"
        environ.update(zip(names, emulator.cloud.credentials(account_id), strict=True))
        lines += ["", "[[accounts]]", f"id = {_toml(account_id)}", "[accounts.credentials]", 'type = "access_key"']
        lines += [f'access_key_id = "${{{names[0]}}}"', f'access_key_secret = "${{{names[1]}}}"']
    lines += ["", "[endpoints]"]
    lines += [f"{product} = {_toml(url)}" for product, url in emulator.endpoints.items() if isinstance(url, str)]
    for product, urls in emulator.endpoints.items():
        if not isinstance(urls, str) and product in PRODUCTS:  # other products need the user's own schema files
            lines += ["", f"[endpoints.{product}]", *(f"{region} = {_toml(url)}" for region, url in urls.items())]
    return "\n".join(lines) + "\n", environ


def _toml(value: str | Sequence[str]) -> str:
    import orjson

    return orjson.dumps(value if isinstance(value, str) else list(value)).decode()
