"""`emulate`: serve the built-in cloud, for example to the user's own tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crawler.cli.echo import print_line, warn
from crawler.cli.options import CommonOptions, LocalPath, common_options, scale_option, seed_option
from crawler.cli.signals import run_async, stop_signals
from crawler.cli.streams import stdout_only_tells

if TYPE_CHECKING:
    from crawler.emulator import Cloud, CloudSpec, Emulator

_RATE, _BURST = 100, 50
_FIRST_ACCOUNT = 1_000_000_000_000_001
_MOST_ACCOUNTS = 10_000
# The lines of a product's regions, and of the accounts, that are printed.
_MOST_LINES = 5


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
    "--accounts",
    type=click.IntRange(1, _MOST_ACCOUNTS),
    help="Serve a wide cloud: so many accounts, each with a few records in each region. Default with --regions: 2.",
)
@click.option(
    "--regions",
    type=click.IntRange(min=1),
    help="Serve a wide cloud: so many of the regions that regions = 'all' crawls. Default with --accounts: 3.",
)
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
    "being deleted, one without the role). Of a wide cloud, all other accounts are members and usable.",
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
    accounts: int | None,
    regions: int | None,
    day: int,
    has_organization: bool,
    faults: Path | None,
    write_config: Path | None,
) -> None:
    """Serve the built-in cloud until Ctrl-C.

    Listens on loopback: one port for STS and one per region. Checks signatures, pages with opaque tokens and throttles,
    as strictly as the real cloud. With --accounts or --regions, the cloud is wide, for a rehearsal of many accounts.
    """
    from crawler.emulator import Cloud, CloudSpec, FaultScript

    if write_config is not None:
        if str(write_config) == "-":
            raise click.UsageError("--write-config needs the name of a file; - is none.")
        stdout_only_tells()
    common.start_logging()
    spec = CloudSpec(seed=seed, scale=scale, day=day, log_size=0)
    if accounts is not None or regions is not None:
        spec = wide_spec(spec, accounts, regions, has_organization=has_organization)
    elif has_organization:
        spec = _with_organization(spec)
    cloud = Cloud(spec)
    rules = FaultScript.load(faults).rules if faults is not None else []
    cloud.faults.rules += rules
    run_async(lambda: _serve(cloud, port, write_config))
    for number, rule in enumerate(rules, start=1):
        if not rule.fired:
            why = "an earlier rule applied to its requests" if rule.seen else "no request matched it"
            warn(common, f"{faults}, rule {number} had no effect: {why}")


def _with_organization(spec: CloudSpec) -> CloudSpec:
    """Add a management account and four members: two usable, one without the role, and one that is being deleted."""
    from crawler.emulator import CloudOrganization

    accounts = _account_ids(5)
    organization = CloudOrganization(without_role=accounts[3:4], deletions={accounts[4]: "Deleting"})
    return replace(spec, accounts=accounts, organization=organization)


def wide_spec(
    spec: CloudSpec, accounts: int | None, regions: int | None, *, has_organization: bool = False
) -> CloudSpec:
    """Return a specification with so many accounts and regions, of a few records each; None keeps the number.

    The regions are those of the specification, then others of the catalog. Raises `click.BadParameter` if it has fewer.
    """
    from crawler.catalog import load_catalog
    from crawler.emulator import CloudOrganization
    from crawler.run.regions import is_in_all

    products = load_catalog().products
    known = [region for region in products["fc"].endpoints if is_in_all(region, products.values())]
    ordered = tuple(dict.fromkeys((*spec.regions, *sorted(known))))
    if regions is not None and regions > len(ordered):
        hint = f"the catalog has {len(ordered)} regions that regions = 'all' crawls; ask for 1 to {len(ordered)}."
        raise click.BadParameter(hint, param_hint="'--regions'")
    chosen = ordered[: regions or len(spec.regions)]
    served = {key: tuple(region for region in chosen if region in products[key].endpoints) for key in products}
    return replace(
        spec,
        accounts=_account_ids(accounts or len(spec.accounts)),
        regions=chosen,
        opensearch_regions=served["opensearch"],
        searchengine_regions=served.get("searchengine", ()),
        fc_open_regions=served["fc-open"],
        is_wide=True,
        organization=CloudOrganization() if has_organization else None,
    )


def _account_ids(number: int) -> tuple[str, ...]:
    return tuple(str(_FIRST_ACCOUNT + index) for index in range(number))


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
        _print_some(product, [f"{region:<15} {url}" for region, url in by_region.items()])
    keys = [(account_id, *emulator.cloud.credentials(account_id)) for account_id in emulator.cloud.spec.accounts]
    _print_some("account", [" ".join(key) for key in keys])
    if config_path is not None:
        print_line(f"Crawl it: acs-inventory crawl --config {config_path}")
    elif emulator.cloud.spec.is_wide:
        print_line("Write all that a crawl needs to a file: --write-config FILE")
    sys.stdout.flush()


def _print_some(kind: str, lines: Sequence[str]) -> None:
    """Print the first lines of a kind, and how many others there are."""
    for line in lines[:_MOST_LINES]:
        print_line(f"{kind:<17} {line}")
    if len(lines) > _MOST_LINES:
        print_line(f"{kind:<17} … {len(lines) - _MOST_LINES:,} more")


def _write_config(emulator: Emulator, path: Path) -> None:
    """Write the configuration with its variables replaced: these keys are valid in the emulator only."""
    from crawler.catalog import load_catalog
    from crawler.errors import ConfigError

    tables = load_catalog().all_patterns
    text, environ = write_config(emulator, "./snapshots", rate=_RATE, burst=_BURST, tables=tables)
    for name, value in environ.items():
        text = text.replace(f"${{{name}}}", value)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None


def write_config(
    emulator: Emulator, uri: str, *, rate: float, burst: int, tables: Sequence[str] = (), ca_file: str = ""
) -> tuple[str, dict[str, str]]:
    """Return a configuration for a served cloud, and the environment variables that its `${…}` name.

    Without `tables` it has the default ones.
    """
    from crawler.catalog import load_catalog
    from crawler.config.checks import PRODUCTS

    spec, environ = emulator.cloud.spec, {"ACS_INVENTORY_DEMO_KEY": "the-demo-has-no-secrets-to-protect"}
    lines = ["[crawl]", *([f"tables = {_toml(tables)}"] if tables else [])]
    lines += [f"regions = {_toml(spec.regions)}", "", "[output]", f"uri = {_toml(uri)}"]
    lines += ['fingerprint_key = "${ACS_INVENTORY_DEMO_KEY}"', "", "[rate_limits]"]
    limited = [key for key, product in load_catalog().products.items() if product.rate is not None]
    lines += [f"{key} = {{ rate = {rate}, burst = {burst} }}" for key in ("default", "sts", *limited)]
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
    for product, urls in _all_urls(emulator).items():
        if product in PRODUCTS:  # other products need the user's own schema files
            lines += ["", f"[endpoints.{product}]", *(f"{region} = {_toml(url)}" for region, url in urls.items())]
    return "\n".join(lines) + "\n", environ


def _all_urls(emulator: Emulator) -> dict[str, dict[str, str]]:
    """Return product → region → URL, also of regions that have the product in the catalog and not in this cloud.

    A crawl requests these if DescribeRegions is denied. They must not be the real cloud's hosts.
    """
    from crawler.catalog import load_catalog

    products, ports = load_catalog().products, emulator.endpoints["fc"]
    found = {key: dict(urls) for key, urls in emulator.endpoints.items() if not isinstance(urls, str)}
    for key, urls in found.items():
        known = products[key].endpoints if key in products else ()
        if not isinstance(ports, str):
            urls |= {region: url for region, url in ports.items() if region in known}
    return found


def _toml(value: str | Sequence[str]) -> str:
    import orjson

    return orjson.dumps(value if isinstance(value, str) else list(value)).decode()
