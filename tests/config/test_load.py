"""The configuration: valid files, the one sentence per error, and the values never shown (T12, T14, T16)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import msgspec
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.client.endpoints import ProductHosts
from crawler.client.rate_limit import LimitRule
from crawler.config import discovery, load_config, parse_config
from crawler.config.sections import Settings
from crawler.errors import ConfigError
from crawler.text import ends_with_line_break
from crawler.validation import Secret
from tests.support.config_keys import struct_keys
from tests.support.examples import examples

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
CANARY = "c4n4ryS3cretValue"
LONG_CANARY = CANARY * 2
ONE = '[[accounts]]\nid = "1000000000000001"\n'
KEYS = '[accounts.credentials]\ntype = "access_key"\naccess_key_id = "${ID}"\naccess_key_secret = "${KEY}"\n'
ENVIRON = {
    "ID": "LTAI0001",
    "KEY": CANARY,
    "LONG_KEY": LONG_CANARY,
    "EMPTY": "",
    "NAME": "prod",
    "SPACED": f"{CANARY} {CANARY}",
    "LINE": f"{CANARY}\r\n",
    "HOME": "/home/someone",
}


def parse(text, environ=ENVIRON):
    return parse_config(text, source="config.toml", environ=environ)


def refusal(text, environ=ENVIRON):
    with pytest.raises(ConfigError) as caught:
        parse(text, environ)
    message = str(caught.value)
    assert "\n" not in message
    assert CANARY not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_defaults_are_the_documented_ones():
    config = parse(ONE)
    assert (config.crawl.tables, config.crawl.exclude, config.crawl.regions) == (("*",), (), "all")
    assert (config.crawl.concurrency, config.crawl.request_timeout_s, config.crawl.deadline_s) == (64, 30.0, 0.0)
    assert config.crawl.require_complete is False
    assert (config.output.uri, config.output.format) == ("./snapshots", "parquet")
    assert (config.output.part_size, config.output.part_bytes) == ("128MiB", 128 * 1024 * 1024)
    assert (config.output.secrets, config.output.unknown) == ("fingerprint", "fingerprint")
    assert (config.output.umask_bits, config.output.fingerprint_key) == (0o077, None)
    assert (config.retry.max_attempts, config.retry.max_delay_s) == (8, 60.0)
    assert config.transport.max_page_bytes == 16 * 1024 * 1024
    assert (config.tls.ca_file, config.catalog.extra, config.opensearch.functions) == (None, (), ())
    assert (config.endpoints, config.rate_limits, config.allow) == ({}, {}, ())
    assert (config.crawl.workers, config.engine) == (1, None)


@pytest.mark.parametrize(("size", "mebibytes"), [("1MiB", 1), ("999MiB", 999), ("1024MiB", 1024), ("1GiB", 1024)])
def test_a_size_of_parts_is_read_in_bytes(size, mebibytes):
    assert parse(f'{ONE}\n[output]\npart_size = "{size}"').output.part_bytes == mebibytes * 1024 * 1024


def test_every_section_is_read(tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    config = parse(
        f"""
        [crawl]
        tables = ["fc_*"]
        exclude = ["fc_tags"]
        regions = ["cn-hangzhou", "cn-beijing"]
        concurrency = 8
        workers = "auto"
        request_timeout = 5
        deadline = 60
        require_complete = true
        [output]
        uri = "{tmp_path}/out"
        part_size = "1GiB"
        secrets = "mask"
        unknown = "keep"
        fingerprint_key = "${{LONG_KEY}}"
        umask = "027"
        [[accounts]]
        id = "1"
        name = "${{NAME}}-1"
        regions = ["cn-beijing"]
        [engine]
        kind = "dask"
        address = "tls://${{NAME}}.example:8786"
        ca_file = "~/ca.pem"
        cert_file = "client.pem"
        key_file = "{tmp_path}/client.key"
        [endpoints]
        allow = ["*.corp.example"]
        fc = "https://{{region}}.corp.example"
        [endpoints.opensearch]
        cn-hangzhou = "http://127.0.1.1:9000"
        [rate_limits]
        default = {{ rate = 20, burst = 5 }}
        "fc-open.ListInstances" = {{ rate = 0.5 }}
        [retry]
        max_attempts = 3
        max_delay = 1.5
        [tls]
        ca_file = "{tmp_path}/ca.pem"
        [catalog]
        extra = ["{tmp_path}"]
        [opensearch]
        functions = ["my_function"]
        [transport]
        max_page_bytes = 4096
        """
    )
    assert (config.crawl.tables, config.crawl.regions) == (("fc_*",), ("cn-hangzhou", "cn-beijing"))
    assert (config.crawl.request_timeout_s, config.crawl.deadline_s, config.crawl.require_complete) == (5.0, 60.0, True)
    assert (config.output.path, config.output.umask_bits) == (tmp_path / "out", 0o027)
    assert config.output.part_bytes == 1024**3
    assert config.output.fingerprint_key == Secret(LONG_CANARY)
    assert (config.accounts[0].name, config.accounts[0].regions) == ("prod-1", ("cn-beijing",))
    assert (config.retry.max_attempts, config.retry.max_delay_s) == (3, 1.5)
    assert (config.tls.ca_file, config.catalog.extra) == (tmp_path / "ca.pem", (tmp_path,))
    assert (config.opensearch.functions, config.transport.max_page_bytes) == (("my_function",), 4096)
    assert (config.crawl.workers, config.engine.kind) == ("auto", "dask")
    assert (config.engine.address, config.engine.is_remote) == ("tls://prod.example:8786", True)
    assert (config.engine.ca_file, config.engine.cert_file) == (Path("/home/someone/ca.pem"), Path("client.pem"))
    assert config.engine.key_file == tmp_path / "client.key"
    assert config.limit_rules() == {"default": LimitRule(20.0, 5), "fc-open.ListInstances": LimitRule(0.5, 1)}


def test_endpoints_go_over_the_catalogs_own():
    text = '[endpoints]\nallow = ["*.corp.example"]\nfc = "https://{region}.corp.example"\n'
    text += '[endpoints.opensearch]\ncn-x = "http://127.0.1.1:9000"\n'
    defaults = {"opensearch": ProductHosts("opensearch.{region}.aliyuncs.com")}
    endpoints = parse(text + ONE).endpoint_map(defaults)
    assert endpoints.resolve("fc", "cn-x", "1").url == "https://cn-x.corp.example"
    assert endpoints.resolve("opensearch", "cn-x", "1").url == "http://127.0.1.1:9000"
    assert endpoints.resolve("opensearch", "cn-y", "1").url == "https://opensearch.cn-y.aliyuncs.com"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("${NAME}", "prod"),
        ("a-${NAME}-${ID}", "a-prod-LTAI0001"),
        ("$${NAME}", "${NAME}"),
        ("$NAME", "$NAME"),
        ("5$", "5$"),
        ("$$", "$$"),
        ("$$$${NAME}", "$$${NAME}"),
        ("${NAME}$${NAME}", "prod${NAME}"),
    ],
)
def test_variables_stand_for_the_environments_text(written, read):
    assert parse(f'{ONE}name = "{written}"').accounts[0].name == read


def test_what_a_variable_holds_is_not_read_again():
    assert parse(f'{ONE}name = "${{A}}"', {"A": "${B}"}).accounts[0].name == "${B}"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("snapshots", "snapshots"),
        ("/a/b", "/a/b"),
        ("file:///a/b%20c", "/a/b c"),
        ("file://localhost/a", "/a"),
        ("~/x", "/home/me/x"),
    ],
)
def test_a_local_output_has_a_path(uri, path):
    config = parse(f'[output]\nuri = "{uri}"\n{ONE}', {"HOME": "/home/me"})
    assert config.output.path == Path(path)


ROLE = 'role_arn = "acs:ram::1000000000000002:role/inventory-reader"\n'


def credentials(body):
    return parse(f"{ONE}[accounts.credentials]\n{body}").accounts[0].credentials


def test_without_credentials_an_account_takes_the_default_chain():
    assert parse(ONE).accounts[0].credentials.type == "default"


def test_credentials_reach_their_provider_in_clear():
    spec = credentials('type = "sts"\naccess_key_id = "${ID}"\naccess_key_secret = "${KEY}"\nsecurity_token = "t0ken"')
    assert spec.type == "sts"
    texts = [key.reveal() for key in (spec.access_key_id, spec.access_key_secret, spec.security_token)]
    assert texts == ["LTAI0001", CANARY, "t0ken"]


def test_a_roles_settings_reach_their_provider():
    spec = credentials(
        f'type = "ram_role_arn"\nsource = "default"\nrole_session_expiration = 900\nexternal_id = "x"\n{ROLE}'
    )
    assert (spec.role_arn, spec.source) == ("acs:ram::1000000000000002:role/inventory-reader", "default")
    assert (spec.role_session_expiration, spec.external_id, spec.role_session_name) == (900, "x", None)


def test_a_token_file_is_a_path():
    assert credentials('type = "oidc_role_arn"\noidc_token_file = "/run/token"').oidc_token_file == Path("/run/token")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('access_key_id = "x"', "accounts[0].credentials.type is missing: it must be default, access_key"),
        ('type = "acess_key"', 'accounts[0].credentials.type is "acess_key", but must be default, access_key'),
        (
            'type = "access_key"\naccess_key_id = "x"',
            'accounts[0].credentials.access_key_secret is missing: type = "access_key" needs it',
        ),
        (
            'type = "sts"\naccess_key_id = "x"\naccess_key_secret = "y"',
            'accounts[0].credentials.security_token is missing: type = "sts" needs it',
        ),
        (
            'type = "default"\nrole_name = "x"',
            'accounts[0].credentials.role_name isn\'t used with type = "default", only with',
        ),
        (f'type = "ram_role_arn"\n{ROLE}', "accounts[0].credentials.access_key_id is missing: "),
        (
            'type = "ram_role_arn"\nsource = "default"',
            'accounts[0].credentials.role_arn is missing: type = "ram_role_arn" needs it',
        ),
        (
            'type = "ram_role_arn"\nrole_arn = "reader"',
            "accounts[0].credentials.role_arn is text that does not fit, but must be",
        ),
        (
            'type = "profile"\nprofil = "x"',
            'accounts[0].credentials.profil isn\'t a known key: did you mean "profile"?',
        ),
        (
            'type = "oidc_role_arn"\nrole_session_expiration = 899',
            "role_session_expiration is 899, but must be whole seconds from 900",
        ),
        (
            'type = "oidc_role_arn"\nrole_session_expiration = 3601',
            "role_session_expiration is 3601, but must be whole seconds",
        ),
        (
            'type = "ecs_ram_role"\nrole_name = "acs:ram::1:role/x"',
            "role_name is text that does not fit, but must be a RAM role's",
        ),
        ('type = "access_key"\naccess_key_id = ""', "access_key_id is empty, but must be"),
        ('type = "access_key"\naccess_key_id = "${EMPTY}"', 'access_key_id is "${EMPTY}", which is empty, but must be'),
        (
            'type = "access_key"\naccess_key_secret = "${SPACED}"',
            'access_key_secret is "${SPACED}", whose value does not fit',
        ),
        (
            f'type = "access_key"\naccess_key_secret = "{CANARY} "',
            "access_key_secret is text that does not fit, but must be",
        ),
        (
            f'type = "access_key"\naccess_key_secret = "{CANARY}${{SPACED}}"',
            "access_key_secret is text that does not fit",
        ),
        (f'type = "access_key"\naccess_key_secret = ["{CANARY}"]', "access_key_secret is a list that does not fit"),
        (f'type = "access_key"\naccess_key_scret = "{CANARY}"', 'did you mean "access_key_secret"?'),
        (f'type = "ram_role_arn"\nrole_arn = "{CANARY}"', "role_arn is text that does not fit"),
        (f'type = "default"\naccess_key_secret = "{CANARY}"', "access_key_secret isn't used with type"),
    ],
)
def test_credentials_that_do_not_fit_are_refused_without_their_value(body, message):
    assert message in refusal(f"{ONE}[accounts.credentials]\n{body}")


def test_a_line_break_at_the_end_of_a_variable_is_left_out():
    """F84: a key from a secret of Kubernetes is the same key in `${NAME}` as in the default chain."""
    text = (
        f'{ONE}[accounts.credentials]\ntype = "access_key"\naccess_key_id = "${{ID}}"\naccess_key_secret = "${{LINE}}"'
    )
    config = parse(text)
    assert config.accounts[0].credentials.access_key_secret.reveal() == CANARY
    assert config.references == {"ID", "LINE"}
    assert ends_with_line_break({**ENVIRON, "OSS_X": "x\n", "OTHER": "\n"}, config.references) == ["LINE", "OSS_X"]


DASK = '[engine]\nkind = "dask"\n'
REFUSED = [
    ("", "config.toml: there is no account to crawl: add an [[accounts]] table with its id"),
    ("[crawl]\nconcurency = 1", 'config.toml: crawl.concurency isn\'t a known key: did you mean "concurrency"?'),
    ("[crwl]", 'config.toml: crwl isn\'t a known key: did you mean "crawl"?'),
    ("[zzz]", "config.toml: zzz isn't a known key: known here: accepted, accounts, catalog, crawl"),
    ('"a b\\n" = 1', 'config.toml: "a b\\n" isn\'t a known key'),
    (
        '"x` - at `$[0].crawl" = 1',
        'config.toml: "x` - at `$[0].crawl" isn\'t a known key: known here: accepted, accounts',
    ),
    ("crawl = 1", "config.toml: crawl is 1, but must be a table, [crawl]"),
    ("[crawl]\nconcurrency = 0", "config.toml: crawl.concurrency is 0, but must be a whole number from 1 to 1024"),
    ("[crawl]\nconcurrency = 1025", "crawl.concurrency is 1025, but must be"),
    ("[crawl]\nconcurrency = 1.0", "crawl.concurrency is 1.0, but must be"),
    ("[crawl]\nconcurrency = true", "crawl.concurrency is true, but must be"),
    ('[crawl]\nconcurrency = "8"', 'crawl.concurrency is "8", but must be'),
    ("[crawl]\nconcurrency = 0x" + "f" * 5000, "crawl.concurrency is an integer, but must be"),
    *(
        (
            f"[crawl]\nworkers = {value}",
            f'crawl.workers is {value}, but must be a whole number from 1 to 256, or "auto"',
        )
        for value in ("0", "-1", "257", "1.0", "true", '"all"', '"2"')
    ),
    ("[crawl]\nrequest_timeout = 0", "crawl.request_timeout is 0, but must be seconds, above 0 and at most 3600"),
    ("[crawl]\nrequest_timeout = nan", "crawl.request_timeout is NaN, but must be"),
    ("[crawl]\nrequest_timeout = inf", "crawl.request_timeout is Infinity, but must be"),
    ("[crawl]\ndeadline = -1", "crawl.deadline is -1, but must be seconds, 0 for none"),
    ("[crawl]\ndeadline = nan", "crawl.deadline is NaN, but must be"),
    ("[crawl]\ndeadline = 2026-01-01", "crawl.deadline is a date or time, but must be"),
    ("[crawl]\nrequire_complete = 1", "crawl.require_complete is 1, but must be true or false"),
    ("[crawl]\ntables = []", "crawl.tables is an empty list, but must be a list of table names or globs"),
    ('[crawl]\ntables = "*"', 'crawl.tables is "*", but must be a list'),
    ('[crawl]\ntables = ["fc_*", ""]', "crawl.tables[1] is empty, but must be a list of table names or globs"),
    ('[crawl]\ntables = ["../x"]', 'crawl.tables[0] is "../x", but must be'),
    ('[crawl]\ntables = ["fc_*\\n"]', "crawl.tables[0] is"),
    ('[crawl]\nexclude = [""]', "crawl.exclude[0] is empty"),
    ("[crawl]\nregions = []", 'crawl.regions is an empty list, but must be "all" or a list'),
    ('[crawl]\nregions = "cn-hangzhou"', 'crawl.regions is "cn-hangzhou", but must be "all" or a list'),
    ('[crawl]\nregions = ["all"]', 'crawl.regions[0] is "all", but must be'),
    ('[crawl]\nregions = ["cn-hangzhou", "cn_beijing"]', 'crawl.regions[1] is "cn_beijing", but must be'),
    ('[crawl]\nregions = ["../../evil"]', "crawl.regions[0] is"),
    ('[crawl]\nregions = ["cn-a", "cn-a"]', "crawl.regions names cn-a twice"),
    (
        "[[accounts]]\nid = 1000000000000001",
        "accounts[0].id is 1000000000000001, but must be the account ID: its digits in quotes",
    ),
    ('[[accounts]]\nid = "prod"', 'accounts[0].id is "prod", but must be the account ID'),
    ('[[accounts]]\nid = "１"', "accounts[0].id is"),
    ('[[accounts]]\nid = "../1"', 'accounts[0].id is "../1"'),
    ('[[accounts]]\nid = "1\\n"', "accounts[0].id is"),
    ('[[accounts]]\nid = ""', "accounts[0].id is empty, but must be the account ID"),
    ('[[accounts]]\nname = "x"', "accounts[0].id is missing: it must be the account ID"),
    ('[[accounts]]\nid = "2"\n[[accounts]]\nid = "2"', "accounts[1].id is 2, which accounts[0] has already"),
    ('[accounts]\nid = "2"', "accounts is a table, but must be a list of tables, each under [[accounts]]"),
    ('accounts = ["2"]', 'accounts[0] is "2", but must be a table'),
    ('[[accounts]]\nid = "2"\nname = ""', "accounts[0].name is empty"),
    ('[[accounts]]\nid = "2"\nname = "a\\u001bb"', r'accounts[0].name is "a\u001bb", but must be text'),
    (
        '[crawl]\nregions = ["cn-a"]\n[[accounts]]\nid = "2"\nregions = ["cn-b"]',
        "accounts[0].regions names cn-b, which crawl.regions",
    ),
    ('[output]\nformat = "csv"', 'output.format is "csv", but must be one of "parquet", "iceberg", "delta"'),
    ("[output]\npart_size = 1048576", "output.part_size is 1048576, but must be a size from"),
    *(
        (f'[output]\npart_size = "{size}"', f'output.part_size is "{size}", but must be a size from "1MiB" to "1GiB"')
        for size in (
            "0MiB",
            "01MiB",
            "1025MiB",
            "2GiB",
            "512KiB",
            "1.5MiB",
            "128",
            "128MB",
            "128mib",
            "128 MiB",
            "-1MiB",
        )
    ),
    ('[output]\nsecrets = "drop"', 'output.secrets is "drop", but must be one of "fingerprint", "mask", "keep"'),
    ('[output]\nunknown = "mask"', 'output.unknown is "mask", but must be "fingerprint" or "keep"'),
    ('[output]\nuri = ""', "output.uri is empty, but must be a path"),
    ('[output]\nuri = "gs://bucket/x"', 'output.uri is "gs://bucket/x", but must be a path, file:///folder'),
    ('[output]\nuri = "s3:/bucket"', 'output.uri is "s3:/bucket", but must be'),
    ('[output]\nuri = "file://host/x"', "output.uri is"),
    ('[output]\nuri = "a\\u0000b"', "output.uri is"),
    ("[output]\numask = 77", "output.umask is 77, but must be octal digits in quotes"),
    *((f'[output]\numask = "{umask}"', "output.umask is") for umask in ("777", "277", "078", "0o77", "7", "", "-77")),
    (f'[output]\nfingerprint_key = "{CANARY} "', "output.fingerprint_key is text that does not fit"),
    ('[endpoints]\nfcc = "https://sts.aliyuncs.com"', 'endpoints.fcc names no product: did you mean "fc"?'),
    ('[endpoints]\nfc = "http://fc.aliyuncs.com"', "endpoints.fc can't be used: it must be https"),
    ('[endpoints]\nfc = "https://evil.tld"', "endpoints.fc can't be used: its host isn't under aliyuncs.com"),
    ('[endpoints]\nfc = "https://{uid}.aliyuncs.com"', "endpoints.fc can't be used: it has a placeholder other than"),
    (f'[endpoints]\nfc = "https://me:{CANARY}@fc.aliyuncs.com"', "endpoints.fc can't be used: it has a user name"),
    (
        '[endpoints]\nallow = "*.corp.example"',
        "endpoints.allow is text that does not fit, but must be a list of host patterns",
    ),
    ('[endpoints]\nallow = ["*"]', "endpoints.allow can't be used: it must be a host name, or a pattern that ends in"),
    ('[endpoints]\nfc = ["x"]', "endpoints.fc is a list that does not fit"),
    ("[endpoints]\nfc = 1", "endpoints.fc is an integer that does not fit"),
    ('[endpoints.fc]\ncn-x = "https://100.100.100.200"', "endpoints.fc.cn-x can't be used: its host must be"),
    ('[endpoints.fc]\n"../x" = "https://fc.aliyuncs.com"', 'endpoints.fc."../x" isn\'t a region ID'),
    ("[rate_limits]\nfc = { rate = 0 }", "rate_limits.fc.rate is 0, but must be requests per second, above 0"),
    ("[rate_limits]\nfc = { rate = 1, burst = 0 }", "rate_limits.fc.burst is 0, but must be a whole number from 1"),
    ('[rate_limits]\n"fc.ListX" = { rate = "1" }', 'rate_limits."fc.ListX".rate is "1", but must be'),
    ("[rate_limits]\nfc = { burst = 1 }", "rate_limits.fc.rate is missing: it must be requests per second"),
    ("[rate_limits]\nfc = 5", "rate_limits.fc is 5, but must be a table"),
    (
        "[rate_limits]\nsts = { rate = 1 }\nfc = { rate = 1, brst = 1 }",
        "rate_limits.fc.brst isn't a known key: did you",
    ),
    ("[rate_limits]\nfc = [{ rate = 1 }]", "rate_limits.fc is a list, but must be a table, [rate_limits.fc]"),
    ("[endpoints.fc]\ncn-x = 1", "endpoints.fc is a table that does not fit, but must be an https URL, a table of one"),
    ("[output]\niceberg = 1", "output.iceberg is 1, but must be a table, [output.iceberg]"),
    ("[rate_limits]\nfcc = { rate = 1 }", 'rate_limits.fcc names no product: did you mean "fc"?'),
    (
        '[rate_limits]\n"fc.listX.y" = { rate = 1 }',
        'rate_limits."fc.listX.y" isn\'t "default", a product or "product.Action"',
    ),
    ("[retry]\nmax_attempts = 0", "retry.max_attempts is 0, but must be a whole number from 1 to 20"),
    ("[retry]\nmax_attempts = 21", "retry.max_attempts is 21"),
    ("[retry]\nmax_delay = 0", "retry.max_delay is 0, but must be seconds"),
    ('[tls]\nca_file = "/nowhere/ca.pem"', 'tls.ca_file is "/nowhere/ca.pem", but must be a file that can be read'),
    ('[output]\nuri = "s3://b/x"', "output.uri has a bucket's name that is too short; a bucket has 3 to 63"),
    ('[output]\nuri = "oss://"', "output.uri names no bucket; write oss://bucket/prefix"),
    ('[output]\nuri = "s3://lake/a b"', "output.uri has a part in its prefix that can't be used, 'a b'"),
    ('[tls]\nca_file = "/"', "tls.ca_file is"),
    ('[tls]\nca_file = ""', "tls.ca_file is empty, but must be a path"),
    ('[catalog]\nextra = ["/nowhere"]', 'catalog.extra[0] is "/nowhere", but must be a folder'),
    ('[opensearch]\nfunctions = [""]', "opensearch.functions[0] is empty"),
    ("[transport]\nmax_page_bytes = 0", "transport.max_page_bytes is 0"),
    ("[engine]", 'engine.kind is missing: it must be "dask"'),
    ('[engine]\nkind = "ray"', 'engine.kind is "ray", but must be "dask"'),
    ("engine = 1", "engine is 1, but must be a table, [engine]"),
    (f"{DASK}adress = 1", 'engine.adress isn\'t a known key: did you mean "address"?'),
    *(
        (f'{DASK}address = "{address}"', "engine.address is")
        for address in (
            "",
            "scheduler:8786",
            "tls://scheduler",
            "tls://scheduler:0",
            "tls://scheduler:65536",
            "tls://scheduler:8786/x",
            "tls://user@scheduler:8786",
            "tls://a:8786\\n",
            "https://scheduler:8786",
            "inproc://127.0.0.1/1/1",
        )
    ),
    *(
        (
            f'{DASK}address = "tcp://{host}:8786"\n[output]\nfingerprint_key = "${{LONG_KEY}}"',
            f'engine.address is "tcp://{host}:8786", but must be tls://host:port, or tcp://host:port with a loopback',
        )
        for host in ("10.0.0.1", "scheduler.example", "localhost.example", "0.0.0.0", "127.0.0.1.example", "[::2]")
    ),
    (f'{DASK}address = "tls://scheduler:8786"', "engine.address is on another machine, so that output.fingerprint_key"),
    (f'{DASK}ca_file = "ca.pem"', "engine.ca_file has no effect: it is for an engine.address that begins with tls://"),
    (f'{DASK}key_file = "x"\naddress = "tcp://localhost:1"', "engine.key_file has no effect"),
    (f'[ping]\nurl = "http://{CANARY}.example"', "ping.url can't be used: it must be https"),
    ('[crawl]\ntables = ["${UNSET}"]', "crawl.tables[0] needs the environment variable UNSET, which isn't set"),
    ('[crawl]\ntables = ["${KEY}.x"]', 'crawl.tables[0] is "${KEY}.x", whose value does not fit'),
    *(
        (f'[output]\nuri = "{text}"', "output.uri has a ${ without a name and a }")
        for text in ("${", "${}", "${a-b}", "${1}", "x${A")
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_mistake_is_one_sentence_with_file_key_found_and_accepted(text, message):
    has_account = "accounts" in text or not text
    assert message in refusal(text if has_account else f"{text}\n{ONE}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'[crawl]\nx = "{CANARY}', "line 2, column 23 isn't TOML: unterminated string"),
        (f"access_key_secret = {CANARY}", "line 1, column 21 isn't TOML: invalid value"),
        (f"[crawl]\n{CANARY}", "line 2, column 18 isn't TOML: expected '=' after a key"),
        (f"[{CANARY}]\n[{CANARY}]", "line 2, column 19 isn't TOML: cannot declare twice"),
        (f'a = "{CANARY}\\q"', "line 1, column 25 isn't TOML: unescaped '\\' in a string"),
        (f"a = {{ {CANARY} = 1, {CANARY} = 2 }}", "isn't TOML: duplicate inline table key"),
        ("a = " + "9" * 5000, "isn't TOML"),
        ("a = " + "[" * 100_000, "isn't TOML"),
    ],
)
def test_malformed_toml_is_placed_and_never_quoted(text, place):
    assert place in refusal(text)


def test_tables_nested_without_end_are_refused():
    deep = ".".join("a" * 200)
    assert "nested too deeply" in refusal(f"{deep} = [\n" + f"{{{deep} = [\n" * 5 + '"${X}"' + "]}" * 5 + "]")


@pytest.mark.parametrize(
    "line",
    [
        ".".join("a" * 100_000) + " = 1",
        "[" + ".".join("a" * 100_000) + "]",
        "x = { " + " . ".join("a" * 50_000) + " = 1 }",
    ],
    ids=["key", "table", "inline"],
)
def test_a_key_of_a_hundred_thousand_parts_is_one_sentence_at_once(line):
    """T21: reading it would take minutes."""
    began = time.process_time()
    said = refusal(f"[crawl]\n{line}\n")
    assert said == "config.toml: line 2 has a key of more than 200 steps: no setting has that"
    assert time.process_time() - began < 1


def test_dots_are_counted_by_line_and_neither_in_texts_nor_in_comments():
    suffixes = ", ".join(f'"a{number}.vpc.example.com"' for number in range(100))
    comments = "#" + "." * 500 + "\n" + "# a.b.c.d\n" * 200
    config = parse(f"{ONE}{comments}[endpoints]\nallow = [{suffixes}] # {'.' * 300}\n")
    assert len(config.allow) == 100


@pytest.mark.parametrize(
    "url",
    [
        "http://proxy.example:3128",
        "https://proxy.example",
        f"http://me:{CANARY}@10.1.2.3:3128/",
        f"HTTP://corp%5Cme:{CANARY}%40!@proxy:8080",
        "http://[2001:db8::1]:3128",
    ],
)
def test_a_proxy_is_taken_and_never_shown(url):
    config = parse(f'[network]\nproxy = "{url}"\n{ONE}')
    assert config.proxy.url == url
    assert CANARY not in repr(config)


def test_a_file_without_a_certificate_is_one_sentence_with_its_key(tmp_path):
    """T43: the configuration is refused, so that every command says it, doctor too."""
    (tmp_path / "ca.pem").write_text("<!DOCTYPE html>")
    message = refusal(f'[tls]\nca_file = "{tmp_path}/ca.pem"\n{ONE}')
    assert f"tls.ca_file names a file (looked for {tmp_path}/ca.pem) that is a web page" in message


def test_the_environments_proxy_is_used_only_where_the_file_asks_for_it():
    """T42: and its variable is remembered where it is set and not used."""
    environ = {**ENVIRON, "HTTPS_PROXY": f"http://me:{CANARY}@proxy.example:3128", "NO_PROXY": ".corp.example"}
    unasked = parse(ONE, environ)
    assert (unasked.proxy.url, unasked.unused_proxy) == ("", "HTTPS_PROXY")
    asked = parse(f'[network]\nproxy = "environment"\n{ONE}', environ)
    assert (asked.proxy.url, asked.proxy.no_proxy) == (environ["HTTPS_PROXY"], ".corp.example")
    assert asked.unused_proxy == ""
    assert CANARY not in repr(asked) + json.dumps(asked.public())
    environ["HTTPS_PROXY"] = f"socks5://{CANARY}"
    assert "HTTPS_PROXY of the environment can't be used" in refusal(
        f'[network]\nproxy = "environment"\n{ONE}', environ
    )


@pytest.mark.parametrize(
    "url",
    [
        "proxy.example:3128",
        f"socks5://{CANARY}:1080",
        f"http://{CANARY}/path",
        f"http://{CANARY}:70000",
        f"http://a@{CANARY}@b",
        f"http://{CANARY} :1",
    ],
)
def test_what_is_no_proxy_is_refused_unseen(url):
    message = refusal(f'[network]\nproxy = "{url}"\n{ONE}')
    assert re.search(r"network\.proxy .*must be a proxy's URL", message)
    assert CANARY not in message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"])
@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_an_engine_on_this_machine_needs_neither_tls_nor_a_fingerprint_key(scheme, host):
    config = parse(f'{DASK}address = "{scheme}://{host}:8786"\n{ONE}')
    assert (config.engine.is_remote, config.output.fingerprint_key) == (False, None)


def test_an_engine_without_an_address_is_on_this_machine():
    assert not parse(f"{DASK}{ONE}").engine.is_remote


def test_products_of_a_users_own_catalog_are_taken_and_judged_with_it(tmp_path):
    text = f'[catalog]\nextra = ["{tmp_path}"]\n[endpoints]\nown = "https://own.aliyuncs.com"\n'
    text += '[rate_limits]\n"own.ListThings" = { rate = 1 }\ndefault = { rate = 1 }\n'
    config = parse(text + ONE)
    config.check_products({"own": ["ListThings"]})
    with pytest.raises(ConfigError, match=r"^endpoints\.own names no product: did you mean \"owner\"\?"):
        config.check_products({"owner": ["ListThings"]})
    with pytest.raises(ConfigError, match=r'"own\.ListThings" names no operation: did you mean "ListThing"\?'):
        config.check_products({"own": ["ListThing"]})


def test_no_form_of_the_configuration_shows_a_secret():
    config = parse(f'[output]\nfingerprint_key = "${{LONG_KEY}}"\n{ONE}{KEYS}')
    forms = [
        repr(config),
        str(config),
        f"{config}",
        repr(config.public()),
        json.dumps(config.public()),
        f"{config.accounts}",
    ]
    forms += [
        repr(config.accounts[0].credentials),
        repr(config.output.fingerprint_key),
        f"{config.output.fingerprint_key:}",
    ]
    assert not [form for form in forms if CANARY in form or "LTAI0001" in form]
    assert config.accounts[0].credentials.access_key_secret.reveal() == CANARY


def test_the_public_form_has_the_files_own_keys():
    public = parse(f"{ONE}{KEYS}").public()
    assert public["crawl"]["request_timeout"] == 30.0
    assert public["accounts"][0]["credentials"]["access_key_secret"] == "***"
    assert public["accounts"][0]["id"] == "1000000000000001"


def test_a_secret_is_equal_by_its_text_and_refuses_to_be_pickled():
    import pickle

    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    with pytest.raises(TypeError):
        pickle.dumps(Secret("a"))


def write(path, text=ONE, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def loaded_id(path, environ, cwd):
    return load_config(path, environ, cwd=cwd).accounts[0].id


def test_a_named_file_comes_before_the_environments_and_that_before_the_folders(tmp_path):
    named, environment = (
        write(tmp_path / "a.toml", '[[accounts]]\nid = "1"'),
        write(tmp_path / "b.toml", '[[accounts]]\nid = "2"'),
    )
    write(tmp_path / "config.toml", '[[accounts]]\nid = "3"')
    environ = {"ACS_INVENTORY_CONFIG": str(environment)}
    assert loaded_id(named, environ, tmp_path) == "1"
    assert loaded_id(None, environ, tmp_path) == "2"
    assert loaded_id(None, {}, tmp_path) == "3"
    assert loaded_id(None, {"ACS_INVENTORY_CONFIG": ""}, tmp_path) == "3"
    assert loaded_id(Path("a.toml"), {}, tmp_path) == "1"


@pytest.fixture
def system_folder(tmp_path, monkeypatch):
    """The folder that stands for /etc."""
    monkeypatch.setattr(discovery, "SYSTEM_FOLDER", tmp_path / "etc")
    return tmp_path / "etc" / "acs-inventory"


def test_without_a_file_the_message_says_where_it_looked_and_how_to_begin(tmp_path, system_folder):
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"HOME": str(tmp_path / "home")}, cwd=tmp_path)
    for part in (
        "--config",
        "$ACS_INVENTORY_CONFIG",
        str(tmp_path / "config.toml"),
        str(tmp_path / "home" / ".config" / "acs-inventory" / "config.toml"),
        str(system_folder / "config.toml"),
        "acs-inventory config init",
        "acs-inventory demo",
    ):
        assert part in str(caught.value)


def test_file_that_is_not_named_is_the_folders_then_the_users_then_the_systems(tmp_path, system_folder):
    absolute = '[output]\nuri = "/snapshots"\n[[accounts]]\nid = "{}"'
    home, xdg, work = tmp_path / "home", tmp_path / "xdg", tmp_path / "work"
    work.mkdir()
    environ = {"HOME": str(home)}
    places = {
        "1": work / "config.toml",
        "2": xdg / "acs-inventory" / "config.toml",
        "3": system_folder / "config.toml",
    }
    for account_id, path in reversed(places.items()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, absolute.format(account_id))
        assert loaded_id(None, environ | {"XDG_CONFIG_HOME": str(xdg)}, work) == account_id
    places["1"].unlink()
    assert loaded_id(None, environ | {"XDG_CONFIG_HOME": "relative"}, work) == "3"
    users = home / ".config" / "acs-inventory" / "config.toml"
    users.parent.mkdir(parents=True)
    write(users, absolute.format(4))
    assert loaded_id(None, environ, work) == "4"


def test_output_of_a_file_for_all_folders_must_not_depend_on_the_working_folder(tmp_path, system_folder):
    system_folder.mkdir(parents=True)
    environ = {"HOME": str(tmp_path)}
    path = system_folder / "config.toml"
    for section, said in (("", "isn't set, and its default"), ('[output]\nuri = "here"\n', 'is "here", which')):
        write(path, section + ONE)
        with pytest.raises(ConfigError) as caught:
            load_config(None, environ, cwd=tmp_path)
        assert str(caught.value) == (
            f"{path}: output.uri {said} depends on the working folder; write an absolute path or the URI of a bucket, "
            "or name the output with --output"
        )
        assert load_config(None, environ, cwd=tmp_path, output="./here").accounts
        assert load_config(path, environ, cwd=tmp_path).accounts
    for uri in ("/snapshots", "~/snapshots", "file:///snapshots", "s3://bucket/prefix", "${PLACE}/x"):
        write(path, f'[output]\nuri = "{uri}"\n{ONE}')
        assert load_config(None, environ | {"PLACE": "/srv"}, cwd=tmp_path).output.uri


@pytest.mark.parametrize("text", ["[tool.other]\nx = 1\n", "this isn't TOML", f"title = 'x'\n{ONE}"])
def test_file_of_another_program_is_named_with_the_reason_why_it_was_taken(tmp_path, text):
    path = write(tmp_path / "config.toml", text)
    why = "; this file was taken because neither --config nor $ACS_INVENTORY_CONFIG names one"
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, cwd=tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(why)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, cwd=tmp_path)
    assert why not in str(caught.value)


def test_mistake_in_ones_own_file_is_said_without_the_reason_why_it_was_taken(tmp_path):
    mistakes = ((f"[crawl]\nconcurency = 1\n{ONE}", r'"concurrency"\?$'), (f"{ONE}name = '${{NO}}'", "isn't set$"))
    for text, said in mistakes:
        write(tmp_path / "config.toml", text)
        with pytest.raises(ConfigError, match=said):
            load_config(None, {}, cwd=tmp_path)


def test_a_named_file_that_is_not_there_is_not_replaced_by_another(tmp_path):
    write(tmp_path / "config.toml")
    with pytest.raises(ConfigError, match=r"Configuration file not found: .*gone\.toml \(--config\)"):
        load_config(Path("gone.toml"), {}, cwd=tmp_path)
    with pytest.raises(ConfigError, match=r"not found: .*gone\.toml \(\$ACS_INVENTORY_CONFIG\)"):
        load_config(None, {"ACS_INVENTORY_CONFIG": "gone.toml"}, cwd=tmp_path)


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="can't be read: Is a directory"):
        load_config(tmp_path, {}, cwd=tmp_path)


def test_a_file_that_is_not_utf8_or_far_too_large_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"a = 1\nb = '\xff'")
    with pytest.raises(ConfigError, match="line 2 isn't UTF-8"):
        load_config(path, {}, cwd=tmp_path)
    path.write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    with pytest.raises(ConfigError, match="larger than 8 MiB"):
        load_config(path, {}, cwd=tmp_path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    assert loaded_id(path, {}, tmp_path) == "1000000000000001"


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = write(tmp_path / "mine.toml", "x = 1")
    with pytest.raises(ConfigError, match=rf"^{re.escape(str(path))}: x isn't a known key"):
        load_config(path, {}, cwd=tmp_path)


def test_relative_paths_are_taken_from_the_working_directory(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "work").mkdir()
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "work" / "ca.pem"))
    text = '[output]\nuri = "./snapshots"\n[tls]\nca_file = "ca.pem"\n[catalog]\nextra = ["."]\n'
    text += f'{ONE}[accounts.credentials]\ntype = "oidc_role_arn"\noidc_token_file = "token"'
    config = load_config(write(tmp_path / "etc" / "config.toml", text), {}, cwd=tmp_path / "work")
    assert config.output.path == tmp_path / "work" / "snapshots"
    assert config.tls.ca_file == tmp_path / "work" / "ca.pem"
    assert config.catalog.extra == (tmp_path / "work",)
    assert config.accounts[0].credentials.oidc_token_file == tmp_path / "work" / "token"


IN_CLEAR = f'{ONE}[accounts.credentials]\ntype = "access_key"\naccess_key_id = "a"\naccess_key_secret = "{CANARY}"\n'
TOKEN_IN_CLEAR = f'{ONE}{KEYS.replace("access_key", "sts", 1)}security_token = "{CANARY}"\n'
HALF_IN_CLEAR = IN_CLEAR.replace(CANARY, f"{CANARY}${{NAME}}")
KEY_IN_CLEAR = f'[output]\nfingerprint_key = "{LONG_CANARY}"\n{ONE}'


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o610, 0o777])
@pytest.mark.parametrize(
    ("text", "key"),
    [
        (IN_CLEAR, "access_key_secret"),
        (TOKEN_IN_CLEAR, "security_token"),
        (HALF_IN_CLEAR, "access_key_secret"),
        (KEY_IN_CLEAR, "fingerprint_key"),
    ],
)
def test_a_file_that_others_may_open_must_not_hold_a_secret_in_clear(tmp_path, text, key, mode):
    path = write(tmp_path / "my config.toml", text, mode)
    with pytest.raises(ConfigError) as caught:
        load_config(path, ENVIRON, cwd=tmp_path)
    message = str(caught.value)
    assert CANARY not in message
    assert f"{key} is in clear" in message
    assert f"`chmod 600 '{path}'`" in message
    assert f"{mode:04o}" in message


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
@pytest.mark.parametrize("text", [IN_CLEAR, TOKEN_IN_CLEAR, KEY_IN_CLEAR])
def test_a_file_of_ones_own_may_hold_secrets(tmp_path, text, mode):
    assert loaded_id(write(tmp_path / "config.toml", text, mode), ENVIRON, tmp_path) == "1000000000000001"


@pytest.mark.parametrize("text", [ONE, f"{ONE}{KEYS}"])
def test_a_file_without_secrets_may_be_open_to_all(tmp_path, text):
    assert loaded_id(write(tmp_path / "config.toml", text, 0o666), ENVIRON, tmp_path) == "1000000000000001"


TWO = """
[crawl]
regions = ["cn-a", "cn-b"]
exclude = ["fc_tags"]
[[accounts]]
id = "1"
regions = ["cn-a"]
[[accounts]]
id = "2"
"""


def test_overrides_change_what_they_name_and_nothing_else():
    config = parse(TWO)
    changed = config.with_overrides(accounts=["2"], regions=["cn-b", "cn-b"], tables=["fc_*"], output="/elsewhere")
    assert [account.id for account in changed.accounts] == ["2"]
    assert (changed.crawl.regions, changed.crawl.tables, changed.crawl.exclude) == (("cn-b",), ("fc_*",), ("fc_tags",))
    assert changed.output.path == Path("/elsewhere")
    assert config.with_overrides() == config
    assert config.with_overrides(regions=["all"]).crawl.regions == "all"
    assert config.crawl.tables == ("*",)


def test_an_accounts_own_regions_narrow_the_crawls():
    first, second = parse(TWO).accounts
    assert (parse(TWO).regions_for(first), parse(TWO).regions_for(second)) == (("cn-a",), ("cn-a", "cn-b"))
    narrowed = parse(TWO).with_overrides(regions=["cn-b"])
    assert (narrowed.regions_for(first), narrowed.regions_for(second)) == ((), ("cn-b",))
    assert parse(TWO).with_overrides(regions=["all"]).regions_for(first) == ("cn-a",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"accounts": ["3"]}, r"^--account: no account has the ID or the name '3'; known here: 1, 2$"),
        ({"regions": ["CN-A"]}, r'^--region: regions\[0\] is "CN-A", but must be "all" or a list'),
        ({"regions": ["all", "cn-a"]}, r"^--region: regions\[0\] is \"all\""),
        ({"accounts": ["1"], "regions": ["cn-b"]}, r"^--region: none of these regions"),
        ({"tables": ["../x"]}, r'^--table: tables\[0\] is "\.\./x"'),
        ({"output": ""}, r"^--output: uri is empty"),
        ({"output": "gs://b/x"}, r'^--output: uri is "gs://b/x", but must be a path'),
        ({"output_format": "csv"}, r'^--format: format is "csv", but must be one of'),
    ],
)
def test_overrides_are_judged_as_the_file_is(overrides, message):
    with pytest.raises(ConfigError, match=message):
        parse(TWO).with_overrides(**overrides)


ORGANIZATION = '[organization]\nrole_name = "inventory-reader"\n'
BOTH = f'{ONE}[[accounts]]\nid = "1000000000000002"\n'


def test_the_first_account_asks_for_the_members_unless_another_is_named():
    assert parse(ORGANIZATION + BOTH).directory_account.id == "1000000000000001"
    config = parse(f'{ORGANIZATION}account = "1000000000000002"\n{BOTH}')
    assert (config.directory_account.id, config.organization.exclude, config.members) == ("1000000000000002", (), "all")
    assert parse(BOTH).directory_account is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ORGANIZATION, "config.toml: [organization] needs an account that asks for its members: add an [[accounts]]"),
        (f"[organization]\n{ONE}", "organization.role_name is missing: it must be a RAM role's name, not its ARN"),
        (
            f'[organization]\nrole_name = "acs:ram::1:role/x"\n{ONE}',
            'organization.role_name is "acs:ram::1:role/x", but must be a RAM role\'s name, not its ARN',
        ),
        (
            f'{ORGANIZATION}account = "1000000000000003"\n{BOTH}',
            "organization.account is 1000000000000003, which isn't among [[accounts]]: add it there",
        ),
        (
            f'{ORGANIZATION}exclude = ["1000000000000002"]\n{BOTH}',
            "organization.exclude names 1000000000000002, which accounts[1] configures: remove one of the two",
        ),
        (f'{ORGANIZATION}exclude = ["3", "3"]\n{ONE}', "organization.exclude names 3 twice"),
        (
            f'{ORGANIZATION}exclude = ["prod"]\n{ONE}',
            'organization.exclude[0] is "prod", but must be a list of account',
        ),
        (f"{ORGANIZATION}excluded = []\n{ONE}", 'organization.excluded isn\'t a known key: did you mean "exclude"?'),
    ],
)
def test_an_organization_that_does_not_hold_together_is_one_sentence(text, message):
    assert message in refusal(text)


def test_the_command_line_picks_configured_accounts_and_members():
    config = parse(f'{ORGANIZATION}account = "1000000000000002"\n{BOTH}')
    one = config.with_overrides(accounts=["1000000000000001"])
    assert ([account.id for account in one.accounts], one.organization) == (["1000000000000001"], None)
    member = config.with_overrides(accounts=["1000000000000009", "1000000000000001", "1000000000000009"])
    assert [account.id for account in member.accounts] == ["1000000000000001"]
    assert (member.members, member.directory_account.id) == (("1000000000000009",), "1000000000000002")
    assert config.with_overrides(regions=["cn-hangzhou"]).members == "all"
    assert config.with_overrides(accounts=["prod"]).members == ("prod",), "the name of a member, if it has one"
    with pytest.raises(ConfigError, match="--account: no account has the ID or the name '1000000000000009'"):
        parse(BOTH).with_overrides(accounts=["1000000000000009"])


def test_the_command_line_picks_accounts_by_name():
    named = [("1000000000000001", "prod"), ("1000000000000002", "dev"), ("1000000000000003", "dev")]
    config = parse("".join(f'[[accounts]]\nid = "{account_id}"\nname = "{name}"\n' for account_id, name in named))

    def picked(*texts):
        return [account.id for account in config.with_overrides(accounts=texts).accounts]

    assert picked("prod") == picked("prod", "1000000000000001") == ["1000000000000001"]
    assert picked("1000000000000003", "prod") == ["1000000000000001", "1000000000000003"]
    with pytest.raises(ConfigError, match="'dev' is the name of 1000000000000002 and 1000000000000003; give one of"):
        picked("dev")
    with pytest.raises(ConfigError, match=r"no account has the ID or the name 'prot'; did you mean \"prod\"\?"):
        picked("prot")
    with pytest.raises(ConfigError, match="no account has the ID or the name 'Prod'"):
        picked("Prod")


def test_a_region_that_no_configured_account_has_may_be_the_members():
    config = parse(f'{ORGANIZATION}{ONE}regions = ["cn-shanghai"]\n')
    assert config.with_overrides(regions=["cn-hangzhou"]).crawl.regions == ("cn-hangzhou",)


EXAMPLE_ENVIRON = {"PROD_ACCESS_KEY_ID": "LTAI0001", "PROD_ACCESS_KEY_SECRET": CANARY}


def example_keys():
    """The keys that the example file names, commented or not: (section, key)."""
    section, found = (), set()
    for line in EXAMPLE.read_text().splitlines():
        line = line.removeprefix("# ")
        if match := re.match(r"\[+([a-z_.]+)\]+", line):
            section = tuple(match[1].split("."))
            found |= {(section[:end], section[end]) for end in range(len(section))}
        elif match := re.match(r'([a-z_]+|"[A-Za-z.-]+"|[a-z-]+) = (\{.*\})?', line):
            found.add((section, match[1].strip('"')))
            found |= {((*section, "any"), key) for key in re.findall(r"(\w+) = ", match[2] or "")}
    return found


def test_the_example_loads_as_it_is(tmp_path):
    path = write(tmp_path / "config.toml", EXAMPLE.read_text(), 0o644)
    config = load_config(path, EXAMPLE_ENVIRON, cwd=tmp_path)
    assert [account.name for account in config.accounts] == ["prod"]
    assert config.accounts[0].credentials.access_key_secret.reveal() == CANARY


def test_the_example_has_every_key():
    wanted = {
        (("rate_limits", "any") if above == ("rate_limits",) else above, key) for above, key in struct_keys(Settings)
    }
    assert not wanted - example_keys()
    assert len(wanted) > 50


def test_the_examples_commented_lines_are_the_defaults():
    """The plain settings of the example from [crawl] on are the defaults: uncommented, they change nothing."""
    head, body = EXAMPLE.read_text().split("[crawl]\n", 1)
    examples = (
        "fingerprint_key",
        "ca_file",
        "fc",
        "fc-open",
        "sts",
        '"fc-open.ListInstances"',
        "default",
        "cn-hangzhou",
        "textfile",
        "url",
        "catalog_uri",
        "warehouse",
        "namespace",
        "proxy",
        "push",
        *(f"keep_{rule}" for rule in ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")),
    )
    lines = []
    for line in body.splitlines():
        key = re.match(r'# ([a-z_-]+|"[^"]+") = ', line)
        lines.append(line.removeprefix("# ") if key and key[1] not in examples else line)
    uncommented = parse("\n".join([head, "[crawl]", *lines]), EXAMPLE_ENVIRON)
    assert sum(a != b for a, b in zip(lines, body.splitlines(), strict=True)) > 15
    assert msgspec.structs.replace(uncommented, endpoints={}) == parse(EXAMPLE.read_text(), EXAMPLE_ENVIRON)


ACCEPTED = (
    '[[accepted]]\naccount = "1000000000000003"\ntable = "opensearch_*"\nreason = "not ours"\nuntil = 2027-03-31\n'
)


def test_the_examples_accepted_gap_is_taken_too():
    text = EXAMPLE.read_text()
    part = text[text.index("# [[accepted]]") : text.index("# Dask runs")]
    [rule] = parse(ONE + re.sub("^# ", "", part, flags=re.MULTILINE)).accepted
    assert (rule.account, rule.region, rule.table) == ("1000000000000003", "*", "opensearch_*")
    assert (rule.reason, rule.until) == ("not ours to read", date(2027, 3, 31))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("until = 2027-03-31\n", "", "accepted[0].until is missing: it must be a date such as 2027-03-31"),
        ("2027-03-31", '"2027-03-32"', 'accepted[0].until is "2027-03-32", but must be a date such as 2027-03-31'),
        ("2027-03-31", "2027-03-31T00:00:00Z", "accepted[0].until is a date or time, but must be a date such as 2027"),
        ('reason = "not ours"\n', "", "accepted[0].reason is missing: it must be text of 1 to 256 characters"),
        ('reason = "not ours"', 'reason = ""', "accepted[0].reason is empty, but must be text of 1 to 256 characters"),
        ('"1000000000000003"', '"prod"', 'accepted[0].account is "prod", but must be an account ID or a glob over'),
        ('"opensearch_*"', '"open search"', 'accepted[0].table is "open search", but must be a table name or a glob'),
        ("table =", "tables =", 'accepted[0].tables isn\'t a known key: did you mean "table"?'),
        ("[[accepted]]", "[accepted]", "accepted is a table, but must be a list of tables, each under [[accepted]]"),
    ],
)
def test_an_accepted_gap_that_does_not_hold_together_is_one_sentence(old, new, message):
    assert message in refusal(ONE + ACCEPTED.replace(old, new))


def test_the_examples_organization_is_taken_too():
    text = EXAMPLE.read_text()
    part = text[text.index("# [organization]") : text.index("# Known gaps")]
    config = parse(re.sub("^# ", "", part, flags=re.MULTILINE) + ONE)
    assert (config.organization.role_name, config.directory_account.id) == ("inventory-reader", "1000000000000001")


def test_the_examples_engine_is_taken_too():
    text = EXAMPLE.read_text()
    part = text[text.index("# [engine]") : text.index("[crawl]\n# tables")]
    config = parse(f'[output]\nfingerprint_key = "${{LONG_KEY}}"\n{re.sub("^# ", "", part, flags=re.MULTILINE)}{ONE}')
    assert (config.engine.kind, config.engine.is_remote) == ("dask", True)


def test_the_examples_examples_are_taken_too():
    text = EXAMPLE.read_text()
    part = text[text.index("[endpoints]") : text.index("[retry]")]
    uncommented = re.sub(r'^# (?=[a-z"\[][^ ]* = |\[)', "", part, flags=re.MULTILINE)
    config = parse(uncommented + ONE)
    assert set(config.endpoints) == {"allow", "fc", "fc-open", "sts", "opensearch"}
    assert set(config.rate_limits) == {"default", "fc", "fc-open.ListInstances"}


def complaint(text):
    """The error message for a text; empty if the text is valid."""
    try:
        parse(text)
    except ConfigError as error:
        return str(error)
    return ""


@given(st.text(max_size=200))
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_a_configuration_or_one_sentence(text):
    assert "\n" not in complaint(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "all", "*", "${KEY}", "x", "https://x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "allow", "rate"]), inner)
    ),
    max_leaves=6,
)
PATHS = [(above, key) for above, key in struct_keys(Settings) if len(above) <= 1]


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value) if "." in repr(value) or value != value or "inf" in repr(value) else f"{value:.1f}"
    return "''" if value is None else json.dumps(value)


@given(st.sampled_from(PATHS), VALUES)
@settings(max_examples=examples(500), deadline=None)
def test_any_value_at_any_key_is_taken_or_refused_at_that_key(path, value):
    above, key = path
    line = f"{key} = {toml(value)}\n"
    if above == ("accounts",):
        text = f"[[accounts]]\n{line}" + ("" if key == "id" else 'id = "1"\n')
    else:
        text = (f"[{above[0]}]\n{line}" if above else line) + ("" if path == ((), "accounts") else ONE)
    said = complaint(text)
    assert CANARY not in said
    assert "\n" not in said
    assert not said or f"{above[0] if above else key}" in said or "there is no account" in said


def test_importing_the_configuration_is_light():
    heavy = {"aiohttp", "pyarrow", "ssl", "yarl", "rich"}
    code = f"import sys, crawler.config; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
