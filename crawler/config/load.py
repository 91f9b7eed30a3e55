"""Loads the configuration: finds, reads and checks the file, and applies the command line's options.

Relative paths in it (`output.uri`, `tls.ca_file`, `metrics.textfile`, …) are relative to the working directory, as in
the AWS CLI, restic and DuckDB, and not to the file's folder: `./snapshots` means the same in the file and after
`--output`. The configuration of a cron job, which starts elsewhere, needs absolute paths. A leading `~` is `$HOME`, and
`~USER` that user's home folder, as in a shell.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from crawler.client.credentials import OidcSpec
from crawler.client.endpoints import Endpoints, ProductHosts
from crawler.client.proxies import FROM_ENVIRONMENT, ProxyRule, environment_proxy, proxy_variable
from crawler.client.rate_limit import LimitRule
from crawler.config.checks import PRODUCTS, check, check_uri, is_secret
from crawler.config.discovery import find_config
from crawler.config.document import filled_in, parse_document, read_document, referenced
from crawler.config.secrets import open_secrets
from crawler.config.sections import ANY_URI, Account, EngineSection, OutputSection, Section, Settings
from crawler.errors import ConfigError
from crawler.local_files import expand_home
from crawler.text import GLOBAL_REGION
from crawler.validation import Document, KeyPath, dotted, nearest

S = TypeVar("S", bound=Section)

_LARGEST_FILE_BYTES = 8 * 1024 * 1024  # a few thousand accounts are 1 MB


class OpenSecretsError(ConfigError):
    """The file holds a secret in clear text, and other users may read it. `config` is its content nevertheless."""

    def __init__(self, seen: str, remedy: str, config: Config) -> None:
        super().__init__(f"{seen}: {remedy}")
        self.seen = seen
        self.remedy = remedy
        self.config = config


class Config(Settings, frozen=True, kw_only=True):
    """Every section of the file as an attribute, with its defaults. Frozen; secrets show as `***`.

    `directory_account` lists the organization's members; None without [organization]. It stays when the command line
    selects other accounts. `members` are the members to crawl: all, or the IDs and names of the command line.
    `in_file` is the configuration without the options that select accounts, regions or tables; None without options.
    `omits_global`: the command line names regions, and not that of global products.
    `publish`: LATEST and the lake's tables move to the snapshot even if those options narrow the crawl.
    `references` are the names of the environment variables in the file. `proxy` is used for everything that is sent.
    `unused_proxy` names the environment's variable with a proxy that the file doesn't ask for.
    """

    directory_account: Account | None = None
    members: Literal["all"] | tuple[str, ...] = "all"
    in_file: Config | None = None
    omits_global: bool = False
    publish: bool = False
    references: frozenset[str] = frozenset()
    proxy: ProxyRule = ProxyRule()
    unused_proxy: str = ""

    def public(self) -> dict[str, Any]:
        """Return the whole configuration as plain values under the file's keys, each secret as `***`."""
        plain: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return {key: plain[key] for key in Settings.__struct_fields__}

    def regions_for(self, account: Account) -> Literal["all"] | tuple[str, ...]:
        """Return the regions to crawl in an account: its own, limited to `[crawl] regions`."""
        if account.regions == "all":
            return self.crawl.regions
        if self.crawl.regions == "all":
            return account.regions
        return tuple(
            region for region in dict.fromkeys((*account.regions, GLOBAL_REGION)) if region in self.crawl.regions
        )

    def limit_rules(self) -> dict[str, LimitRule]:
        """Return the rules of `[rate_limits]` by key: `default`, a product, or `product.Action`."""
        return {key: LimitRule(rate=limit.rate, burst=limit.burst) for key, limit in self.rate_limits.items()}

    def endpoint_map(self, defaults: Mapping[str, ProductHosts]) -> Endpoints:
        """Return the catalog's endpoints, overridden by `[endpoints]`."""
        overrides = {key: value for key, value in self.endpoints.items() if not isinstance(value, tuple)}
        return Endpoints(defaults, overrides, self.allow)

    def check_products(self, operations: Mapping[str, Collection[str]]) -> None:
        """Check `[endpoints]` and `[rate_limits]` against the catalog's operations: product key → actions.

        Raises ConfigError for a key with an unknown product or action, which would have no effect.
        """
        known = sorted({*operations, *PRODUCTS})
        keys: list[KeyPath] = [("endpoints", key) for key in self.endpoints if key != "allow"]
        keys += [("rate_limits", key) for key in self.rate_limits if key != "default"]
        for path in keys:
            product, _, action = str(path[1]).partition(".")
            if product not in known:
                raise ConfigError(f"{dotted(path)} names no product: {nearest(product, known)}")
            actions = list(operations.get(product, ()))
            if action and product in operations and action not in actions:
                raise ConfigError(f"{dotted(path)} names no operation: {nearest(action, actions)}")

    def with_overrides(
        self,
        *,
        accounts: Sequence[str] = (),
        regions: Sequence[str] = (),
        tables: Sequence[str] = (),
        output: str | None = None,
        output_format: str | None = None,
        publish: bool = False,
    ) -> Config:
        """Return this configuration with the command line's options, which override the file.

        `accounts` selects configured accounts and, with [organization], members, by ID or name. `regions` replaces
        `[crawl] regions` (the regions of an account still limit it), `tables` replaces `[crawl] tables` (`exclude`
        still applies).
        Raises ConfigError with the option's name: a value that the file can't have either, or nothing left to crawl.
        """
        crawl, target, omits_global = self.crawl, self.output, False
        if regions:
            names = "all" if list(regions) == ["all"] else list(dict.fromkeys(regions))
            crawl = _changed(crawl, "regions", names, "--region")
            omits_global = names != "all" and GLOBAL_REGION not in names
        if tables:
            crawl = _changed(crawl, "tables", list(tables), "--table")
        if output is not None:
            output = expand_home(output, os.environ)
            target = _changed(target, "uri", output, "--output")
            check_uri(_option("--output", {"uri": output}), ("uri",), output)
        if output_format is not None:
            target = _changed(target, "format", output_format, "--format")
        changes = {"crawl": crawl, "output": target, "publish": publish, "omits_global": omits_global}
        config = msgspec.structs.replace(self._picked(accounts), **changes)
        if accounts or regions or tables:
            config = msgspec.structs.replace(config, in_file=self)
        chosen = config.accounts if config.organization is None else ()
        if regions and chosen and not any(config.regions_for(account) for account in chosen):
            raise ConfigError("--region: none of these regions is among the accounts' own: nothing would be crawled")
        return config

    def _picked(self, ids: Sequence[str]) -> Config:
        """Select these accounts. If all of them are configured, the organization's members aren't listed."""
        if not ids:
            return self
        found: dict[str, None] = {}
        others: dict[str, None] = {}
        for text in ids:
            account_id = self._configured_id(text)
            (found if account_id else others)[account_id or text] = None
        if others and self.organization is None:
            text = next(iter(others))
            known = [account.id for account in self.accounts]
            known += [account.name for account in self.accounts if account.name]
            raise ConfigError(f"--account: no account has the ID or the name {text[:80]!a}; {nearest(text, known)}")
        return msgspec.structs.replace(
            self,
            accounts=tuple(account for account in self.accounts if account.id in found),
            organization=self.organization if others else None,
            members=tuple(others) or "all",
        )

    def _configured_id(self, text: str) -> str:
        """Return the ID of the configured account with this ID or name; empty for neither.

        Raises ConfigError for a name that several accounts have.
        """
        if any(account.id == text for account in self.accounts):
            return text
        named = [account.id for account in self.accounts if account.name == text]
        if len(named) > 1:
            raise ConfigError(f"--account: {text[:80]!a} is the name of {' and '.join(named[:5])}; give one of the IDs")
        return named[0] if named else ""


def output_folder(uri: str) -> Path:
    """Return the local folder of an output's URI. Raises ConfigError for a URI that isn't local."""
    try:
        return OutputSection(uri=expand_home(uri, os.environ)).path
    except ValueError:
        raise ConfigError(
            f"--output is {uri[:200]!a}: it must be a path, file:///folder, s3://bucket/prefix or oss://bucket/prefix"
        ) from None


def load_config(path: Path | None, environ: Mapping[str, str], *, cwd: Path, output: str = "") -> Config:
    """Load the configuration at `path`, else at `$ACS_INVENTORY_CONFIG`, else at the first usual place that has one.

    Relative paths become absolute paths under `cwd`. `output` is the output of the command line, if it names one: only
    without it must a file of the user or the system name an absolute one.

    Raises ConfigError: no file, an unreadable file, a file with a secret in clear text that other users may open, and
    every mistake that `parse_config` finds.
    """
    place = find_config(path, environ, cwd)
    text, mode = _read(place.path)
    sections: Collection[str] = ()
    try:
        document = parse_document(text, source=str(place.path), is_secret=is_secret)
        sections = document.raw
        document = filled_in(document, environ)
        config = _checked(document, environ, cwd)
    except ConfigError as error:
        raise place.explained(error, sections, Settings.__struct_fields__) from None
    if not output:
        place.check_output(document, str(document.values.get("output", {}).get("uri", Settings().output.uri)))
    if mode & 0o077:
        _refuse_open_secrets(config, document, place.path, mode)
    return config


def config_of(raw: Mapping[str, Any], *, source: str, environ: Mapping[str, str], cwd: Path) -> Config:
    """Return the configuration of parsed TOML. Raises ConfigError as `parse_config`."""
    return _checked(filled_in(Document(source, raw, raw, is_secret), environ), environ, cwd)


def read_config(path: Path | None, environ: Mapping[str, str], *, cwd: Path) -> tuple[Path, str]:
    """Return the place and the text of the file that `load_config` loads. Raises ConfigError."""
    place = find_config(path, environ, cwd).path
    return place, _read(place)[0]


def parse_config(text: str, *, source: str, environ: Mapping[str, str], cwd: Path | None = None) -> Config:
    """Parse a configuration. `source` is its name in messages. Without `cwd`, relative paths stay relative.

    Raises ConfigError, one sentence with the key, the value and the accepted values: malformed TOML, an unset
    `${NAME}`, an unknown key, a wrong type, a value out of range, contradicting sections, a missing file.
    """
    return _checked(read_document(text, source=source, environ=environ, is_secret=is_secret), environ, cwd)


def _checked(document: Document, environ: Mapping[str, str], cwd: Path | None) -> Config:
    settings = _located(document.convert(Settings), environ, cwd)
    check(settings, document)
    sections = {key: getattr(settings, key) for key in Settings.__struct_fields__}
    references = frozenset(referenced(document.raw))
    proxy = _proxy(settings, document, environ)
    return Config(
        **sections,
        directory_account=_directory_account(settings),
        references=references,
        proxy=proxy,
        unused_proxy=proxy_variable(environ) if not proxy.url else "",
    )


def _proxy(settings: Settings, document: Document, environ: Mapping[str, str]) -> ProxyRule:
    given = settings.network.proxy.reveal() if settings.network.proxy is not None else ""
    if given != FROM_ENVIRONMENT:
        return ProxyRule(given)
    try:
        return environment_proxy(environ)
    except ConfigError as error:
        raise document.error(("network", "proxy"), f'is "{FROM_ENVIRONMENT}", but {error}') from None


def _directory_account(settings: Settings) -> Account | None:
    """The account that lists the organization's members: the one that [organization] names, else the first."""
    if settings.organization is None:
        return None
    named = settings.organization.account or settings.accounts[0].id
    return next(account for account in settings.accounts if account.id == named)


def _read(place: Path) -> tuple[str, int]:
    """The text and the mode of the file, both of one open file."""
    try:
        with place.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{place} can't be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE_BYTES:
        raise ConfigError(f"{place} is larger than 8 MiB: this can't be the configuration")
    try:
        return content.decode("utf-8-sig"), mode
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(f"{place}: line {line} isn't UTF-8, which TOML must be") from None


def _refuse_open_secrets(config: Config, document: Document, place: Path, mode: int) -> None:
    for path in open_secrets(config, document):
        seen = document.error(path, f"is in clear in a file that others may open (mode {mode:04o})")
        remedy = f"run `chmod 600 {shlex.quote(str(place))}`, or take it from the environment as ${{NAME}}"
        raise OpenSecretsError(str(seen), remedy, config)


def _located(settings: Settings, environ: Mapping[str, str], cwd: Path | None) -> Settings:
    """The sections with their local paths resolved."""

    def place(path: Path) -> Path:
        path = Path(expand_home(str(path), environ))
        return cwd / path if cwd is not None else path

    uri, ca_file, textfile = settings.output.uri, settings.tls.ca_file, settings.metrics.textfile
    if not ANY_URI.fullmatch(uri) and (cwd is not None or uri.startswith("~")):
        uri = str(place(Path(uri)))
    replace = msgspec.structs.replace
    return replace(
        settings,
        output=replace(settings.output, uri=uri),
        tls=replace(settings.tls, ca_file=place(ca_file) if ca_file else None),
        metrics=replace(settings.metrics, textfile=place(textfile) if textfile else None),
        catalog=replace(settings.catalog, extra=tuple(place(folder) for folder in settings.catalog.extra)),
        accounts=tuple(_account_located(account, place) for account in settings.accounts),
        engine=_engine_located(settings.engine, place) if settings.engine else None,
    )


def _engine_located(engine: EngineSection, place: Callable[[Path], Path]) -> EngineSection:
    files = {name: getattr(engine, name) for name in ("ca_file", "cert_file", "key_file")}
    return msgspec.structs.replace(engine, **{name: place(path) for name, path in files.items() if path})


def _account_located(account: Account, place: Callable[[Path], Path]) -> Account:
    credentials = account.credentials
    if not isinstance(credentials, OidcSpec) or credentials.oidc_token_file is None:
        return account
    credentials = msgspec.structs.replace(credentials, oidc_token_file=place(credentials.oidc_token_file))
    return msgspec.structs.replace(account, credentials=credentials)


def _changed(section: S, key: str, value: object, option: str) -> S:
    """The section with the command line's value at one key, checked like a value of the file."""
    changed = _option(option, {key: value}).convert(type(section))
    return msgspec.structs.replace(section, **{key: getattr(changed, key)})


def _option(option: str, values: Mapping[str, object]) -> Document:
    return Document(option, values, values, is_secret)
