"""Checks that types can't express: the values of a configuration against each other and against the disk.

Each check raises ConfigError with one sentence. No check prints a URL, which may hold a password.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

from crawler.catalog import product_keys
from crawler.client.endpoints import check_allow, check_proxy, check_template, split_hook
from crawler.client.proxies import FROM_ENVIRONMENT
from crawler.config.sections import ANY_URI, BUCKET_URI, ENGINE_ADDRESS, FILE_URI, Account, Settings
from crawler.errors import ConfigError
from crawler.secret_text import SHORTEST_KEY, is_weak_key
from crawler.text import GLOBAL_REGION, REGION_ID, bucket_uri_problem
from crawler.validation import Document, KeyPath, nearest

P = ParamSpec("P")

# The built-in products, and the services of the crawler's own calls.
PRODUCTS = (*product_keys(), "sts", "resourcedirectory")

_RATE_KEY = re.compile(r"([a-z][a-z0-9-]*)(?:\.[A-Z][A-Za-z0-9]*)?")
_SHOWN_CREDENTIALS = {"type", "source", "role_session_expiration"}
_HIDDEN_SECTIONS = {"endpoints", "network", "ping"}

# Without and with [organization].
_NO_ACCOUNT = (
    "there is no account to crawl: add an [[accounts]] table with its id",
    "[organization] needs an account that asks for its members: add an [[accounts]] table with its id",
)


def is_secret(path: KeyPath) -> bool:
    """Whether messages must hide the value at a key: a key, a token, or a URL that may hold a password.

    Under `credentials` every value counts that isn't known to be harmless: users paste keys in the wrong line.
    """
    names = [part for part in path if isinstance(part, str)]
    if "credentials" in names:
        return names[-1] not in _SHOWN_CREDENTIALS
    return names[0] in _HIDDEN_SECTIONS or names[-1] in {"fingerprint_key", "catalog_uri", "push"}


def check(settings: Settings, document: Document) -> None:
    """Check the sections against each other and against the disk. Raises ConfigError for the first mistake."""
    _check_accounts(settings, document)
    _check_organization(settings, document)
    check_uri(document, ("output", "uri"), settings.output.uri)
    _check_fingerprint_key(settings, document)
    _check_engine(settings, document)
    _check_endpoints(settings, document)
    _check_rate_limits(settings, document)
    _check_files(settings, document)
    if settings.ping.url is not None:
        _apply(document, ("ping", "url"), split_hook, settings.ping.url.reveal())
    if settings.metrics.push is not None:
        _apply(document, ("metrics", "push"), split_hook, settings.metrics.push.reveal())
    if settings.network.proxy is not None and settings.network.proxy.reveal() != FROM_ENVIRONMENT:
        _apply(document, ("network", "proxy"), check_proxy, settings.network.proxy.reveal())


def check_uri(document: Document, path: KeyPath, uri: str) -> None:
    """Check the text of an output's URI. Raises ConfigError."""
    is_uri = ANY_URI.fullmatch(uri) is not None
    if is_uri and not FILE_URI.fullmatch(uri) and not BUCKET_URI.fullmatch(uri):
        raise document.refuse(path, "a path, file:///folder, s3://bucket/prefix or oss://bucket/prefix")
    if BUCKET_URI.fullmatch(uri) and (problem := bucket_uri_problem(uri)):
        raise document.error(path, problem)


def _check_fingerprint_key(settings: Settings, document: Document) -> None:
    key = settings.output.fingerprint_key
    if key is not None and is_weak_key(key.reveal()):
        accepted = f"at least {SHORTEST_KEY} random characters, such as those of `openssl rand -hex 32`"
        raise document.refuse(("output", "fingerprint_key"), accepted)


def _check_engine(settings: Settings, document: Document) -> None:
    engine = settings.engine
    if engine is None:
        return
    found = ENGINE_ADDRESS.fullmatch(engine.address or "")
    for key in ("ca_file", "cert_file", "key_file"):
        if getattr(engine, key) is not None and (found is None or found[1] != "tls"):
            raise document.error(("engine", key), "has no effect: it is for an engine.address that begins with tls://")
    if found is None:
        return
    if not 0 < int(found[4]) < 1 << 16 or (engine.is_remote and found[1] == "tcp"):
        raise document.refuse(("engine", "address"), "tls://host:port, or tcp://host:port with a loopback address")
    if engine.is_remote and settings.output.fingerprint_key is None:
        raise document.error(
            ("engine", "address"),
            "is on another machine, so that output.fingerprint_key must be set: without it, equal secrets have another "
            "fingerprint on each machine",
        )


def _check_accounts(settings: Settings, document: Document) -> None:
    if not settings.accounts:
        raise ConfigError(f"{document.source}: {_NO_ACCOUNT[settings.organization is not None]}")
    _check_repeats(document, ("crawl", "regions"), settings.crawl.regions)
    seen: dict[str, int] = {}
    for index, account in enumerate(settings.accounts):
        path: KeyPath = ("accounts", index)
        if account.id in seen:
            raise document.error((*path, "id"), f"is {account.id}, which accounts[{seen[account.id]}] has already")
        seen[account.id] = index
        _check_repeats(document, (*path, "regions"), account.regions)
        _check_narrower(document, (*path, "regions"), account, settings)


def _check_organization(settings: Settings, document: Document) -> None:
    organization = settings.organization
    if organization is None:
        return
    configured = [account.id for account in settings.accounts]
    if organization.account is not None and organization.account not in configured:
        raise document.error(
            ("organization", "account"), f"is {organization.account}, which isn't among [[accounts]]: add it there"
        )
    _check_repeats(document, ("organization", "exclude"), organization.exclude)
    for account_id in organization.exclude:
        if account_id in configured:
            where = f"accounts[{configured.index(account_id)}]"
            raise document.error(
                ("organization", "exclude"), f"names {account_id}, which {where} configures: remove one of the two"
            )


def _check_repeats(document: Document, path: KeyPath, names: str | tuple[str, ...]) -> None:
    for index, name in enumerate(names if isinstance(names, tuple) else ()):
        if name == "all" or name in names[:index]:
            raise document.error(path, f"names {name} twice")


def _check_narrower(document: Document, path: KeyPath, account: Account, settings: Settings) -> None:
    wide = settings.crawl.regions
    has_all = "all" in (wide, account.regions)
    beyond = [] if has_all else [name for name in account.regions if name not in (*wide, GLOBAL_REGION)]
    if beyond:
        raise document.error(path, f"names {beyond[0]}, which crawl.regions leaves out: add it there")


def _check_endpoints(settings: Settings, document: Document) -> None:
    for pattern in settings.allow:
        _apply(document, ("endpoints", "allow"), check_allow, pattern)
    for key, value in settings.endpoints.items():
        path: KeyPath = ("endpoints", key)
        if (key == "allow") != isinstance(value, tuple):
            raise document.refuse(
                path, "a list of host patterns" if key == "allow" else "an https URL or a table of them"
            )
        if key != "allow":
            _check_product(settings, document, path, key)
        by_region = value if isinstance(value, dict) else {}
        for region, url in by_region.items():
            if not REGION_ID.fullmatch(region):
                raise document.error((*path, region), "isn't a region ID such as cn-hangzhou")
            _apply(document, (*path, region), check_template, url, settings.allow)
        if isinstance(value, str):
            _apply(document, path, check_template, value, settings.allow)


def _apply(document: Document, path: KeyPath, check: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        check(*args, **kwargs)
    except ConfigError as error:
        raise document.error(path, f"can't be used: {error}") from None


def _check_rate_limits(settings: Settings, document: Document) -> None:
    for key in settings.rate_limits:
        match = _RATE_KEY.fullmatch(key)
        if match is None:
            raise document.error(("rate_limits", key), 'isn\'t "default", a product or "product.Action"')
        if key != "default":
            _check_product(settings, document, ("rate_limits", key), match[1])


def _check_product(settings: Settings, document: Document, path: KeyPath, product: str) -> None:
    """With a catalog of the user's own, which may add products, `Config.check_products` checks instead."""
    if product not in PRODUCTS and not settings.catalog.extra:
        raise document.error(path, f"names no product: {nearest(product, list(PRODUCTS))}")


def _check_files(settings: Settings, document: Document) -> None:
    ca_file, path = settings.tls.ca_file, ("tls", "ca_file")
    if ca_file is not None and not (ca_file.is_file() and os.access(ca_file, os.R_OK)):
        raise document.refuse(path, f"a file that can be read{_looked_for(document, path, ca_file)}")
    if ca_file is not None:
        _check_ca_file(document, path, ca_file)
    for index, folder in enumerate(settings.catalog.extra):
        place: KeyPath = ("catalog", "extra", index)
        if not folder.is_dir():
            raise document.refuse(place, f"a folder{_looked_for(document, place, folder)}")


def _check_ca_file(document: Document, path: KeyPath, ca_file: Path) -> None:
    from crawler.client.tls import check_ca_file  # imports ssl, which takes long

    try:
        check_ca_file(ca_file)
    except ConfigError as error:
        raise document.error(path, f"names a file{_looked_for(document, path, ca_file)} that {error}") from None


def _looked_for(document: Document, path: KeyPath, place: Path) -> str:
    """Where a path led to. Empty for a path with a `${NAME}` in it: no message shows texts of the environment."""
    return "" if document.has_reference(path) else f" (looked for {place})"
